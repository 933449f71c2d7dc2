"""Convolutions through `keras.ops`, the standard layers' own path."""

from keras import ops

from keras_pose.layers.convolution_grouped import convolve_transposed_grouped


def _padded(layer, x):
    """Pads as PyTorch does where Keras' "same" would pad differently; returns (x, padding)."""
    if layer.pads == "same":
        return x, "same"
    spans = [
        dilation * (kernel - 1)
        for kernel, dilation in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    ]
    if layer.strides == (1, 1) and all(2 * p == s for p, s in zip(layer.pads, spans, strict=True)):
        return x, "same"
    if any(layer.pads):
        rows, columns = layer.pads
        x = ops.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    return x, "valid"


def convolve(layer, x, operation=ops.conv):
    return _convolved(layer, x, operation)


def convolve_depthwise(layer, x):
    return _convolved(layer, x, ops.depthwise_conv)


def _convolved(layer, x, operation):
    x, padding = _padded(layer, x)
    x = operation(
        x,
        layer.kernel,
        strides=layer.strides,
        padding=padding,
        data_format="channels_last",
        dilation_rate=layer.dilation_rate,
    )
    return _with_bias(layer, x)


def _with_bias(layer, x):
    return x if layer.bias is None else ops.add(x, layer.bias)


def _valid(x, kernel):
    return ops.conv(x, kernel, padding="valid", data_format="channels_last")


def convolve_transposed(layer, x, convolve=_valid, by_remainder=False):
    """A transposed convolution.

    In groups, or if that is asked for, it is made of `convolve` of a padded x and a kernel, see
    `convolve_transposed_grouped`.
    """
    height, width = layer.output_size(x.shape)
    if layer.groups == 1 and not by_remainder:
        multiplied = all(
            extra == 0 and kernel - 2 * pad == stride
            for kernel, pad, stride, extra in zip(
                layer.kernel_size, layer.pads, layer.strides, layer.output_pads, strict=True
            )
        )
        x = ops.conv_transpose(
            x,
            layer.kernel,
            strides=layer.strides,
            padding="same" if multiplied else "valid",
            data_format="channels_last",
        )
        if multiplied:
            return _with_bias(layer, x)
    else:
        x = convolve_transposed_grouped(layer, x, convolve)
    rows, columns = layer.pads
    below = max(rows + height - x.shape[1], 0)
    right = max(columns + width - x.shape[2], 0)
    if below or right:
        x = ops.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))
    return _with_bias(layer, x[:, rows : rows + height, columns : columns + width])
