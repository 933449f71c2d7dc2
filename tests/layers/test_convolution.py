"""Convolutions against sums written out in NumPy, in PyTorch's conventions."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import Conv2D, Conv2DTranspose, DepthwiseConv2D


def same_pads(size, kernel, stride, dilation):
    """TensorFlow's rule: as little as the strides need, the odd pixel at the end."""
    span = dilation * (kernel - 1) + 1
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def convolved(x, kernel, stride=1, padding=0, dilation=1, groups=1):
    """The definition, in float64: x `(B, H, W, C)`, kernel `(kh, kw, C / groups, filters)`."""
    rows, columns, per_group, filters = kernel.shape
    pads = [
        same_pads(size, k, stride, dilation) if padding == "same" else (padding, padding)
        for size, k in zip(x.shape[1:3], (rows, columns), strict=True)
    ]
    x = np.pad(x.astype("float64"), [(0, 0), *pads, (0, 0)])
    height = (x.shape[1] - dilation * (rows - 1) - 1) // stride + 1
    width = (x.shape[2] - dilation * (columns - 1) - 1) // stride + 1
    out = np.zeros((len(x), height, width, filters))
    for group in range(groups):
        inputs = slice(group * per_group, (group + 1) * per_group)
        outputs = slice(group * filters // groups, (group + 1) * filters // groups)
        for i in range(height):
            for j in range(width):
                top, left = i * stride, j * stride
                window = x[
                    :,
                    top : top + dilation * (rows - 1) + 1 : dilation,
                    left : left + dilation * (columns - 1) + 1 : dilation,
                    inputs,
                ]
                out[:, i, j, outputs] = np.tensordot(window, kernel[..., outputs], 3)
    return out


def transposed(x, kernel, stride, padding, output_padding, groups=1):
    """The definition, in float64: every input pixel adds its kernel `(kh, kw, filters, C)`."""
    if groups > 1:
        parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
        settings = (stride, padding, output_padding)
        return np.concatenate([transposed(*part, *settings) for part in parts], axis=-1)
    rows, columns, filters, _ = kernel.shape
    count, height, width, _ = x.shape
    extra = output_padding
    full = np.zeros((count, (height - 1) * stride + rows, (width - 1) * stride + columns, filters))
    for i in range(height):
        for j in range(width):
            patch = np.einsum("bc,yxfc->byxf", x[:, i, j].astype("float64"), kernel)
            top, left = i * stride, j * stride
            full[:, top : top + rows, left : left + columns] += patch
    full = np.pad(full, ((0, 0), (0, extra), (0, extra), (0, 0)))
    end_y, end_x = full.shape[1] - padding, full.shape[2] - padding
    return full[:, padding:end_y, padding:end_x]


def run(layer, x):
    """The layer's output; under JAX compiled as a whole, not one operation at a time."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.jit(layer)(x))
    return ops.convert_to_numpy(layer(x))


def check(layer, x, expected):
    """The layer's values, and the shape it foretells."""
    np.testing.assert_allclose(run(layer, x), expected, rtol=0, atol=1e-5)
    assert tuple(layer.compute_output_shape(x.shape)) == expected.shape


def filled(layer, shape, seed=0):
    """The layer built, with weights of order 1, and an input of that shape."""
    random = np.random.default_rng(seed)
    layer.build(shape)
    layer.set_weights([random.standard_normal(w.shape).astype("float32") for w in layer.weights])
    return layer, random.standard_normal(shape).astype("float32")


FORWARD = [
    # kernel, stride, padding, dilation, use_bias, (height, width)
    (1, 1, 0, 1, True, (5, 4)),
    (1, 2, 0, 1, False, (5, 4)),
    (1, 2, "same", 1, True, (6, 7)),
    (1, 1, 1, 1, True, (5, 4)),
    (3, 1, 1, 1, False, (5, 4)),
    (3, 1, 0, 1, True, (5, 6)),
    (3, 2, 1, 1, True, (8, 7)),
    (3, 2, "same", 1, False, (8, 7)),
    (3, 1, "same", 2, True, (7, 6)),
    (3, 1, 2, 2, True, (7, 6)),
    (3, 1, 1, 2, True, (7, 6)),
    (5, 1, 2, 1, True, (5, 6)),
    (5, 2, 2, 1, True, (9, 8)),
    (5, 2, "same", 1, True, (9, 8)),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "bias", "size"), FORWARD)
