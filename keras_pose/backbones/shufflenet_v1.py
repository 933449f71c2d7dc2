"""ShuffleNet (Zhang et al., 2017, https://arxiv.org/abs/1707.01083)."""

import keras
from keras import ops

from keras_pose.backbones.mobilenet_v2 import rounded_width
from keras_pose.layers import (
    Composite,
    ConvModule,
    Stack,
    average_pool,
    channel_shuffle,
    max_pool,
)

# Groups: widths of the three stages; table 1 of the paper.
WIDTHS = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
BLOCKS = (4, 8, 4)


class ShuffleUnit(Composite):
    """Grouped 1x1, shuffled depthwise 3x3 and grouped 1x1 convolutions, and a shortcut.

    A unit of stride 2 puts its averaged input before its new channels, others add the input.

    Args:
        in_channels, out_channels: ints.
        groups: int, of the last convolution and the shuffle.
        first_groups: int, of the first convolution.
        strides: 1 or 2.
    """

    def __init__(self, in_channels, out_channels, groups, first_groups, strides, **kwargs):
        super().__init__(**kwargs)
        middle = out_channels // 4
        added = out_channels - in_channels if strides == 2 else out_channels
        self.g_conv_1x1_compress = ConvModule(middle, 1, groups=first_groups)
        self.depthwise_conv3x3_bn = ConvModule(None, 3, strides, activation=None)
        self.g_conv_1x1_expand = ConvModule(added, 1, groups=groups, activation=None)
        start_shuffled(self.g_conv_1x1_compress, in_channels // first_groups)
        start_shuffled(self.depthwise_conv3x3_bn, 1)
        start_shuffled(self.g_conv_1x1_expand, middle // groups)
        self._groups = groups
        self._strides = strides

    def call(self, x, training=None):
        y = self.g_conv_1x1_compress(x, training=training)
        y = self.depthwise_conv3x3_bn(y, training=training)
        y = self.g_conv_1x1_expand(channel_shuffle(y, self._groups), training=training)
        if self._strides == 1:
            return ops.relu(x + y)
        return ops.concatenate([average_pool(x, 3, 2, padding=1), ops.relu(y)], axis=-1)


def start_shuffled(module: ConvModule, fan_in: int, deviation: float | None = None) -> None:
    """Gives a module the initial values that ShuffleNets have in MMPose 1.3.2.

    Args:
        fan_in: int, input channels of each group.
        deviation: of the kernel's normal distribution; default: `1 / fan_in`.
    """
    normal = keras.initializers.RandomNormal(stddev=deviation or 1 / fan_in)
    for name in ("kernel_initializer", "depthwise_initializer"):
        if hasattr(module.conv, name):
            setattr(module.conv, name, normal)
    module.bn.beta_initializer = keras.initializers.Constant(1e-4)


@keras.saving.register_keras_serializable(package="keras_pose")
class ShuffleNetV1(Composite):
    """ShuffleNet: images to feature maps.

    Args:
        groups: int, of the 1x1 convolutions: 1, 2, 3, 4 or 8; the more, the wider.
        widen_factor: float, multiplies all widths.
        out_indices: which of the three stages to return (strides 8, 16, 32), fine to coarse.

    Returns:
        List of maps `(B, h, w, C)`.

    Raises:
        ValueError: if an argument has no such value, or widths cannot be split into the groups.
    """

    def __init__(self, groups=3, widen_factor=1.0, out_indices=(2,), **kwargs):
        super().__init__(**kwargs)
        if groups not in WIDTHS:
            raise ValueError(f"groups must be one of {sorted(WIDTHS)}, got {groups}")
        self.groups = groups
        self.widen_factor = widen_factor
        self.out_indices = tuple(out_indices)
        if not self.out_indices or not all(0 <= i <= 2 for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..2, got {self.out_indices}")
        channels = int(24 * widen_factor)
        self.conv1 = ConvModule(channels, 3, 2)
        self.layers = Stack()
        for index in range(max(self.out_indices) + 1):
            stage = Stack()
            width = rounded_width(WIDTHS[groups][index] * widen_factor)
            for i in range(BLOCKS[index]):
                first_groups = 1 if index == i == 0 else groups
                stage.append(ShuffleUnit(channels, width, groups, first_groups, 2 if i == 0 else 1))
                channels = width
            self.layers.append(stage)

    def call(self, x, training=None):
        x = max_pool(self.conv1(x, training=training), 3, 2, padding=1, nonnegative=True)
        maps = []
        for index, stage in enumerate(self.layers):
            x = stage(x, training=training)
            if index in self.out_indices:
                maps.append(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "widen_factor": self.widen_factor,
            "out_indices": self.out_indices,
        }
