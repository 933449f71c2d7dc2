"""What ResNet and its kin share: the stem, the stages of residual blocks, the shortcuts."""

import keras
from keras import ops

from keras_pose.layers import (
    AveragePool,
    BatchNormalization,
    Composite,
    Conv2D,
    ConvModule,
    Stack,
    max_pool,
    set_kernel_initializer,
)


class ResidualNetwork(Composite):
    """A stem of stride 4 and stages of residual blocks under the names `layer1`, `layer2`, ...

    Stages behind the last one that is returned are not built. A family's own class calls
    `_assemble` and says there what its blocks are.

    Args:
        out_indices: which of the four stages to return, fine to coarse.
        base_channels: int; widths of stages follow from it.
        stem_channels: int, width of the stem; default: `base_channels`.
        strides: of the four stages.
        deep_stem: bool, three 3x3 convolutions in the place of one 7x7.
        avg_down: bool, shortcuts that stride do so by averaging before their convolution.
        zero_init_residual: bool, whether the last normalisation of each block starts at scale 0,
            so that the block starts as its shortcut.
    """

    # Whether the stem ends in a maximum of stride 2, and the size of its only convolution.
    _pooled_stem = True
    _stem_kernel = 7

    def __init__(
        self,
        out_indices=(3,),
        base_channels=64,
        stem_channels=None,
        strides=(1, 2, 2, 2),
        deep_stem=False,
        avg_down=False,
        zero_init_residual=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.out_indices = tuple(out_indices)
        self.base_channels = base_channels
        self.stem_channels = base_channels if stem_channels is None else stem_channels
        self.strides = tuple(strides)
        self.deep_stem = deep_stem
        self.avg_down = avg_down
        self.zero_init_residual = zero_init_residual
        if not self.out_indices or not all(0 <= i <= 3 for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..3, got {self.out_indices}")
        if len(self.strides) <= max(self.out_indices):
            raise ValueError(
                f"strides must name every stage up to {max(self.out_indices)}, got {self.strides}"
            )

    def _assemble(self, counts, widths, block) -> None:
        """Makes the stem and the stages.

        Args:
            counts: number of blocks of each stage.
            widths: output channels of each stage.
            block: `block(index of the stage, filters, strides, downsample)` makes a block;
                `downsample` is the shortcut's layer or None.
        """
        channels = self.stem_channels
        if self.deep_stem:
            self.stem = Stack(
                [
                    ConvModule(channels // 2, 3, 2),
                    ConvModule(channels // 2, 3),
                    ConvModule(channels, 3),
                ]
            )
        else:
            kernel = self._stem_kernel
            self.conv1 = Conv2D(channels, kernel, 2, padding=kernel // 2, use_bias=False)
            self.bn1 = BatchNormalization()
        for index in range(max(self.out_indices) + 1):
            stage, filters = Stack(), widths[index]
            for i in range(counts[index]):
                strides = self.strides[index] if i == 0 else 1
                downsample = None
                if strides != 1 or channels != filters:
                    downsample = self._shortcut(filters, strides)
                stage.append(block(index, filters, strides, downsample))
                channels = filters
            setattr(self, f"layer{index + 1}", stage)
        initialize_kernels(self)

    def _shortcut(self, filters, strides):
        layers = []
        if self.avg_down and strides != 1:
            layers.append(AveragePool(strides, ceil_mode=True, count_padding=False))
            strides = 1
        layers.append(Conv2D(filters, 1, strides, use_bias=False))
        layers.append(BatchNormalization())
        return Stack(layers)

    def call(self, x, training=None):
        if self.deep_stem:
            x = self.stem(x, training=training)
        else:
            x = ops.relu(self.bn1(self.conv1(x), training=training))
        if self._pooled_stem:
            x = max_pool(x, 3, 2, padding=1, nonnegative=True)
        maps = []
        for index in range(max(self.out_indices) + 1):
            x = getattr(self, f"layer{index + 1}")(x, training=training)
            if index in self.out_indices:
                maps.append(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "out_indices": self.out_indices,
            "base_channels": self.base_channels,
            "stem_channels": self.stem_channels,
            "strides": self.strides,
            "deep_stem": self.deep_stem,
            "avg_down": self.avg_down,
            "zero_init_residual": self.zero_init_residual,
        }


def initialize_kernels(network: keras.layers.Layer) -> None:
    """Convolutions will start normal by fan-out, for ReLUs (https://arxiv.org/abs/1502.01852)."""
    fan_out = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    set_kernel_initializer(network, fan_out)


def last_normalization(zero_init: bool) -> BatchNormalization:
    """The normalisation at a block's end, which may start at scale 0."""
    return BatchNormalization(gamma_initializer="zeros" if zero_init else "ones")


def add_shortcut(block, x, y, training):
    """The end of every residual block: plus the input, through the shortcut's layer if any."""
    if block.downsample is not None:
        x = block.downsample(x, training=training)
    return ops.relu(x + y)


def checked_depth(depth: int, variants) -> int:
    """A depth that the table of a family has.

    Raises:
        ValueError: if it has not.
    """
    if depth not in variants:
        raise ValueError(f"depth must be one of {sorted(variants)}, got {depth}")
    return depth
