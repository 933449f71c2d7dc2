"""DEKR, exported with decoding inside, finds the people that Keras finds."""

import numpy as np
import pytest

import keras_pose
from keras_pose.artifacts import load_artifact
from keras_pose.backbones import ResNet
from keras_pose.codecs import SPR
from keras_pose.heads import DEKRHead, PoseRescorer
from keras_pose.layers.naming import load_state_dict, state_dict

SIZE = (96, 64)
SKELETON = keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"], links=[(0, 1), (1, 2)])
FORMATS = {"litert": ".tflite", "tf_saved_model": "", "onnx": ".onnx"}


@pytest.fixture(scope="module")
def model():
    """A small network with weights that are not small, which sees people."""
    rescorer = PoseRescorer(SKELETON.links.tolist(), (0, 1), 8)
    model = keras_pose.BottomupEstimator(
        ResNet(18, (0,), base_channels=4, zero_init_residual=False),
        DEKRHead(3, SPR(max_people=12), None, 8, 4, rescorer),
        skeleton=SKELETON,
        input_size=SIZE,
    )
    random = np.random.default_rng(0)
    arrays = state_dict(model)
    for key, value in arrays.items():
        if key.endswith("running_var"):
            arrays[key] = random.uniform(0.5, 1.5, value.shape)
        elif value.ndim > 1:
            arrays[key] = random.normal(0, np.prod(value.shape[1:]) ** -0.5, value.shape)
        elif not key.endswith("weight"):
            arrays[key] = random.normal(0, 0.1, value.shape)
    arrays["head.heatmap_conv_layers.2.bias"] += 1
    arrays["head.rescore_net.l3.bias"] += 3
    load_state_dict(model, arrays)
    return model


@pytest.mark.parametrize("kind", FORMATS)
def test_people_are_those_of_keras(in_tensorflow, model, kind, tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (2, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    expected = model.predict_on_batch(images)
    people = (expected["box_scores"] > 0).sum(axis=1)
    assert people.min() >= 3
    path = keras_pose.export(model, tmp_path / f"model{FORMATS[kind]}", format=kind)
    found = load_artifact(path)(images)
    assert set(found) == set(expected)
    assert np.abs(found["box_scores"] - expected["box_scores"]).max() <= 1e-3
    kept = expected["box_scores"] > 0
    for key, most in (("keypoints", 0.1), ("boxes", 0.1), ("scores", 1e-3)):
        assert np.abs(found[key] - expected[key])[kept].max() <= most, key
