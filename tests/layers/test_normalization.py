import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import BatchNormalization, LayerNormalization, PixelNormalization


def test_batch_normalization_has_pytorchs_epsilon_and_momentum():
    layer = BatchNormalization()
    assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)


def test_inference_uses_the_stored_statistics():
    layer = BatchNormalization()
    layer.build((None, 2, 2, 3))
    gamma, beta, mean, variance = np.random.default_rng(0).uniform(0.5, 2, (4, 3)).astype("f4")
    layer.set_weights([gamma, beta, mean, variance])
    x = np.random.default_rng(1).standard_normal((2, 2, 2, 3)).astype("f4")
    expected = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x, training=False)), expected, rtol=0, atol=1e-5
    )


def test_one_training_pass_moves_the_statistics_by_a_tenth():
    """PyTorch would store the unbiased variance, n / (n - 1) times this one."""
    layer = BatchNormalization()
    x = np.random.default_rng(0).normal(3, 2, (4, 5, 5, 2)).astype("f4")
    layer(x, training=True)
    mean, variance = (ops.convert_to_numpy(v) for v in (layer.moving_mean, layer.moving_variance))
    np.testing.assert_allclose(mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * x.var((0, 1, 2)), rtol=1e-5)


def test_statistics_of_many_pixels_are_exact_to_single_precision():
    """The reference's running statistics are met to 1e-5 after fifty layers; a sum that is added
    up number by number is off by 5e-6 here."""
    maps = (np.random.default_rng(0).normal(size=(2, 96, 64, 8)) * 2 + 3).astype("float32")
    layer = BatchNormalization(momentum=0.0)
    layer(maps, training=True)
    exact = maps.astype("float64")
    for stored, expected in (
        (layer.moving_mean, exact.mean((0, 1, 2))),
        (layer.moving_variance, exact.var((0, 1, 2))),
    ):
        np.testing.assert_allclose(ops.convert_to_numpy(stored), expected, rtol=1.5e-6)


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_pixels_become_deviations_from_the_mean(channels):
    mean, std = (120.0, 110.0, 100.0), (60.0, 55.0, 50.0)
    layer = PixelNormalization(mean, std, channels)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    order = images if channels == "rgb" else images[..., ::-1]
    expected = (order.astype("f8") - mean) / std
    actual = ops.convert_to_numpy(layer(images))
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_one_number_serves_all_channels():
    actual = ops.convert_to_numpy(
        PixelNormalization(127.5, 127.5)(np.full((1, 1, 1, 3), 255, "u1"))
    )
    np.testing.assert_allclose(actual, 1.0, rtol=0, atol=1e-6)


def test_pixel_normalization_is_restored_from_its_config():
    layer = PixelNormalization(1.0, 2, channels="bgr")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (copy.mean, copy.std, copy.channels) == ([1.0] * 3, [2] * 3, "bgr")


def test_an_unknown_channel_order_is_refused():
    with pytest.raises(ValueError, match='channels must be "rgb" or "bgr", got "gbr"'):
        PixelNormalization(channels="gbr")


@pytest.mark.parametrize(("mean", "std"), [((1.0, 2.0), 1.0), (0.0, (1.0, 0.0, 1.0))])
def test_pixel_statistics_are_checked(mean, std):
    with pytest.raises(ValueError, match=r"mean|std"):
        PixelNormalization(mean, std)


def test_layer_normalization_is_over_channels_with_pytorchs_epsilon():
    layer = LayerNormalization()
    layer.build((None, 4, 5))
    random = np.random.default_rng(0)
    gamma, beta = random.uniform(0.5, 2, (2, 5)).astype("f4")
    layer.set_weights([gamma, beta])
    x = random.normal(3, 0.01, (2, 4, 5)).astype("f4")
    deviation = x.astype("f8") - x.mean(-1, keepdims=True, dtype="f8")
    expected = deviation / np.sqrt((deviation**2).mean(-1, keepdims=True) + 1e-5) * gamma + beta
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=0, atol=2e-4)
