"""Convolutions through `keras.ops`: the standard layers' own path, used under TensorFlow."""

from keras import ops


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


def convolve(layer, x):
    x, padding = _padded(layer, x)
    x = ops.conv(
        x, layer.kernel, strides=layer.strides, padding=padding, dilation_rate=layer.dilation_rate
    )
    return x if layer.bias is None else ops.add(x, layer.bias)


def convolve_depthwise(layer, x):
    x, padding = _padded(layer, x)
    x = ops.depthwise_conv(
        x, layer.kernel, strides=layer.strides, padding=padding, dilation_rate=layer.dilation_rate
    )
    return x if layer.bias is None else ops.add(x, layer.bias)


def convolve_transposed(layer, x):
    height, width = layer.output_size(x.shape)
    if all(
        kernel - 2 * pad == stride
        for kernel, pad, stride in zip(layer.kernel_size, layer.pads, layer.strides, strict=True)
    ):
        x = ops.conv_transpose(x, layer.kernel, strides=layer.strides, padding="same")
    else:
        x = ops.conv_transpose(x, layer.kernel, strides=layer.strides, padding="valid")
        rows, columns = layer.pads
        x = x[:, rows : rows + height, columns : columns + width]
    return x if layer.bias is None else ops.add(x, layer.bias)
