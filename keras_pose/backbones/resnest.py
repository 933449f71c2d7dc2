"""ResNeSt, split-attention networks (Zhang et al., 2020, https://arxiv.org/abs/2004.08955)."""

import keras
from keras import ops

from keras_pose.backbones.residual import (
    ResidualNetwork,
    add_shortcut,
    checked_depth,
    last_normalization,
)
from keras_pose.layers import BatchNormalization, Composite, Conv2D, average_pool


class SplitAttention(Composite):
    """Two 3x3 convolutions, each of half of the channels; attention weighs their outputs.

    Args:
        filters: int, output channels.
        reduction: int, the attention squeezes `2 * filters` channels by this, to 32 at least.
    """

    def __init__(self, filters, reduction=4, **kwargs):
        super().__init__(**kwargs)
        self.conv = Conv2D(2 * filters, 3, padding=1, groups=2, use_bias=False)
        self.bn0 = BatchNormalization()
        self.fc1 = Conv2D(max(2 * filters // reduction, 32), 1)
        self.bn1 = BatchNormalization()
        self.fc2 = Conv2D(2 * filters, 1)

    def call(self, x, training=None):
        x = ops.relu(self.bn0(self.conv(x), training=training))
        first, second = ops.split(x, 2, axis=-1)
        means = ops.mean(first + second, axis=(1, 2), keepdims=True)
        squeezed = ops.relu(self.bn1(self.fc1(means), training=training))
        logits = ops.reshape(self.fc2(squeezed), (-1, 1, 2, first.shape[-1]))
        weights = ops.softmax(logits, axis=2)
        return first * weights[:, :, :1] + second * weights[:, :, 1:]


class SplitAttentionBottleneck(Composite):
    """1x1 convolution, split attention, averaging where it strides, 1x1 convolution, shortcut."""

    def __init__(self, filters, strides=1, downsample=None, zero_init=True, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = Conv2D(filters // 4, 1, use_bias=False)
        self.bn1 = BatchNormalization()
        self.conv2 = SplitAttention(filters // 4)
        self.conv3 = Conv2D(filters, 1, use_bias=False)
        self.bn3 = last_normalization(zero_init)
        self.downsample = downsample
        self._step = strides

    def call(self, x, training=None):
        y = ops.relu(self.bn1(self.conv1(x), training=training))
        y = self.conv2(y, training=training)
        if self._step != 1:
            y = average_pool(y, 3, self._step, padding=1)
        y = self.bn3(self.conv3(y), training=training)
        return add_shortcut(self, x, y, training)


# Depth: number of blocks per stage.
VARIANTS = {
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    269: (3, 30, 48, 8),
}


@keras.saving.register_keras_serializable(package="keras_pose")
class ResNeSt(ResidualNetwork):
    """ResNeSt of radix 2 and cardinality 1: images to feature maps.

    Args:
        depth: 50, 101, 152, 200 or 269.
        out_indices: which of the four stages to return (strides 4, 8, 16, 32), fine to coarse.
        base_channels: int, a quarter of the first stage's width; 64 in every published model.
        deep_stem: bool; here true by default.
        avg_down: bool; here true by default.
        stem_channels, strides, zero_init_residual: see `ResidualNetwork`.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(self, depth=50, deep_stem=True, avg_down=True, **kwargs):
        super().__init__(deep_stem=deep_stem, avg_down=avg_down, **kwargs)
        self.depth = checked_depth(depth, VARIANTS)
        widths = [4 * self.base_channels * 2**stage for stage in range(4)]
        self._assemble(VARIANTS[depth], widths, self._block)

    def _block(self, index, filters, strides, downsample):
        return SplitAttentionBottleneck(filters, strides, downsample, self.zero_init_residual)

    def get_config(self):
        return {**super().get_config(), "depth": self.depth}
