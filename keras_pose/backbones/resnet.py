"""ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385) and what others changed in its blocks.

ResNetV1d (He et al., 2018, https://arxiv.org/abs/1812.01187), ResNeXt (Xie et al., 2016,
https://arxiv.org/abs/1611.05431) and SE-ResNet (Hu et al., 2017,
https://arxiv.org/abs/1709.01507) are settings of the one class.
"""

import keras
from keras import ops

from keras_pose.backbones.residual import (
    ResidualNetwork,
    add_shortcut,
    checked_depth,
    last_normalization,
)
from keras_pose.layers import BatchNormalization, Composite, Conv2D, SqueezeExcite


class BasicBlock(Composite):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, filters, strides=1, downsample=None, dilation=1, zero_init=True, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = Conv2D(
            filters, 3, strides, padding=dilation, dilation_rate=dilation, use_bias=False
        )
        self.bn1 = BatchNormalization()
        self.conv2 = Conv2D(filters, 3, padding=1, use_bias=False)
        self.bn2 = last_normalization(zero_init)
        self.downsample = downsample

    def call(self, x, training=None):
        y = ops.relu(self.bn1(self.conv1(x), training=training))
        y = self.bn2(self.conv2(y), training=training)
        return add_shortcut(self, x, y, training)


class Bottleneck(Composite):
    """1x1, 3x3 and 1x1 convolutions and a shortcut.

    Args:
        filters: int, output channels.
        middle: int, channels of the 3x3 convolution.
        strides: int.
        downsample: layer of the shortcut, or None.
        dilation: int, of the 3x3 convolution.
        groups: int, of the 3x3 convolution.
        squeeze: int, channels of the squeeze and excitation before the addition; 0 for none.
        first_strides: bool, whether the first convolution strides instead of the 3x3.
        zero_init: bool, whether the last normalisation starts at scale 0.
    """

    expansion = 4

    def __init__(
        self,
        filters,
        middle,
        strides=1,
        downsample=None,
        dilation=1,
        groups=1,
        squeeze=0,
        first_strides=False,
        zero_init=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        first, second = (strides, 1) if first_strides else (1, strides)
        self.conv1 = Conv2D(middle, 1, first, use_bias=False)
        self.bn1 = BatchNormalization()
        self.conv2 = Conv2D(
            middle,
            3,
            second,
            padding=dilation,
            dilation_rate=dilation,
            groups=groups,
            use_bias=False,
        )
        self.bn2 = BatchNormalization()
        self.conv3 = Conv2D(filters, 1, use_bias=False)
        self.bn3 = last_normalization(zero_init)
        self.se_layer = SqueezeExcite(filters, squeeze, gate="sigmoid") if squeeze else None
        self.downsample = downsample

    def call(self, x, training=None):
        y = ops.relu(self.bn1(self.conv1(x), training=training))
        y = ops.relu(self.bn2(self.conv2(y), training=training))
        y = self.bn3(self.conv3(y), training=training)
        if self.se_layer is not None:
            y = self.se_layer(y)
        return add_shortcut(self, x, y, training)


# Depth: block, number of blocks per stage.
VARIANTS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


@keras.saving.register_keras_serializable(package="keras_pose")
class ResNet(ResidualNetwork):
    """ResNet: images to feature maps.

    | network | settings |
    |---|---|
    | ResNetV1d | `deep_stem=True, avg_down=True` |
    | ResNeXt 32x4d | `groups=32, width_per_group=4` |
    | SE-ResNet | `se_ratio=16` |

    Args:
        depth: 18, 34, 50, 101 or 152; `groups` and `se_ratio` need 50 or more.
        out_indices: which of the four stages to return (strides 4, 8, 16, 32), fine to coarse.
        base_channels: int, width of the first stage's 3x3 convolutions; 64 in every published
            model.
        dilations: of the four stages' 3x3 convolutions.
        groups: int, groups of the 3x3 convolutions.
        width_per_group: int, channels of a group in the first stage where `base_channels` is 64;
            has no effect with one group.
        se_ratio: int, channels per channel of the squeeze and excitation that each block ends in;
            0 for none.
        style: "pytorch" strides in the 3x3 convolution of a bottleneck, "caffe" in the first.
        stem_channels, strides, deep_stem, avg_down, zero_init_residual: see `ResidualNetwork`.

    Returns:
        List of maps `(B, h, w, C)`.

    Example:

        network = keras_pose.backbones.ResNet(50, deep_stem=True, avg_down=True)
        [features] = network(keras.ops.zeros((1, 256, 192, 3)))  # (1, 8, 6, 2048)
    """

    def __init__(
        self,
        depth=50,
        out_indices=(3,),
        base_channels=64,
        dilations=(1, 1, 1, 1),
        groups=1,
        width_per_group=4,
        se_ratio=0,
        style="pytorch",
        **kwargs,
    ):
        super().__init__(out_indices=out_indices, base_channels=base_channels, **kwargs)
        self.depth = checked_depth(depth, VARIANTS)
        self.dilations = tuple(dilations)
        self.groups = groups
        self.width_per_group = width_per_group
        self.se_ratio = se_ratio
        self.style = style
        if style not in ("pytorch", "caffe"):
            raise ValueError(f'style must be "pytorch" or "caffe", got "{style}"')
        if len(self.dilations) <= max(self.out_indices):
            raise ValueError(
                f"dilations must name every stage up to {max(self.out_indices)}, "
                f"got {self.dilations}"
            )
        kind, counts = VARIANTS[depth]
        if kind is BasicBlock and (groups != 1 or se_ratio):
            raise ValueError(f"groups and se_ratio need a depth of 50 or more, got {depth}")
        widths = [base_channels * 2**stage * kind.expansion for stage in range(4)]
        self._assemble(counts, widths, self._basic if kind is BasicBlock else self._bottleneck)

    def _basic(self, index, filters, strides, downsample):
        return BasicBlock(
            filters, strides, downsample, self.dilations[index], self.zero_init_residual
        )

    def _bottleneck(self, index, filters, strides, downsample):
        middle = filters // Bottleneck.expansion
        if self.groups != 1:
            middle = self.groups * self.width_per_group * middle // self.base_channels
        return Bottleneck(
            filters,
            middle,
            strides,
            downsample,
            dilation=self.dilations[index],
            groups=self.groups,
            squeeze=filters // self.se_ratio if self.se_ratio else 0,
            first_strides=self.style == "caffe",
            zero_init=self.zero_init_residual,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "depth": self.depth,
            "dilations": self.dilations,
            "groups": self.groups,
            "width_per_group": self.width_per_group,
            "se_ratio": self.se_ratio,
            "style": self.style,
        }
