"""Convolutions under JAX.

On a CPU, XLA runs a depthwise convolution some sixty times slower than the same sum written as
shifted multiply-adds, and a 1x1 convolution slower than a matrix product; the gradient of a
transposed convolution's kernel takes it twenty times as long as that of an ordinary one.
Accelerators get the convolutions they have kernels for.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from keras import ops

from keras_pose.layers import convolution_ops
from keras_pose.layers.convolution_grouped import convolve_grouped

_LAYOUT = ("NHWC", "HWIO", "NHWC")


@functools.cache
def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _same_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def _pads(layer, x):
    if layer.pads != "same":
        return [(pad, pad) for pad in layer.pads]
    return [
        _same_pads(*sizes)
        for sizes in zip(
            x.shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
        )
    ]


def _with_bias(layer, x):
    return x if layer.bias is None else x + ops.convert_to_tensor(layer.bias)


def convolve(layer, x):
    kernel = ops.convert_to_tensor(layer.kernel)
    pointwise = layer.kernel_size == (1, 1) and layer.groups == 1 and layer.pads in ("same", (0, 0))
    if pointwise and _on_cpu():
        rows, columns = layer.strides
        x = x[:, ::rows, ::columns] if (rows, columns) != (1, 1) else x
        return _with_bias(layer, jnp.matmul(x, kernel[0, 0]))
    x = _grouped(x, kernel, layer.groups, layer.strides, _pads(layer, x), layer.dilation_rate)
    return _with_bias(layer, x)


def _grouped(x, kernel, groups, strides=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1)):
    if groups != 1 and _on_cpu():
        barrier = lax.optimization_barrier
        return convolve_grouped(x, kernel, groups, strides, pads, dilation, barrier)
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=_LAYOUT,
        feature_group_count=groups,
    )


def convolve_transposed(layer, x):
    convolve = functools.partial(_grouped, groups=layer.groups)
    return convolution_ops.convolve_transposed(layer, x, convolve, by_remainder=_on_cpu())


def convolve_depthwise(layer, x):
    kernel = ops.convert_to_tensor(layer.kernel)
    rows, columns, channels, multiplier = kernel.shape
    if multiplier != 1 or not _on_cpu():
        x = lax.conv_general_dilated(
            x,
            kernel.reshape(rows, columns, 1, channels * multiplier),
            layer.strides,
            _pads(layer, x),
            rhs_dilation=layer.dilation_rate,
            dimension_numbers=_LAYOUT,
            feature_group_count=channels,
        )
        return _with_bias(layer, x)
    pads = _pads(layer, x)
    (step_y, step_x), (dilate_y, dilate_x) = layer.strides, layer.dilation_rate
    # Without the barrier XLA pads anew inside every one of the shifted reads.
    x = lax.optimization_barrier(jnp.pad(x, ((0, 0), *pads, (0, 0))))
    height = (x.shape[1] - dilate_y * (rows - 1) - 1) // step_y + 1
    width = (x.shape[2] - dilate_x * (columns - 1) - 1) // step_x + 1
    total = None
    for i in range(rows):
        for j in range(columns):
            top, left = i * dilate_y, j * dilate_x
            shifted = x[
                :,
                top : top + step_y * (height - 1) + 1 : step_y,
                left : left + step_x * (width - 1) + 1 : step_x,
            ]
            term = shifted * kernel[i, j, :, 0]
            total = term if total is None else total + term
    return _with_bias(layer, total)