def test_conv2d(kernel, stride, padding, dilation, bias, size):
    layer = Conv2D(4, kernel, stride, padding, dilation_rate=dilation, use_bias=bias)
    layer, x = filled(layer, (2, *size, 3))
    weights, *shift = layer.get_weights()
    check(layer, x, convolved(x, weights, stride, padding, dilation) + sum(shift))


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "bias", "size"), FORWARD)
def test_depthwise_conv2d(kernel, stride, padding, dilation, bias, size):
    layer = DepthwiseConv2D(kernel, stride, padding, dilation_rate=dilation, use_bias=bias)
    layer, x = filled(layer, (2, *size, 3))
    weights, *shift = layer.get_weights()
    weights = weights.transpose(0, 1, 3, 2)
    check(layer, x, convolved(x, weights, stride, padding, dilation, 3) + sum(shift))


def test_depthwise_conv2d_with_two_outputs_per_channel():
    layer, x = filled(DepthwiseConv2D(3, 2, 1, depth_multiplier=2), (2, 7, 6, 3))
    weights, bias = layer.get_weights()
    check(layer, x, convolved(x, weights.reshape(3, 3, 1, 6), 2, 1, groups=3) + bias)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [(1, 1, 0, 1, 2), (1, 2, 0, 1, 2), (3, 1, 1, 1, 4), (5, 2, 2, 1, 2), (3, 1, 2, 2, 2)],
)
def test_grouped_conv2d(kernel, stride, padding, dilation, groups):
    layer = Conv2D(8, kernel, stride, padding, dilation_rate=dilation, groups=groups)
    layer, x = filled(layer, (2, 7, 6, 4))
    weights, bias = layer.get_weights()
    expected = convolved(x, weights, stride, padding, dilation, groups) + bias
    check(layer, x, expected)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape():
            np.testing.assert_allclose(layer(x), expected, rtol=0, atol=1e-5)


def test_grouped_convolutions_learn():
    """Their gradient, through a step of gradient descent on the sum of the outputs."""
    layer, x = filled(Conv2D(4, 3, 2, 1, groups=2, use_bias=False), (2, 5, 4, 4))
    before = layer.get_weights()[0]
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(1.0), "mae")
    low = np.full((2, 3, 2, 4), -1e3, "float32")
    model.train_on_batch(x, low)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    sums = [
        [padded[:, i : i + 5 : 2, j : j + 3 : 2].sum((0, 1, 2)) for j in range(3)] for i in range(3)
    ]
    sums = np.array(sums).reshape(3, 3, 2, 2)
    gradient = np.repeat(sums, 2, axis=2).transpose(0, 1, 3, 2) / low.size
    np.testing.assert_allclose(before - layer.get_weights()[0], gradient, rtol=0, atol=1e-5)


def test_padding_may_differ_between_rows_and_columns():
    layer, x = filled(Conv2D(2, (3, 1), 1, (1, 0)), (1, 4, 5, 3))
    weights, bias = layer.get_weights()
    wider = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    check(layer, x, convolved(wider, weights) + bias)


TRANSPOSED = [
    # kernel, stride, padding, output_padding
    (4, 2, 1, 0),
    (2, 2, 0, 0),
    (3, 2, 1, 1),
    (3, 2, 1, 0),
    (3, 2, 0, 0),
    (3, 2, 0, 1),
    (4, 2, 1, 1),
    (3, 1, 1, 0),
    (1, 2, 0, 1),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "output_padding"), TRANSPOSED)
def test_conv2d_transpose(kernel, stride, padding, output_padding):
    layer = Conv2DTranspose(4, kernel, stride, padding, output_padding)
    layer, x = filled(layer, (2, 4, 3, 3))
    weights, bias = layer.get_weights()
    check(layer, x, transposed(x, weights, stride, padding, output_padding) + bias)


@pytest.mark.parametrize(("kernel", "stride", "padding", "output_padding"), TRANSPOSED)
def test_grouped_conv2d_transpose(kernel, stride, padding, output_padding):
    layer = Conv2DTranspose(6, kernel, stride, padding, output_padding, groups=2)
    layer, x = filled(layer, (2, 4, 3, 4))
    weights, bias = layer.get_weights()
    assert weights.shape == (kernel, kernel, 3, 4)
    check(layer, x, transposed(x, weights, stride, padding, output_padding, 2) + bias)


