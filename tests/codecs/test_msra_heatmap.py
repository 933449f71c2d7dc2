"""MSRAHeatmap against the reference's values, and what they do not cover."""

import json

import numpy as np
import pytest

from keras_pose.codecs import MSRAHeatmap


class Golden:
    """Cases of one file of reference values; maps are turned to `(B, h, w, K)`."""

    def __init__(self, path):
        self.arrays = np.load(path.with_suffix(".npz"))
        cases = json.loads(path.with_suffix(".json").read_text("utf-8"))["cases"]
        self.cases = {case["case"]: case for case in cases}

    def array(self, name):
        value = self.arrays[name]
        return value.astype("float32") if value.dtype == np.float16 else value

    def maps(self, name):
        value = self.array(name)
        return value[None].transpose(0, 2, 3, 1) if value.ndim == 3 else value.transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def msra(golden):
    return Golden(golden / "codecs/msra_heatmap")


@pytest.fixture(scope="module")
def utils(golden):
    return Golden(golden / "codecs/utils")


def _codec(arguments):
    names = ("input_size", "heatmap_size", "sigma")
    return MSRAHeatmap(**{name: arguments[name] for name in names})


def _labels(golden, case):
    keypoints = golden.array(case["in"]["keypoints"])
    visible = case["in"]["keypoints_visible"]
    visible = np.ones(keypoints.shape[:2], "f4") if visible is None else golden.array(visible)
    return {"keypoints": keypoints[None], "visible": visible[None]}


# All of the file's but those of `unbiased` (DARK) and of another codec.
ENCODED = [
    *[f"s2_192x256.enc_{kind}" for kind in ("interior", "border", "outside")],
    *[f"s2_192x256.enc_{kind}" for kind in ("mixed_vis", "none", "novis")],
    *[f"s3_288x384.enc_{kind}" for kind in ("interior", "border", "outside")],
    *[f"s15_256.enc_{kind}" for kind in ("interior", "border", "outside")],
    "s2_384_96.enc_interior",
    "s2_368_46.enc_border",
    "s2_192x256_24x32.enc_mixed_vis",
    "s2_192x256_24x32.enc_border",
    "s2_192x256_40x56.enc_interior",
    "s2_192x256_40x56.enc_border",
    "s2_160_40.enc_interior",
    "s2_256x320.enc_outside",
    "s2_256_32.enc_mixed_vis",
    "s2_224_56.enc_border",
    "s3_288x384_36x48.enc_border",
    "s2_288x384.enc_outside",
    "s3_384_96.enc_border",
    "s2_320x448.enc_interior",
]
DECODED = [
    *[
        f"{size}.dec_std{what}"
        for size in ("s2_192x256", "s3_288x384", "small")
        for what in ("_ties", "11")
    ],
    "coco17.dec_std",
]


@pytest.mark.parity
def test_every_case_is_in_a_list(msra):
    ours = {
        name
        for name, case in msra.cases.items()
        if case["cls"] == "MSRAHeatmap" and not case["args"].get("unbiased")
    }
    assert ours == {*ENCODED, *DECODED, "roundtrip_std"}


@pytest.mark.parity
@pytest.mark.parametrize("name", ENCODED)
def test_encode_equals_the_reference(msra, compiled, name):
    case = msra.cases[name]
    targets = compiled(_codec(case["args"]).encode)(_labels(msra, case))
    expected = msra.maps(case["out"]["heatmaps"])
    np.testing.assert_allclose(targets["heatmaps"], expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(targets["weights"], msra.array(case["out"]["keypoint_weights"]))


@pytest.mark.parity
@pytest.mark.parametrize("name", DECODED)
def test_decode_equals_the_reference(msra, compiled, name):
    case = msra.cases[name]
    decoded = compiled(_codec(case["args"]).decode)({"heatmaps": msra.maps(case["in"]["encoded"])})
    expected = msra.array(case["out"]["keypoints"])
    np.testing.assert_allclose(decoded["keypoints"][0], expected, rtol=0, atol=1e-4)
    expected = msra.array(case["out"]["scores"])
    np.testing.assert_allclose(decoded["scores"][0], expected, rtol=0, atol=1e-6)


@pytest.mark.parity
def test_decoding_what_was_encoded_equals_the_reference(msra, compiled):
    case = msra.cases["roundtrip_std"]
    codec = _codec(case["args"])
    decoded = compiled(lambda labels: codec.decode(codec.encode(labels)))(_labels(msra, case))
    expected = msra.array(case["out"]["keypoints"])
    np.testing.assert_allclose(decoded["keypoints"][0], expected, rtol=0, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["interior", "mixed_vis", "outside"])
def test_several_people_share_a_map_as_in_the_reference(utils, compiled, kind):
    case = utils.cases[f"generate_gaussian_heatmaps_{kind}"]
    size = case["call"]["heatmap_size"]
    codec = MSRAHeatmap(size, size, case["call"]["sigma"])
    targets = compiled(codec.encode)(_labels(utils, case))
    expected = utils.maps(case["out"]["heatmaps"])
    np.testing.assert_allclose(targets["heatmaps"], expected, rtol=0, atol=2e-6)


@pytest.mark.parity
@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("indices", ["idx", "noidx"])
def test_flip_equals_the_reference(utils, compiled, shift, indices):
    case = utils.cases[f"flip_heatmaps_heatmap_s{shift}_{indices}"]
    codec = MSRAHeatmap((32, 24), (8, 6), shift_flipped=bool(shift))
    maps = utils.maps(case["in"]["heatmaps"])
    order = case["call"]["flip_indices"] or list(range(maps.shape[-1]))
    flipped = compiled(lambda outputs: codec.flip(outputs, np.int32(order)))({"heatmaps": maps})
    np.testing.assert_array_equal(flipped["heatmaps"], utils.maps(case["out"]["out"]))


# Quotients must be whole where they should be, whatever a compiler makes of the division.
@pytest.mark.parametrize("width", [3, 7, 24, 46, 48, 49, 56, 72, 80, 96])
def test_every_place_is_decoded(compiled, width):
    size = (width, 5)
    codec = MSRAHeatmap(size, size)
    maps = np.eye(5 * width, dtype="f4").reshape(1, 5 * width, 5, width).transpose(0, 2, 3, 1)
    decoded = compiled(codec.decode)({"heatmaps": maps})["keypoints"][0, 0]
    y, x = np.divmod(np.arange(5 * width), width)
    np.testing.assert_array_equal(decoded, np.stack([x, y], -1))


def test_weights_are_those_of_the_labels_times_the_extra_ones(compiled):
    codec = MSRAHeatmap((32, 32), (8, 8))
    labels = {
        "keypoints": np.float32([[[[8, 8], [8, 8], [900, 8]]]]),
        "visible": np.float32([[[1, 0, 1]]]),
        "weights": np.float32([[[0.5, 0.5, 0.5]]]),
    }
    np.testing.assert_array_equal(compiled(codec.encode)(labels)["weights"], [[0.5, 0, 0]])


def test_a_flipped_flip_is_the_original_where_nothing_shifts(compiled):
    codec = MSRAHeatmap((32, 32), (8, 8), shift_flipped=False)
    maps = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    twice = compiled(lambda outputs: codec.flip(codec.flip(outputs, [0, 2, 1]), [0, 2, 1]))
    np.testing.assert_array_equal(twice({"heatmaps": maps})["heatmaps"], maps)
