"""Networks of other libraries as backbones."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import KerasBackbone

SIZE = (64, 96)


def own_network():
    """A small network whose layers have names."""
    image = keras.Input((SIZE[1], SIZE[0], 3))
    x = keras.layers.Conv2D(4, 3, 4, padding="same", name="fine")(image)
    x = keras.layers.Conv2D(8, 3, 2, padding="same", name="middle")(x)
    return keras.Model(image, keras.layers.Conv2D(16, 3, 2, padding="same", name="coarse")(x))


def application():
    return keras.applications.MobileNetV3Small(
        (SIZE[1], SIZE[0], 3), 0.35, minimalistic=True, include_top=False, weights=None
    )


def hub():
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed")
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[8],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(SIZE[1], SIZE[0], 3),
    )


def cv():
    keras_cv = pytest.importorskip("keras_cv", reason="keras-cv is not installed")
    return keras_cv.models.CSPDarkNetBackbone(
        stackwise_channels=[8, 8, 16, 16],
        stackwise_depth=[1, 1, 1, 1],
        include_rescaling=False,
        input_shape=(SIZE[1], SIZE[0], 3),
    )


NETWORKS = {
    "own": (own_network, None, [(6, 4, 16)]),
    "own by layers": (own_network, ["fine", "coarse"], [(24, 16, 4), (6, 4, 16)]),
    "application": (application, None, [(3, 2, 576)]),
    "KerasHub": (hub, ["P3", "P5"], [(12, 8, 64), (3, 2, 64)]),
    "keras-cv": (cv, ["P2", "P4"], [(24, 16, 8), (6, 4, 16)]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_another_library_trains_and_comes_back(name, tmp_path):
    make, levels, shapes = NETWORKS[name]
    backbone = KerasBackbone(make(), levels)
    maps = backbone(np.zeros((2, SIZE[1], SIZE[0], 3), "f4"))
    height, width, _ = shapes[-1]
    if name != "application":
        assert [tuple(each.shape[1:]) for each in maps] == shapes
    codec = keras_pose.codecs.MSRAHeatmap(SIZE, (2 * width, 2 * height))
    head = keras_pose.heads.HeatmapHead(17, codec, deconv_filters=[4], deconv_kernels=[4])
    estimator = keras_pose.TopdownEstimator(backbone, head, input_size=SIZE)
    images = np.random.default_rng(0).integers(0, 255, (2, SIZE[1], SIZE[0], 3), "uint8")
    before = [keras.ops.convert_to_numpy(v) for v in backbone.trainable_variables]
    estimator.compile(keras.optimizers.SGD(1.0))
    labels = {"keypoints": np.full((2, 1, 17, 2), 20.0, "f4"), "visible": np.ones((2, 1, 17), "f4")}
    estimator.fit(images, labels, verbose=0)
    after = [keras.ops.convert_to_numpy(v) for v in backbone.trainable_variables]
    assert any(np.abs(a - b).max() > 0 for a, b in zip(before, after, strict=True))
    expected = estimator.predict_on_batch(images)["keypoints"]
    estimator.save_to_preset(tmp_path / "preset")
    if name == "keras-cv":
        # Its layers hold functions of Python, which no preset may bring along.
        with pytest.raises(ValueError, match="neither keras_pose's nor Keras': it is not loaded"):
            keras_pose.TopdownEstimator.from_preset(tmp_path / "preset")
        return
    again = keras_pose.TopdownEstimator.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(again.predict_on_batch(images)["keypoints"], expected)


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="has no level or layer 'P9'; it has"):
        KerasBackbone(own_network(), ["P9"])


@pytest.mark.parametrize("levels", ["P3", []])
def test_levels_are_a_list(levels):
    with pytest.raises(ValueError, match="levels must be a list of names"):
        KerasBackbone(own_network(), levels)


def test_a_model_without_inputs_is_refused():
    with pytest.raises(ValueError, match="made of inputs and outputs, got a Dense"):
        KerasBackbone(keras.layers.Dense(3))
