"""Models with each kind of head, exported with decoding inside, find what Keras finds."""

import numpy as np
import pytest

import keras_pose
from keras_pose.artifacts import load_artifact
from keras_pose.backbones import MSPN, ResNet
from keras_pose.codecs import (
    Hand3DHeatmap,
    IntegralRegressionLabel,
    MegviiHeatmap,
    MSRAHeatmap,
    RegressionLabel,
    SimCC3DLabel,
    SimCCLabel,
    SKPSHeatmap,
    UDPHeatmap,
)
from keras_pose.heads import (
    CPMHead,
    HeatmapHead,
    IntegralRegressionHead,
    InterNetHead,
    MSPNHead,
    RegressionHead,
    RLEHead,
    RTMCCHead,
    RTMW3DHead,
    RTMWHead,
    SimCCHead,
    SKPSHead,
    VisPredictHead,
)
from keras_pose.layers.naming import load_state_dict, state_dict
from keras_pose.necks import GlobalAveragePooling

SIZE, CELLS = (64, 96), (16, 24)
SKELETONS = {
    3: keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"]),
    4: keras_pose.Skeleton("hands", ["right_a", "right_b", "left_a", "left_b"]),
}
MSRA = MSRAHeatmap(SIZE, CELLS)
DECONV = {"deconv_filters": (8,), "deconv_kernels": (4,)}
BINS = {"split_ratio": 2.0, "sigma": 4.0}


def residual(stages=(1,)):
    """Maps of stride 8, or of other stages."""
    return ResNet(18, stages, base_channels=4, zero_init_residual=False)


# Backbone, neck, head.
MODELS = {
    "heatmap": lambda: (residual(), None, HeatmapHead(3, MSRA, **DECONV)),
    "heatmap udp": lambda: (residual(), None, HeatmapHead(3, UDPHeatmap(SIZE, CELLS), **DECONV)),
    "heatmap grouped": lambda: (
        residual(),
        None,
        HeatmapHead(3, MSRA, deconv_groups=(4,), **DECONV),
    ),
    "cpm": lambda: (residual(), None, CPMHead(3, MSRAHeatmap(SIZE, (8, 12)), num_stages=1)),
    "mspn": lambda: (
        MSPN(unit_channels=8, num_stages=1, num_blocks=(1, 1, 1, 1)),
        None,
        MSPNHead(3, MegviiHeatmap(SIZE, CELLS, kernel_size=5), num_stages=1, unit_channels=8),
    ),
    "simcc": lambda: (residual(), None, SimCCHead(3, SimCCLabel(SIZE, **BINS))),
    "rtmcc": lambda: (
        residual(),
        None,
        RTMCCHead(3, SimCCLabel(SIZE, **BINS), hidden=16, attention={"key_units": 8}),
    ),
    "rtmw": lambda: (
        residual((1, 2)),
        None,
        RTMWHead(3, SimCCLabel(SIZE, **BINS), 16, hidden=16, attention={"key_units": 8}),
    ),
    "rtmw3d": lambda: (
        residual((1, 2)),
        None,
        RTMW3DHead(
            3, SimCC3DLabel(SIZE, root_index=[0], **BINS), 16, hidden=16, attention={"key_units": 8}
        ),
    ),
    "internet": lambda: (
        residual(),
        None,
        InterNetHead(4, Hand3DHeatmap(SIZE, CELLS, 8, 8), None, (8,), (4,), root_hidden=(8,)),
    ),
    "regression": lambda: (
        residual(),
        GlobalAveragePooling(),
        RegressionHead(3, RegressionLabel(SIZE)),
    ),
    "rle": lambda: (residual(), GlobalAveragePooling(), RLEHead(3, RegressionLabel(SIZE))),
    "integral regression": lambda: (
        residual(),
        None,
        IntegralRegressionHead(3, IntegralRegressionLabel(SIZE, CELLS), debias=True, **DECONV),
    ),
    "visibility": lambda: (residual(), None, VisPredictHead(HeatmapHead(3, MSRA, **DECONV))),
    "skps": lambda: (residual(), None, SKPSHead(3, SKPSHeatmap(SIZE, (8, 12)))),
}


def estimator(name):
    """The model with weights that are not small, so that its maps have clear peaks."""
    backbone, neck, head = MODELS[name]()
    model = keras_pose.TopdownEstimator(
        backbone, head, neck=neck, skeleton=SKELETONS[head.num_keypoints], input_size=SIZE
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
    load_state_dict(model, arrays)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_keypoints_are_those_of_keras(in_tensorflow, name, tmp_path):
    model = estimator(name)
    images = np.random.default_rng(1).integers(0, 256, (4, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    expected = model.predict_on_batch(images)
    assert np.ptp(expected["keypoints"], axis=(0, 2)).max() > 0.5
    for suffix, kind in ((".tflite", "litert"), ("", "tf_saved_model")):
        path = keras_pose.export(model, tmp_path / f"model{suffix}", format=kind)
        found = load_artifact(path)(images)
        assert set(found) == set(expected)
        assert np.abs(found["keypoints"] - expected["keypoints"]).max() <= 0.1
        assert np.abs(found["scores"] - expected["scores"]).max() <= 1e-3
