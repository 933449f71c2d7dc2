"""MMPose's settings and old checkpoints of DEKR."""

import json

import keras
import numpy as np
import pytest

from keras_pose.checkpoints.mmpose import current_names, translate_model, translate_part
from keras_pose.checkpoints.state_dict import StateDict
from keras_pose.skeleton import Skeleton

HEAD = {"type": "DEKRHead", "num_keypoints": 3}


@pytest.mark.parity
def test_published_settings_are_translated(golden):
    entries = json.loads((golden / "models_bottomup/index.json").read_text("utf-8"))["models"]
    entries = [entry for entry in entries if entry["kind"] == "dekr"]
    assert len(entries) == 4
    for entry in entries:
        skeleton = "crowdpose" if "crowdpose" in entry["config"] else "coco"
        skeleton = Skeleton.load(skeleton).to_dict()
        config = translate_model(entry["model"], skeleton)
        head = config["config"]["head"]["config"]
        rescore = head["rescore_net"]["config"]
        settings = entry["model"]["head"]
        count = settings["num_keypoints"]
        assert 3 * len(rescore["links"]) + count == settings["rescore_cfg"]["in_channels"]
        assert rescore["unit_links"] == settings["rescore_cfg"]["norm_indexes"]
        codec = keras.saving.deserialize_keras_object(head["codec"])
        assert (codec.stride, codec.sigma, codec.max_people) == (4, (4, 2), 30)
        assert (codec.nms_distance, codec.shift_flipped) == (0.05, True)
        loss = keras.saving.deserialize_keras_object(head["loss_module"])
        expected = settings["displacement_loss"]["loss_weight"]
        assert loss.displacement_loss.loss_weight == expected


def test_the_judge_of_poses_needs_its_skeleton(golden):
    config = {"type": "BottomupPoseEstimator", "backbone": {"type": "ResNet", "depth": 18}}
    decoder = {"type": "SPR", "input_size": [64, 64], "heatmap_size": [16, 16], "sigma": [4, 2]}
    rescore = {"in_channels": 74, "norm_indexes": [5, 6]}
    head = {**HEAD, "decoder": decoder, "rescore_cfg": rescore}
    with pytest.raises(ValueError, match="in_channels 74 does not fit the skeleton crowdpose"):
        translate_model({**config, "head": head}, Skeleton.load("crowdpose").to_dict())


def test_sizes_of_the_codec_have_one_ratio():
    codec = {"type": "SPR", "input_size": [64, 64], "heatmap_size": [16, 32]}
    with pytest.raises(ValueError, match="one must be a multiple of the other"):
        translate_part(codec, "codec")


OLD = {
    "backbone.conv1.weight": np.zeros((2, 2), "f4"),
    "keypoint_head.offset_conv_layers.1.adapt_conv.weight": np.ones((3, 2), "f4"),
    "keypoint_head.offset_conv_layers.3.weight": np.arange(6.0).reshape(6, 1),
    "keypoint_head.offset_conv_layers.3.bias": np.arange(6.0),
    "keypoint_head.heatmap_conv_layers.0.conv.weight": np.arange(4.0),
    "keypoint_head.heatmap_conv_layers.2.weight": np.arange(8.0).reshape(4, 2),
    "keypoint_head.heatmap_conv_layers.2.bias": np.arange(4.0),
    "rescore_net.l1.weight": np.ones((2, 2)),
}


def test_old_arrays_become_the_present_ones():
    arrays = current_names(StateDict(OLD), HEAD)
    assert list(arrays) == [
        "backbone.conv1.weight",
        "head.displacement_conv_layers.1.adapt_conv.weight",
        "head.displacement_conv_layers.3.weight",
        "head.displacement_conv_layers.3.bias",
        "head.heatmap_conv_layers.0.conv.weight",
        "head.heatmap_conv_layers.2.weight",
        "head.heatmap_conv_layers.2.bias",
        "head.rescore_net.l1.weight",
    ]
    prefix = "head.displacement_conv_layers"
    assert arrays[f"{prefix}.1.adapt_conv.weight"].max() == 1
    # The vectors led to the root.
    np.testing.assert_array_equal(arrays[f"{prefix}.3.weight"][:, 0], -np.arange(6.0))
    np.testing.assert_array_equal(arrays[f"{prefix}.3.bias"], -np.arange(6.0))
    # The root came first.
    np.testing.assert_array_equal(arrays["head.heatmap_conv_layers.2.bias"], [1, 2, 3, 0])
    expected = [[2, 3], [4, 5], [6, 7], [0, 1]]
    np.testing.assert_array_equal(arrays["head.heatmap_conv_layers.2.weight"], expected)
    np.testing.assert_array_equal(arrays["head.heatmap_conv_layers.0.conv.weight"], np.arange(4.0))


def test_present_arrays_stay():
    arrays = current_names(StateDict(OLD), HEAD)
    for versions in ({}, {"": 2, "head": 2}):
        again = current_names(StateDict(arrays, versions), HEAD)
        assert list(again) == list(arrays)
        for name, value in again.items():
            np.testing.assert_array_equal(value, arrays[name])
