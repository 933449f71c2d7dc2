"""SCNet, self-calibrated convolutions (Liu et al., CVPR 2020).

https://openaccess.thecvf.com/content_CVPR_2020/html/Liu_Improving_Convolutional_Networks_With_Self-Calibrated_Convolutions_CVPR_2020_paper.html
"""

import keras
from keras import ops

from keras_pose.backbones.residual import (
    ResidualNetwork,
    add_shortcut,
    checked_depth,
    last_normalization,
)
from keras_pose.layers import (
    AveragePool,
    BatchNormalization,
    Composite,
    Conv2D,
    Stack,
    resize,
)


def _normalized(filters, strides=1, activation=None):
    """3x3 convolution, normalisation and an activation, numbered 0 to 2."""
    layers = [Conv2D(filters, 3, strides, padding=1, use_bias=False), BatchNormalization()]
    return Stack([*layers, keras.layers.Activation(activation)] if activation else layers)


class SelfCalibratedConv(Composite):
    """A convolution gated by what a coarser look at the same map says."""

    def __init__(self, filters, strides=1, pooling=4, **kwargs):
        super().__init__(**kwargs)
        self.k2 = Stack(
            [
                AveragePool(pooling),
                Conv2D(filters, 3, padding=1, use_bias=False),
                BatchNormalization(),
            ]
        )
        self.k3 = _normalized(filters)
        self.k4 = _normalized(filters, strides, "relu")

    def call(self, x, training=None):
        coarse = resize(self.k2(x, training=training), x.shape[1:3], interpolation="nearest")
        gate = ops.sigmoid(x + coarse)
        return self.k4(self.k3(x, training=training) * gate, training=training)


class SelfCalibratedBottleneck(Composite):
    """A plain 3x3 convolution beside a self-calibrated one, between 1x1 convolutions."""

    def __init__(self, filters, strides=1, downsample=None, zero_init=True, **kwargs):
        super().__init__(**kwargs)
        middle = filters // 4 // 2
        self.conv1 = Conv2D(middle, 1, use_bias=False)
        self.bn1 = BatchNormalization()
        self.k1 = _normalized(middle, strides, "relu")
        self.conv2 = Conv2D(middle, 1, use_bias=False)
        self.bn2 = BatchNormalization()
        self.scconv = SelfCalibratedConv(middle, strides)
        self.conv3 = Conv2D(filters, 1, use_bias=False)
        self.bn3 = last_normalization(zero_init)
        self.downsample = downsample

    def call(self, x, training=None):
        plain = ops.relu(self.bn1(self.conv1(x), training=training))
        plain = self.k1(plain, training=training)
        calibrated = ops.relu(self.bn2(self.conv2(x), training=training))
        calibrated = self.scconv(calibrated, training=training)
        y = self.conv3(ops.concatenate([plain, calibrated], axis=-1))
        return add_shortcut(self, x, self.bn3(y, training=training), training)


# Depth: number of blocks per stage.
VARIANTS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


@keras.saving.register_keras_serializable(package="keras_pose")
class SCNet(ResidualNetwork):
    """SCNet: images to feature maps.

    Args:
        depth: 50 or 101.
        out_indices: which of the four stages to return (strides 4, 8, 16, 32), fine to coarse.
            Every stage needs at least 4 x 4 pixels to read.
        base_channels: int, a quarter of the first stage's width; 64 in every published model.
        stem_channels, strides, deep_stem, avg_down, zero_init_residual: see `ResidualNetwork`.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(self, depth=50, **kwargs):
        super().__init__(**kwargs)
        self.depth = checked_depth(depth, VARIANTS)
        widths = [4 * self.base_channels * 2**stage for stage in range(4)]
        self._assemble(VARIANTS[depth], widths, self._block)

    def _block(self, index, filters, strides, downsample):
        return SelfCalibratedBottleneck(filters, strides, downsample, self.zero_init_residual)

    def get_config(self):
        return {**super().get_config(), "depth": self.depth}
