"""What the reference's GenerateTarget and PackPoseInputs do, codecs and plain dicts do here."""

import numpy as np
import pytest

from keras_pose import codecs

PACKED = "packs arrays into the reference's containers; here a batch is a dict of arrays"
LEFT_OUT = {f"transforms/pack/pack{i}": PACKED for i in range(6)}
OURS = {"simcc_split_ratio": "split_ratio"}


@pytest.mark.cases("transforms/pack")
def test_packing(case):
    raise AssertionError("nothing is packed here")


def codec_of(encoder):
    arguments = {OURS.get(k, k): v for k, v in encoder.items() if k not in ("type", "multilevel")}
    return getattr(codecs, encoder["type"])(**arguments)


@pytest.fixture(scope="module")
def encode(compiled):
    """Targets of one sample by the codec of a reference's encoder."""
    made = {}

    def encode(encoder, labels):
        key = (repr(encoder), tuple(labels))
        if key not in made:
            codec = (
                codecs.MultilevelHeatmap([codec_of(level) for level in encoder])
                if isinstance(encoder, list)
                else codec_of(encoder)
            )
            made[key] = compiled(codec.encode)
        return {name: value[0] for name, value in made[key](labels).items()}

    return encode


@pytest.mark.cases("transforms/generate_target")
def test_targets_equal_reference(case, golden, goldens, encode):
    arrays = np.load(golden / f"{case['golden']}.npz")
    read = lambda name: arrays[case["input"][name][1:]]  # noqa: E731
    encoder, output = case["args"]["encoder"], case["output"]
    levels = encoder if isinstance(encoder, list) else [encoder]
    points = "transformed_keypoints" if "transformed_keypoints" in case["input"] else "keypoints"
    visible = read("keypoints_visible")
    if visible.ndim == 3:  # with weights beside the visibilities, which codecs are not given
        visible = visible[..., 0]
    labels = {"keypoints": read(points)[None], "visible": visible[None]}
    np.testing.assert_array_equal(visible, arrays[output["keypoints_visible"][1:]])
    # Which the reference forgets for several encoders, see the next test.
    if case["args"].get("use_dataset_keypoint_weights") and len(levels) == 1:
        labels["weights"] = read("dataset_keypoint_weights")[None, None]

    def check(name, actual):
        compared = goldens.compare(arrays, name[1:], actual)
        assert compared["max_abs"] <= 2e-6, name

    stored = {name: output[name] for name in output if not name.startswith("keypoints_visible")}
    stored = {k: v if isinstance(v, list) else [v] * len(levels) for k, v in stored.items()}
    for i, level in enumerate(levels):
        targets = encode(level, labels)
        check(stored["keypoint_weights"][i], targets["weights"][None])
        if level["type"] == "MSRAHeatmap":
            check(stored["heatmaps"][i], targets["heatmaps"].transpose(2, 0, 1))
        elif level["type"] == "RegressionLabel":
            check(stored["keypoint_labels"][i], targets["coordinates"][None])
        else:
            check(stored["keypoint_x_labels"][i], targets["x"][None])
            check(stored["keypoint_y_labels"][i], targets["y"][None])
    if case["args"].get("multilevel"):
        targets = encode(encoder, labels)
        check(stored["heatmaps"][0], targets["intermediate_heatmaps"][0].transpose(2, 0, 1))
        check(stored["heatmaps"][1], targets["heatmaps"].transpose(2, 0, 1))


def test_weights_of_keypoints_act_on_all_levels(encode):
    level = {"type": "MSRAHeatmap", "input_size": [48, 64], "heatmap_size": [12, 16], "sigma": 1.0}
    labels = {
        "keypoints": np.full((1, 1, 3, 2), 20, np.float32),
        "visible": np.ones((1, 1, 3), np.float32),
        "weights": np.float32([[[1.0, 1.5, 0.5]]]),
    }
    targets = encode([level, {**level, "sigma": 2.0}], labels)
    np.testing.assert_array_equal(targets["weights"], [1.0, 1.5, 0.5])
