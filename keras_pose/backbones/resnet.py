"""ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385)."""

import keras
from keras import ops

from keras_pose.layers import BatchNormalization, Composite, Conv2D, Stack


class BasicBlock(Composite):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels, strides=1, shortcut=False, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = Conv2D(channels, 3, strides, padding=1, use_bias=False)
        self.bn1 = BatchNormalization()
        self.conv2 = Conv2D(channels, 3, padding=1, use_bias=False)
        self.bn2 = BatchNormalization()
        self.downsample = _shortcut(channels, strides) if shortcut else None

    def call(self, x, training=None):
        y = ops.relu(self.bn1(self.conv1(x), training=training))
        y = self.bn2(self.conv2(y), training=training)
        if self.downsample is not None:
            x = self.downsample(x, training=training)
        return ops.relu(x + y)


class Bottleneck(Composite):
    """1x1, 3x3 (which strides) and 1x1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, channels, strides=1, shortcut=False, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = Conv2D(channels, 1, use_bias=False)
        self.bn1 = BatchNormalization()
        self.conv2 = Conv2D(channels, 3, strides, padding=1, use_bias=False)
        self.bn2 = BatchNormalization()
        self.conv3 = Conv2D(4 * channels, 1, use_bias=False)
        self.bn3 = BatchNormalization()
        self.downsample = _shortcut(4 * channels, strides) if shortcut else None

    def call(self, x, training=None):
        y = ops.relu(self.bn1(self.conv1(x), training=training))
        y = ops.relu(self.bn2(self.conv2(y), training=training))
        y = self.bn3(self.conv3(y), training=training)
        if self.downsample is not None:
            x = self.downsample(x, training=training)
        return ops.relu(x + y)


def _shortcut(channels, strides):
    return Stack([Conv2D(channels, 1, strides, use_bias=False), BatchNormalization()])


# Depth: block, number of blocks per stage.
VARIANTS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


@keras.saving.register_keras_serializable(package="keras_pose")
class ResNet(Composite):
    """ResNet: images to feature maps.

    Args:
        depth: 18, 34, 50, 101 or 152.
        out_indices: which of the four stages to return (strides 4, 8, 16, 32), fine to coarse.
        base_channels: int, width of the first stage; 64 in every published model.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(self, depth=50, out_indices=(3,), base_channels=64, **kwargs):
        super().__init__(**kwargs)
        if depth not in VARIANTS:
            raise ValueError(f"depth must be one of {sorted(VARIANTS)}, got {depth}")
        self.depth = depth
        self.out_indices = tuple(out_indices)
        self.base_channels = base_channels
        if not self.out_indices or not all(0 <= i <= 3 for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..3, got {self.out_indices}")
        block, counts = VARIANTS[depth]
        self.conv1 = Conv2D(base_channels, 7, 2, padding=3, use_bias=False)
        self.bn1 = BatchNormalization()
        incoming = base_channels
        for number, count in enumerate(counts[: max(self.out_indices) + 1], start=1):
            channels = base_channels * 2 ** (number - 1)
            stage = Stack()
            for i in range(count):
                strides = 2 if number > 1 and i == 0 else 1
                shortcut = strides != 1 or incoming != channels * block.expansion
                stage.append(block(channels, strides, shortcut))
                incoming = channels * block.expansion
            setattr(self, f"layer{number}", stage)

    def call(self, x, training=None):
        x = ops.relu(self.bn1(self.conv1(x), training=training))
        # Zeros are neutral for a maximum after a ReLU.
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = ops.max_pool(x, 3, 2, padding="valid", data_format="channels_last")
        maps = []
        for index in range(max(self.out_indices) + 1):
            x = getattr(self, f"layer{index + 1}")(x, training=training)
            if index in self.out_indices:
                maps.append(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "depth": self.depth,
            "out_indices": self.out_indices,
            "base_channels": self.base_channels,
        }
