"""Convolutions under TensorFlow: those of `keras.ops`, but for training in groups on a CPU.

Keras compiles training steps with XLA, whose grouped convolutions have slow gradients there.
"""

import functools
from contextlib import contextmanager
from contextvars import ContextVar

from keras import ops

from keras_pose.layers import convolution_ops
from keras_pose.layers.convolution_grouped import convolve_grouped
from keras_pose.layers.convolution_ops import convolve_depthwise  # noqa: F401

_for_converters = ContextVar("keras_pose_convolutions_for_converters", default=False)


@contextmanager
def convolutions_for_converters():
    """Graphs made in here have TensorFlow's own grouped convolutions.

    Keras compiles each with XLA, without which TensorFlow cannot run it on a CPU; converters to
    other formats do not know such functions, and run nothing.
    """
    token = _for_converters.set(True)
    try:
        yield
    finally:
        _for_converters.reset(token)


@functools.cache
def _on_cpu() -> bool:
    import tensorflow as tf

    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())


def _trained_in_groups(layer) -> bool:
    # No public name says whether a tape runs.
    from tensorflow.python.eager import record

    return layer.groups != 1 and record.could_possibly_record() and _on_cpu()


def _uncompiled(x, kernel, strides, padding, data_format, dilation_rate):
    import tensorflow as tf

    kernel = ops.convert_to_tensor(kernel)
    return tf.nn.convolution(x, kernel, strides, padding.upper(), "NHWC", dilation_rate)


def convolve(layer, x):
    if layer.groups != 1 and _for_converters.get():
        return convolution_ops.convolve(layer, x, _uncompiled)
    if layer.pads == "same" or not _trained_in_groups(layer):
        return convolution_ops.convolve(layer, x)
    pads = [(pad, pad) for pad in layer.pads]
    kernel = ops.convert_to_tensor(layer.kernel)
    x = convolve_grouped(x, kernel, layer.groups, layer.strides, pads, layer.dilation_rate)
    return x if layer.bias is None else x + ops.convert_to_tensor(layer.bias)


def convolve_transposed(layer, x):
    if not _trained_in_groups(layer):
        return convolution_ops.convolve_transposed(layer, x)
    convolve = functools.partial(convolve_grouped, groups=layer.groups)
    return convolution_ops.convolve_transposed(layer, x, convolve)
