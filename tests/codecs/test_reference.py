"""Every stored case of the codecs below: encoding, decoding and both in turn."""

import json

import numpy as np
import pytest

from keras_pose import codecs

# The codecs whose cases are looked at here, by the files they stand in.
FILES = {
    "msra_heatmap": ("MSRAHeatmap", "UDPHeatmap"),
    "udp_heatmap": ("UDPHeatmap",),
    "megvii_heatmap": ("MegviiHeatmap",),
    "regression_label": ("RegressionLabel",),
    "integral_regression_label": ("IntegralRegressionLabel",),
    "skps_heatmap": ("SKPSHeatmap",),
}
# Our names of the reference's targets.
TARGETS = {"heatmaps": "heatmaps", "keypoint_labels": "coordinates", "displacements": "offsets"}
each_file = pytest.mark.parametrize("file", FILES)

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def methods(compiled):
    """Compiled methods of the codec of a case; cases with equal settings share them."""
    made = {}

    def methods(case):
        key = json.dumps([case["cls"], case["args"]], sort_keys=True)
        if key not in made:
            arguments = {**case["args"]}
            if case["cls"] == "UDPHeatmap":
                # The reference decodes for plain crops whatever the crops are.
                arguments["plain_warp"] = True
            codec = getattr(codecs, case["cls"])(**arguments)
            made[key] = {name: compiled(getattr(codec, name)) for name in ("encode", "decode")}
        return made[key]

    return methods


def _cases(golden, *operations):
    return [case for case in golden.cases.values() if case["op"] in operations]


@each_file
def test_there_are_cases_of_these_codecs_only(codec_golden, file):
    cases = codec_golden(file).cases.values()
    assert {case["cls"] for case in cases} == set(FILES[file])
    assert {case["op"] for case in cases} <= {"encode", "decode", "roundtrip"}


@each_file
def test_encode(codec_golden, methods, file):
    golden = codec_golden(file)
    for case in _cases(golden, "encode"):
        labels = golden.labels(case)
        if case["cls"] == "RegressionLabel":
            # It knows one instance per image.
            labels = {key: value[0][:, None] for key, value in labels.items()}
        targets = methods(case)["encode"](labels)
        weights = golden.array(case["out"]["keypoint_weights"])
        np.testing.assert_array_equal(
            targets["weights"].reshape(weights.shape), weights, err_msg=case["case"]
        )
        assert set(case["out"]) <= {*TARGETS, "keypoint_weights"}
        for name in case["out"].keys() & TARGETS.keys():
            target = targets[TARGETS[name]]
            largest = max(1.0, float(np.abs(target).max()))
            check = golden.check_maps if target.ndim == 4 else golden.check
            if target.ndim == 3:
                target = target.reshape(golden.arrays[case["out"][name]].shape)
            check(case, name, target, 2e-6 * largest)


def _outputs(golden, case):
    """The raw outputs that a case decodes, in our layout and names."""
    encoded = golden.array(case["in"]["encoded"])
    if case["cls"] in ("RegressionLabel", "IntegralRegressionLabel"):
        split = {"coordinates": encoded[..., :2], "sigmas": encoded[..., 2:]}
        return {name: value for name, value in split.items() if value.shape[-1]}
    outputs = {"heatmaps": golden.maps(case["in"]["encoded"])}
    if "offset_maps" in case["in"]:
        outputs["offsets"] = golden.maps(case["in"]["offset_maps"])
    return outputs


def _position_tolerance(case):
    """As the reference's notes say; DARK amplifies the last digits of the maps."""
    dark = case["args"].get("unbiased") or case["cls"] == "UDPHeatmap"
    return max(1e-3, 50 * (case.get("sens") or 0)) if dark else 1e-4


@each_file
def test_decode(codec_golden, methods, file):
    golden = codec_golden(file)
    for case in _cases(golden, "decode"):
        outputs = _outputs(golden, case)
        decoded = methods(case)["decode"](outputs)
        expected = golden.array(case["out"]["keypoints"])
        if case["cls"] == "SKPSHeatmap":
            # The reference adds the offset at (0, 0) to the -1 of a map without a maximum.
            found = outputs["heatmaps"].max((0, 1, 2)) > 0
            expected = np.where(found[:, None], expected, decoded["keypoints"][0])
        np.testing.assert_allclose(
            decoded["keypoints"].reshape(expected.shape),
            expected,
            rtol=0,
            atol=_position_tolerance(case),
            err_msg=case["case"],
        )
        golden.check(case, "scores", decoded["scores"].reshape(expected.shape[:-1]), 1e-6)


@each_file
def test_decoding_what_was_encoded(codec_golden, methods, file):
    golden = codec_golden(file)
    for case in _cases(golden, "roundtrip"):
        targets = methods(case)["encode"](golden.labels(case))
        decoded = methods(case)["decode"]({"heatmaps": targets["heatmaps"]})
        golden.check(case, "keypoints", decoded["keypoints"][0], _position_tolerance(case))
        golden.check(case, "scores", decoded["scores"][0], 1e-6)
