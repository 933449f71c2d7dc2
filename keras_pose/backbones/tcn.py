"""Temporal convolutions over 2D poses, which lift them to 3D.

VideoPose3D (Pavllo et al., 2019, https://arxiv.org/abs/1811.11742), and with kernels of one frame
SimpleBaseline3D (Martinez et al., 2017, https://arxiv.org/abs/1705.03098).
"""

import math

import keras
from keras import ops

from keras_pose.layers import BatchNormalization, Composite, Conv1D, Stack


class TemporalConvModule(Composite):
    """Convolution over frames, batch normalisation, ReLU."""

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.conv = Conv1D(filters, kernel_size, use_bias=False)
        self.bn = BatchNormalization()

    def call(self, x, stride=1, dilation=1, training=None):
        x = self.conv(x, stride=stride, dilation=dilation)
        return ops.relu(self.bn(x, training=training))


class TemporalBlock(Composite):
    """A convolution over frames and one of each frame alone, added to their input."""

    def __init__(self, channels, kernel_size, dropout, causal, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = Stack([TemporalConvModule(channels, kernel_size)])
        self.conv2 = Stack([TemporalConvModule(channels, 1)])
        self.dropout = keras.layers.Dropout(dropout)
        self._kernel_size = kernel_size
        self._causal = causal

    def call(self, x, stride=1, dilation=1, training=None):
        y = self.conv1[0](x, stride=stride, dilation=dilation, training=training)
        y = self.dropout(y, training=training)
        y = self.dropout(self.conv2[0](y, training=training), training=training)
        # Of the frames that a convolution sees, its middle one, or the last.
        first = dilation * (self._kernel_size - 1 if self._causal else self._kernel_size // 2)
        reach = (ops.shape(y)[1] - 1) * stride + 1
        return x[:, first : first + reach : stride] + y


@keras.saving.register_keras_serializable(package="keras_pose")
class TCN(Composite):
    """Blocks of convolutions over the frames of 2D poses.

    A window of as many frames as the network sees becomes one frame, by convolutions with strides.
    Of longer sequences every such window becomes one, by dilated convolutions with the same
    weights: so is a film lifted in one pass.

    Args:
        kernel_sizes: odd ints, frames of the first convolution and of each block's.
        channels: int.
        dropout: float in 0..1.
        causal: bool, whether a window is for its last frame rather than for its middle one.

    Returns:
        List with each block's output `(B, T_i, channels)` of poses `(B, T, K, D)`; the last has
        `T - frames + 1` frames, where `frames` is the product of the kernel sizes.

    Raises:
        ValueError: if kernels are even, or a sequence is shorter than `frames`.
    """

    def __init__(self, kernel_sizes=(3, 3, 3), channels=1024, dropout=0.25, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.kernel_sizes = tuple(int(size) for size in kernel_sizes)
        if len(self.kernel_sizes) < 2 or any(size < 1 or size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f"kernel_sizes must be two or more odd ints, got {kernel_sizes}")
        self.channels = channels
        self.dropout = dropout
        self.causal = bool(causal)
        self.frames = math.prod(self.kernel_sizes)
        self.expand_conv = TemporalConvModule(channels, self.kernel_sizes[0])
        self.tcn_blocks = Stack(
            [TemporalBlock(channels, size, dropout, causal) for size in self.kernel_sizes[1:]]
        )
        self._dropout = keras.layers.Dropout(dropout)

    def call(self, x, training=None):
        frames, keypoints, dimensions = x.shape[1:]
        # TensorFlow traces films of several lengths once, for any length.
        if frames is not None and frames < self.frames:
            raise ValueError(
                f"the network sees {self.frames} frames at a time, got sequences of {frames}; "
                "repeat their first and last frame"
            )
        x = ops.reshape(x, (-1, ops.shape(x)[1], keypoints * dimensions))
        outputs, dilation = [], 1
        for size, layer in zip(
            self.kernel_sizes, [self.expand_conv, *self.tcn_blocks], strict=True
        ):
            if frames == self.frames:
                x = layer(x, stride=size, training=training)
            else:
                x = layer(x, dilation=dilation, training=training)
            if layer is self.expand_conv:
                x = self._dropout(x, training=training)
            else:
                outputs.append(x)
            dilation *= size
        return outputs

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_sizes": list(self.kernel_sizes),
            "channels": self.channels,
            "dropout": self.dropout,
            "causal": self.causal,
        }
