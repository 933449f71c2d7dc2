"""One-stage networks, exported with decoding inside, find the people that Keras finds."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.artifacts import load_artifact
from keras_pose.codecs import RTMOCodec, YOLOXPoseCodec
from keras_pose.heads import RTMOHead, YOLOXPoseHead
from keras_pose.layers.naming import load_state_dict, state_dict
from keras_pose.necks import HybridEncoder

SIZE = (96, 64)
SKELETON = keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"])


def _backbone():
    x = image = keras.Input((None, None, 3))
    maps = []
    for strides in (8, 2, 2):
        x = keras.layers.Conv2D(8, strides + 1, strides, "same", activation="tanh")(x)
        maps.append(x)
    return keras.Model(image, maps)


# Backbone, neck, head.
MODELS = {
    "yolox-pose": lambda: (
        _backbone(),
        None,
        YOLOXPoseHead(3, YOLOXPoseCodec(0.2, 0.3, max_people=12), filters=8, stacked_convs=1),
    ),
    "rtmo": lambda: (
        _backbone(),
        HybridEncoder(3, 16, 2, 16, widen_factor=0.5, out_channels=16),
        RTMOHead(
            3,
            RTMOCodec(0.2, 0.3, max_people=12),
            cls_filters=8,
            channels_per_group=4,
            groups=2,
            vector_channels=8,
            classifier={"channels": 8, "bins": (24, 32), "encoding_channels": 16},
        ),
    ),
}


def estimator(name):
    """The model with weights that are not small, so that some cells are surer than others."""
    backbone, neck, head = MODELS[name]()
    model = keras_pose.BottomupEstimator(
        backbone, head, neck=neck, skeleton=SKELETON, input_size=SIZE
    )
    random = np.random.default_rng(0)
    arrays = state_dict(model.head)
    for key, value in arrays.items():
        if key.endswith("running_var"):
            arrays[key] = random.uniform(0.5, 1.5, value.shape)
        elif value.ndim > 1:
            arrays[key] = random.normal(0, 2 * np.prod(value.shape[1:]) ** -0.5, value.shape)
        elif not key.endswith("weight"):
            arrays[key] = random.normal(0, 0.5, value.shape)
        if "out_bbox" in key:  # else some boxes are as large as ten inputs
            arrays[key] *= 0.4
    load_state_dict(model.head, arrays)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_people_are_those_of_keras(in_tensorflow, name, tmp_path):
    model = estimator(name)
    images = np.random.default_rng(1).integers(0, 256, (2, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    expected = model.predict_on_batch(images)
    people = (expected["box_scores"] > 0).sum(axis=1)
    assert people.min() >= 5
    for suffix, kind in ((".tflite", "litert"), ("", "tf_saved_model"), (".onnx", "onnx")):
        path = keras_pose.export(model, tmp_path / f"model{suffix}", format=kind)
        found = load_artifact(path)(images)
        assert set(found) == set(expected)
        assert np.abs(found["box_scores"] - expected["box_scores"]).max() <= 1e-4
        for image, count in enumerate(people):
            for key, most in (("keypoints", 0.1), ("boxes", 0.1), ("scores", 1e-3)):
                apart = np.abs(found[key][image, :count] - expected[key][image, :count])
                assert apart.max() <= most, (kind, key)
