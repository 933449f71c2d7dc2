"""Convolution over frames."""

import keras
from keras import ops

from keras_pose.layers.initialization import LazyInitialization


@keras.saving.register_keras_serializable(package="keras_pose")
class Conv1D(LazyInitialization, keras.layers.Conv1D):
    """1D convolution without padding of sequences `(B, T, C)`, as one matrix product.

    Stride and dilation are arguments of the call: a network may run over windows or over whole
    films with the same weights.

    Args:
        filters: int, number of output channels.
        kernel_size: int.
        use_bias: bool.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        # PyTorch's initial values: uniform within 1 / sqrt(channels * kernel_size).
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        kwargs.setdefault("kernel_initializer", uniform)
        kwargs.setdefault("data_format", "channels_last")
        super().__init__(filters, kernel_size, **kwargs)

    def call(self, inputs, stride=1, dilation=1):
        kernel, (frames, channels) = self.kernel_size[0], ops.shape(inputs)[1:]
        length = (frames - dilation * (kernel - 1) - 1) // stride + 1
        if kernel == stride and dilation == 1:
            taps = ops.reshape(inputs[:, : length * kernel], (-1, length, kernel * channels))
        else:
            starts = [i * dilation for i in range(kernel)]
            reach = (length - 1) * stride + 1
            taps = [inputs[:, start : start + reach : stride] for start in starts]
            taps = taps[0] if kernel == 1 else ops.concatenate(taps, axis=-1)
        weights = ops.reshape(self.kernel, (kernel * channels, self.filters))
        x = ops.matmul(taps, weights)
        return x + self.bias if self.use_bias else x

    def compute_output_spec(self, inputs, stride=1, dilation=1):
        kernel, frames = self.kernel_size[0], inputs.shape[1]
        length = (frames - dilation * (kernel - 1) - 1) // stride + 1
        return keras.KerasTensor((inputs.shape[0], length, self.filters), self.compute_dtype)
