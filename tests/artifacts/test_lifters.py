"""Lifters, exported: windows of 2D poses in, 3D poses out."""

import json

import numpy as np
import pytest

import keras_pose
from keras_pose.artifacts import load_artifact
from keras_pose.artifacts.inputs import input_of
from keras_pose.backbones import TCN, DSTFormer
from keras_pose.codecs import MotionBERTLabel, VideoPoseLifting
from keras_pose.heads import MotionRegressionHead, TemporalRegressionHead


def _tcn():
    head = TemporalRegressionHead(17, VideoPoseLifting(remove_root=True))
    return keras_pose.PoseLifter(TCN((3, 3), channels=8), head)


def _motion():
    backbone = DSTFormer(8, depth=1, num_heads=2, frames=9)
    visible = keras_pose.layers.KeypointNormalization.of_picture((1000, 1002), visibility=True)
    head = MotionRegressionHead(17, MotionBERTLabel(), 8)
    return keras_pose.PoseLifter(backbone, head, preprocess=visible)


LIFTERS = {"tcn": _tcn, "motionbert": _motion}


def test_the_input_of_a_lifter_is_a_window_of_poses():
    for name, numbers in (("tcn", 2), ("motionbert", 3)):
        source = input_of(LIFTERS[name]())
        assert (source.name, source.shape, source.dtype) == (
            "keypoints_2d",
            (9, 17, numbers),
            "float32",
        )
        samples = source.filled(source.samples((1000, 1002)))
        assert samples.shape[1:] == source.shape
        assert samples[..., :2].min() > 100
        assert samples[..., :2].max() < 900


@pytest.mark.parametrize("name", LIFTERS)
def test_3d_poses_are_those_of_keras(in_tensorflow, name, tmp_path):
    lifter = LIFTERS[name]()
    windows = input_of(lifter).samples((1000, 1002))[::-1]
    expected = lifter.predict_on_batch(windows)["keypoints"]
    for suffix, kind in ((".tflite", "litert"), ("", "tf_saved_model"), (".onnx", "onnx")):
        path = keras_pose.export(lifter, tmp_path / f"lifter{suffix}", format=kind, flip_test=False)
        artifact = load_artifact(path)
        np.testing.assert_allclose(artifact(windows)["keypoints"], expected, atol=1e-4)
        assert keras_pose.verify(path).ok
    facts = json.loads((tmp_path / "lifter.tflite.json").read_text())
    assert facts["input"]["name"] == "keypoints_2d"
    assert facts["outputs"]["keypoints"]["unit"] == "metres"
    assert facts["parity"]["differences"]["keypoints"]["unit"] == ""
    assert facts["geometry"]["to_input"]
    with pytest.raises(ValueError, match=r"keypoints_2d must be .* float32, got .* float64"):
        artifact(windows.astype("float64"))


def test_parity_poses_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"parity_images must be \(M, 9, 17, 2\) float32"):
        keras_pose.export(_tcn(), tmp_path / "new", parity_images=np.zeros((1, 9, 16, 2), "f4"))
