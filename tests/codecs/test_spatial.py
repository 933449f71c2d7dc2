"""The codecs of networks that see poses in space: every stored case, and what goes beyond them."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.codecs import Hand3DHeatmap, SimCC3DLabel
from keras_pose.skeleton import Skeleton

GOLDEN = Path(__file__).resolve().parents[3] / "shared/golden/codecs"


def _cases(file):
    path = GOLDEN / f"{file}.json"
    if not path.is_file():
        skip = pytest.mark.skip(reason=f"golden/codecs/{file} is not beside this checkout")
        return [pytest.param(None, id=f"codecs/{file}", marks=skip)]
    return [
        pytest.param(case, id=f"codecs/{file}/{case['case']}", marks=pytest.mark.parity)
        for case in json.loads(path.read_text("utf-8"))["cases"]
    ]


def _codec(case, **settings):
    config = translate_part({"type": case["cls"], **case["args"], **settings}, "codec")
    return keras.saving.deserialize_keras_object(config)


@pytest.mark.parametrize("case", _cases("simcc3d_label"))
def test_bins_of_three_axes_equal_the_reference(case, codec_golden, compiled):
    golden, codec = codec_golden("simcc3d_label"), _codec(case)
    if case["op"] == "decode":
        outputs = {axis: golden.array(case["in"][axis]) for axis in "xyz"}
        decoded = compiled(codec.decode)(outputs)
        golden.check(case, "keypoints", decoded["keypoints"][:, 0], 2e-6 * 384)
        golden.check(case, "scores", decoded["scores"][:, 0], 1e-6)
        return
    labels = golden.labels(case)
    deep = case["in"]["keypoints_3d"] is not None
    if deep:
        depths = golden.array(case["in"]["keypoints_3d"])[None, ..., 2:]
        labels["keypoints"] = np.concatenate([labels["keypoints"], depths], -1)
    targets = compiled(codec.encode)(labels)
    for axis in "xyz" if deep else "xy":  # what z is taught without depths has no weight
        golden.check(case, f"keypoint_{axis}_labels", targets[axis], 2e-6)
    golden.check(case, "keypoint_weights", targets["weights"], 0)
    golden.check(case, "weight_z", targets["z_weights"], 0)
    if deep:
        golden.check(case, "root_z", targets["root_depth"], 1e-6)


@pytest.mark.parametrize("case", _cases("hand_3d_heatmap"))
def test_volumes_of_hands_equal_the_reference(case, codec_golden, compiled):
    golden = codec_golden("hand_3d_heatmap")
    given = {
        name: golden.array(value) if isinstance(value, str) else np.float32(value)
        for name, value in case["in"].items()
    }
    if case["op"] == "decode":
        codec = _codec(case)
        decoded = compiled(codec.decode)(
            {
                "heatmaps": given["heatmaps"].transpose(2, 3, 0, 1)[None],
                "root": given["root_depth"],
                "hand_type": given["hand_type"],
            }
        )
        golden.check(case, "keypoints", decoded["keypoints"][0], 1e-4)
        golden.check(case, "scores", decoded["scores"][0] * codec.peak, 1e-6)
        golden.check(case, "rel_root_depth", decoded["root_depth"], 1e-4)
        golden.check(case, "hand_type", decoded["hand_type"], 0)
        return
    # The reference encodes with one number of bins between the wrists and decodes with another.
    codec = _codec(case, root_heatmap_size=case["args"].get("heatmap_size_root", 64))
    labels = {
        "keypoints": given["keypoints"][None],
        "visible": given["keypoints_visible"][None],
        "hand_type": given["hand_type"],
        "hand_type_valid": given["hand_type_valid"],
        "root_depth": given["rel_root_depth"].reshape(1),
        "root_depth_valid": given["rel_root_valid"].reshape(1),
    }
    if case["args"].get("use_different_joint_weights"):
        labels["weights"] = given["dataset_keypoint_weights"][None, None]
    targets = compiled(codec.encode)(labels)
    names = {"weights": "keypoint_weights", "root_weights": "root_depth_weight"}
    names |= {"hand_type": "type", "hand_type_weights": "type_weight"}
    for ours, theirs in names.items():
        expected = golden.array(case["out"][theirs])
        np.testing.assert_array_equal(targets[ours].reshape(expected.shape), expected)
    golden.check(case, "root_depth", targets["root"][0], 1e-5)
    volumes = targets["heatmaps"][0].transpose(2, 3, 0, 1).copy()
    # Where a Gaussian begins midway between two voxels, the reference leaves out every other one.
    places = given["keypoints"][0, codec.joint_indices or slice(None), :2]
    starts = places * codec.heatmap_size / codec.input_size - 3 * codec.sigma
    for joint, axis in np.argwhere(np.abs(starts % 1 - 0.5) < 1e-6):
        columns = np.moveaxis(volumes[joint], 2 - axis, 0)
        columns[1:-1:2] = 0
    shape = (-1, *volumes.shape[-2:])
    golden.check(case, "heatmaps", volumes.reshape(shape), 2e-6 * codec.peak)


HANDS = Hand3DHeatmap((64, 48), (16, 12), 10, root_size=8, sigma=1.0, peak=255.0)


def _hand_labels():
    random = np.random.default_rng(0)
    points = random.uniform([4, 4, -150], [60, 44, 150], (3, 1, 42, 3))
    return {
        "keypoints": points.astype("f4"),
        "visible": np.ones((3, 1, 42), "f4"),
        "hand_type": np.float32([[1, 0], [0, 1], [1, 1]]),
        "root_depth": np.float32([-120, 30, 190]),
    }


def test_hands_come_back_from_their_volumes(compiled):
    labels = _hand_labels()
    targets = compiled(HANDS.encode)(labels)
    logits = {"hand_type": 2 * targets["hand_type"] - 1}
    decoded = compiled(HANDS.decode)({**targets, **logits})
    error = np.abs(decoded["keypoints"] - labels["keypoints"]).max((0, 1, 2))
    assert (error <= [2, 2, 20]).all()
    assert decoded["scores"].min() > 0.6
    np.testing.assert_allclose(decoded["root_depth"][:, 0], labels["root_depth"], atol=1e-4)
    np.testing.assert_array_equal(decoded["hand_type"], labels["hand_type"])
    there = decoded["visible"][:, 0, [0, 20, 21, 41]] > 0.5
    np.testing.assert_array_equal(there, np.repeat(labels["hand_type"], 2, axis=1))


def test_a_gaussian_has_no_holes(compiled):
    labels = _hand_labels()
    labels["keypoints"][..., :2] = 30  # 7.5 voxels
    volumes = compiled(HANDS.encode)(labels)["heatmaps"]
    row = volumes[0, 7, :, 0].max(-1)
    assert (row[5:11] > 0).all()


def test_mirrored_hands_are_turned_back():
    """The sign of the depth between the wrists changes about the middle of its bins."""
    flips = Skeleton.load("interhand3d").flip_indices
    labels = _hand_labels()
    points = labels["keypoints"][:, :, flips].copy()
    # As maps are mirrored: the first voxel becomes the last one.
    points[..., 0] = 60 - points[..., 0]
    mirrored = {**labels, "keypoints": points, "root_depth": -labels["root_depth"]}
    mirrored["hand_type"] = labels["hand_type"][:, ::-1].copy()
    tensors = [keras.tree.map_structure(keras.ops.convert_to_tensor, x) for x in (labels, mirrored)]
    expected, found = (HANDS.encode(each) for each in tensors)
    found = HANDS.flip(found, flips)
    for name in ("heatmaps", "root", "hand_type"):
        actual, wanted = (keras.ops.convert_to_numpy(each[name]) for each in (found, expected))
        np.testing.assert_allclose(actual, wanted, atol=2e-3, err_msg=name)


def test_hands_without_depths_and_types_teach_the_joints_alone(compiled):
    labels = _hand_labels()
    del labels["hand_type"], labels["root_depth"]
    targets = compiled(HANDS.encode)(labels)
    assert targets["weights"].all()
    assert not targets["root_weights"].any() and not targets["hand_type_weights"].any()


BODY = SimCC3DLabel((48, 64), depth_range=1.5, root_index=[1, 2], sigma=2.0)


def _body_labels():
    points = np.random.default_rng(0).uniform([4, 4, 3], [44, 60, 4.4], (2, 1, 5, 3))
    return {"keypoints": points.astype("f4"), "visible": np.ones((2, 1, 5), "f4")}


def test_depths_come_back_about_the_root(compiled):
    labels = _body_labels()
    decoded = compiled(BODY.decode)(compiled(BODY.encode)(labels))
    points = labels["keypoints"].copy()
    points[..., 2] -= points[:, :, 1:3, 2].mean(-1, keepdims=True)
    error = np.abs(decoded["keypoints"] - points).max((0, 1, 2))
    assert (error <= [0.25, 0.25, 0.016]).all()


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [([2], [1, 1, 0, 1, 1]), ([1, 2], [0, 0, 0, 0, 0]), ([4], [1, 1, 1, 1, 0])],
)
def test_depths_count_where_they_and_a_root_are_labelled(compiled, hidden, expected):
    labels = _body_labels()
    labels["visible_3d"] = np.ones((2, 1, 5), "f4")
    labels["visible_3d"][..., hidden] = 0
    targets = compiled(BODY.encode)(labels)
    np.testing.assert_array_equal(targets["z_weights"], [expected] * 2)
    np.testing.assert_array_equal(targets["x_weights"], 1)


def test_depths_stay_in_a_mirror():
    random = np.random.default_rng(0)
    outputs = {axis: random.random((1, 3, n), "f4") for axis, n in {"x": 4, "y": 6, "z": 5}.items()}
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, outputs)
    flipped = BODY.flip(tensors, np.array([1, 0, 2]))
    found = keras.ops.convert_to_numpy(flipped["z"])
    np.testing.assert_array_equal(found, outputs["z"][:, [1, 0, 2]])


@pytest.mark.parametrize("codec", [HANDS, BODY])
def test_settings_survive(codec):
    assert type(codec).from_config(codec.get_config()).get_config() == codec.get_config()


def test_a_range_must_be_positive():
    with pytest.raises(ValueError, match="depth_range must be metres above 0, got 0"):
        SimCC3DLabel((48, 64), depth_range=0)
