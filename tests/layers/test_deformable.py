import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import Conv2D, DeformableConv2D


def _value(image, y, x):
    """One channel between its pixels, zero outside."""
    total = 0.0
    for row, column in itertools.product((int(np.floor(y)), int(np.floor(y)) + 1), range(2)):
        column += int(np.floor(x))
        if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
            total += (1 - abs(y - row)) * (1 - abs(x - column)) * image[row, column]
    return total


def _expected(maps, offsets, kernel, dilation, deform_groups, groups):
    batch, height, width, channels = maps.shape
    offsets = offsets.reshape(batch, height, width, deform_groups, 3, 3, 2)
    depth, filters = channels // groups, kernel.shape[-1] // groups
    result = np.zeros((batch, height, width, kernel.shape[-1]))
    for b, y, x, i, j, c in itertools.product(*map(range, (batch, height, width, 3, 3, channels))):
        down, right = offsets[b, y, x, c * deform_groups // channels, i, j]
        place = (y + (i - 1) * dilation + down, x + (j - 1) * dilation + right)
        group = c // depth
        own = slice(group * filters, (group + 1) * filters)
        value = _value(maps[b, :, :, c], *place)
        result[b, y, x, own] += value * kernel[i, j, c % depth, own]
    return result


@pytest.mark.parametrize(
    ("deform_groups", "groups", "dilation"),
    [(1, 1, 1), (2, 1, 2), (4, 1, 3), (2, 2, 1), (4, 2, 1)],
)
def test_taps_are_moved_by_the_offsets(deform_groups, groups, dilation):
    random = np.random.default_rng(0)
    maps = random.standard_normal((2, 4, 5, 4)).astype("f4")
    offsets = random.uniform(-2, 2, (2, 4, 5, 18 * deform_groups)).astype("f4")
    layer = DeformableConv2D(6, 3, dilation, deform_groups, groups, use_bias=False)
    actual = ops.convert_to_numpy(layer(maps, offsets))
    expected = _expected(maps, offsets, layer.get_weights()[0], dilation, deform_groups, groups)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)


def test_without_offsets_it_is_a_convolution():
    maps = np.random.default_rng(0).standard_normal((2, 6, 5, 4)).astype("f4")
    layer = DeformableConv2D(4, 3, 2, deform_groups=2, groups=2)
    actual = ops.convert_to_numpy(layer(maps, np.zeros((2, 6, 5, 36), "f4")))
    plain = Conv2D(4, 3, padding=2, dilation_rate=2, groups=2)
    plain.build(maps.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(actual, ops.convert_to_numpy(plain(maps)), rtol=0, atol=1e-5)


def test_a_config_restores_it():
    layer = DeformableConv2D(4, 3, 2, 2, 2, use_bias=False)
    copy = DeformableConv2D.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


def test_symbols_have_the_shape_and_dtype_of_values():
    layer = DeformableConv2D(3, 3, deform_groups=2, dtype="mixed_float16")
    maps = keras.KerasTensor((None, 4, 5, 4), dtype="float16")
    out = layer(maps, keras.KerasTensor((None, 4, 5, 36), dtype="float16"))
    assert (out.shape, out.dtype) == ((None, 4, 5, 3), "float16")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 2}, r"kernel_size must be odd, got \(2, 2\)"),
        ({"kernel_size": 3, "strides": 2}, r"strides must be 1, got \(2, 2\)"),
        ({"kernel_size": 3, "groups": 3}, "groups must divide deform_groups 1, got 3"),
        ({"kernel_size": 3, "deform_groups": 3}, "deform_groups must divide the 4 channels, got 3"),
    ],
)
def test_what_it_cannot_do_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DeformableConv2D(3, **settings).build((None, 4, 4, 4))