def test_conv2d_transpose_with_a_group_per_channel():
    layer, x = filled(Conv2DTranspose(4, 4, 2, 1, groups=4), (2, 4, 3, 4))
    weights, bias = layer.get_weights()
    check(layer, x, transposed(x, weights, 2, 1, 0, 4) + bias)


def test_groups_of_a_transposed_convolution_divide_its_channels():
    with pytest.raises(ValueError, match="filters must be a multiple of groups 3, got 4"):
        Conv2DTranspose(4, 4, 2, 1, groups=3)
    with pytest.raises(ValueError, match="channels must be a multiple of groups 2, got 3"):
        Conv2DTranspose(4, 4, 2, 1, groups=2).build((1, 4, 4, 3))


@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(3, 3, padding=1, activation="relu"),
        DepthwiseConv2D(3, padding=1, activation="relu"),
        Conv2DTranspose(3, 2, 2, activation="relu"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_activation_is_applied(layer):
    layer, x = filled(layer, (1, 4, 4, 3))
    assert run(layer, x).min() == 0


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
def test_a_padding_that_is_no_number_is_refused(kind):
    with pytest.raises(ValueError, match='got "valid"'):
        kind(3, 3, padding="valid")


def test_a_transposed_convolution_has_no_same_padding():
    with pytest.raises(ValueError, match="padding"):
        Conv2DTranspose(3, 3, padding="same")


LAYERS = {
    "conv": lambda **options: Conv2D(4, 3, 2, 1, **options),
    "pointwise": lambda **options: Conv2D(4, 1, **options),
    "depthwise": lambda **options: DepthwiseConv2D(3, 2, "same", **options),
    "transposed": lambda **options: Conv2DTranspose(4, 4, 2, 1, 1, **options),
    "grouped": lambda **options: Conv2D(4, 3, 2, 1, groups=2, **options),
    "grouped_transposed": lambda **options: Conv2DTranspose(4, 4, 2, 1, groups=2, **options),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_values_follow_the_weights(kind):
    """Fast paths keep rearranged kernels between calls; each change has to be noticed."""
    layer, x = filled(LAYERS[kind](), (1, 6, 6, 4))
    model = keras.Sequential([layer])
    before = model.predict_on_batch(x)
    layer.kernel.assign(2 * layer.kernel)
    layer.bias.assign(2 * layer.bias)
    np.testing.assert_allclose(model.predict_on_batch(x), 2 * before, rtol=1e-5)
    layer.set_weights([0.5 * w for w in layer.get_weights()])
    np.testing.assert_allclose(model.predict_on_batch(x), before, rtol=1e-5)


def test_values_follow_training():
    layer, x = filled(Conv2D(4, 3, padding=1), (1, 6, 6, 4))
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    before = model.predict_on_batch(x)
    model.train_on_batch(x, np.zeros_like(before))
    after = model.predict_on_batch(x)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, run(layer, x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_made_from_a_config_is_the_same(kind):
    layer = LAYERS[kind](use_bias=False)
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"].startswith("keras_pose>")
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == layer.get_config()
    assert copy.compute_output_shape((1, 7, 6, 4)) == layer.compute_output_shape((1, 7, 6, 4))


@pytest.mark.parametrize("kind", LAYERS)
def test_mixed_precision_computes_in_half(kind):
    layer = LAYERS[kind](dtype="mixed_float16")
    layer.build((1, 4, 4, 4))
    assert layer.kernel.dtype == "float32"
    x = np.ones((1, 4, 4, 4), np.float32)
    assert keras.backend.standardize_dtype(layer(x).dtype) == "float16"


@pytest.mark.parametrize("kind", LAYERS)
def test_images_are_channels_last_whatever_keras_is_set_to(kind):
    layer, x = filled(LAYERS[kind](), (1, 6, 5, 4))
    expected = run(layer, x)
    keras.config.set_image_data_format("channels_first")
    try:
        other, _ = filled(LAYERS[kind](), (1, 6, 5, 4))
        np.testing.assert_array_equal(run(other, x), expected)
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("kind", LAYERS)
def test_channels_first_is_refused(kind):
    with pytest.raises(ValueError, match="data_format must be"):
        LAYERS[kind](data_format="channels_first")
