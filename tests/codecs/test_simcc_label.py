"""SimCCLabel against every stored case of the reference, and what they do not cover."""

import numpy as np
import pytest

from keras_pose.codecs import SimCCLabel

TARGETS = {"keypoint_x_labels": "x", "keypoint_y_labels": "y", "keypoint_weights": "weights"}
RENAMED = {"simcc_split_ratio": "split_ratio", "smoothing_type": "smoothing"}
SMALL = SimCCLabel((16, 12), sigma=(2.0, 3.0), normalize=False)


@pytest.fixture(scope="module")
def simcc(codec_golden):
    return codec_golden("simcc_label")


def _codec(case):
    return SimCCLabel(**{RENAMED.get(key, key): value for key, value in case["args"].items()})


def _cases(golden, operation):
    return [case for case in golden.cases.values() if case["op"] == operation]


def _encoded(golden, case, compiled):
    # Its instances are samples here: a batch has one instance per image.
    labels = {key: value[0][:, None] for key, value in golden.labels(case).items()}
    return compiled(_codec(case).encode)(labels)


def _check_positions(golden, case, decoded):
    expected = golden.array(case["out"]["keypoints"])
    atol = max(1e-3, 50 * (case.get("sens") or 0)) if case["args"].get("use_dark") else 1e-4
    np.testing.assert_allclose(
        decoded["keypoints"].reshape(expected.shape),
        expected,
        rtol=0,
        atol=atol,
        err_msg=case["case"],
    )
    golden.check(case, "scores", decoded["scores"].reshape(expected.shape[:-1]), 1e-6)


@pytest.mark.parity
def test_there_are_these_cases_only(simcc):
    assert {case["cls"] for case in simcc.cases.values()} == {"SimCCLabel"}
    assert {case["op"] for case in simcc.cases.values()} == {"encode", "decode", "roundtrip"}


@pytest.mark.parity
def test_encode(simcc, compiled):
    for case in _cases(simcc, "encode"):
        targets = _encoded(simcc, case, compiled)
        assert set(case["out"]) == set(TARGETS)
        for output, name in TARGETS.items():
            tolerance = 0 if name == "weights" else 2e-6
            simcc.check(case, output, targets[name], tolerance)


@pytest.mark.parity
def test_decode(simcc, compiled):
    for case in _cases(simcc, "decode"):
        vectors = {name: simcc.array(case["in"][f"simcc_{name}"]) for name in ("x", "y")}
        vectors = {n: v[None] if v.ndim == 2 else v for n, v in vectors.items()}
        decoded = compiled(_codec(case).decode)(vectors)
        _check_positions(simcc, case, decoded)
        assert ("visibility" in case["out"]) == ("visible" in decoded)
        # With DARK the reference takes them from what the refinement has left in the vectors.
        if "visible" in decoded and not case["args"].get("use_dark"):
            simcc.check(case, "visibility", decoded["visible"][:, 0], 1e-3)


@pytest.mark.parity
def test_decoding_what_was_encoded(simcc, compiled):
    for case in _cases(simcc, "roundtrip"):
        targets = _encoded(simcc, case, compiled)
        decoded = compiled(_codec(case).decode)({name: targets[name] for name in ("x", "y")})
        _check_positions(simcc, case, decoded)


def test_bins_per_axis():
    assert SimCCLabel((96, 127), split_ratio=1.5).bins == (144, 190)


def test_refinement_leaves_visibility_alone(compiled):
    vectors = {
        name: np.random.default_rng(0).uniform(0, 0.02, (1, 3, bins)).astype("f4")
        for name, bins in zip("xy", SMALL.bins, strict=True)
    }
    plain, refined = (
        compiled(SimCCLabel((16, 12), use_dark=dark, decode_visibility=True).decode)(vectors)
        for dark in (False, True)
    )
    assert (plain["keypoints"] != refined["keypoints"]).any()
    np.testing.assert_array_equal(plain["visible"], refined["visible"])
    assert plain["visible"].shape == (1, 1, 3)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_vectors_without_a_maximum_are_no_keypoint(compiled, dark, value):
    codec = SimCCLabel((16, 12), use_dark=dark)
    vectors = {"x": np.full((1, 2, 32), value, "f4"), "y": np.ones((1, 2, 24), "f4")}
    decoded = compiled(codec.decode)(vectors)
    np.testing.assert_array_equal(decoded["keypoints"], np.full((1, 1, 2, 2), -0.5))
    np.testing.assert_array_equal(decoded["scores"], np.full((1, 1, 2), value))


def test_flip_mirrors_x_and_swaps_sides(compiled):
    random = np.random.default_rng(0)
    x, y = random.random((2, 3, 32), "f4"), random.random((2, 3, 24), "f4")
    swaps = np.array([0, 2, 1], "int32")
    flipped = compiled(lambda outputs: SMALL.flip(outputs, swaps))({"x": x, "y": y})
    np.testing.assert_array_equal(flipped["x"], x[:, [0, 2, 1], ::-1])
    np.testing.assert_array_equal(flipped["y"], y[:, [0, 2, 1]])


def test_extra_weights_count(compiled):
    labels = {
        "keypoints": np.float32([[[[4, 4], [8, 8]]]]),
        "visible": np.float32([[[1, 1]]]),
        "weights": np.float32([[[0.5, 2]]]),
    }
    np.testing.assert_array_equal(compiled(SMALL.encode)(labels)["weights"], [[0.5, 2]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smoothing": "linear"}, 'must be "gaussian" or "standard", got \'linear\''),
        ({"smoothing": "standard", "label_smooth_weight": 1.5}, "must lie in 0..1, got 1.5"),
        ({"label_smooth_weight": 0.1}, 'must be 0 with smoothing "gaussian", got 0.1'),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SimCCLabel((16, 12), **settings)
