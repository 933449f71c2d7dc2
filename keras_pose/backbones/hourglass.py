"""Stacked hourglasses (Newell et al., 2016, https://arxiv.org/abs/1603.06937).

`Hourglass` is the variant of residual blocks and strided convolutions that CornerNet introduced
(Law and Deng, 2018, https://arxiv.org/abs/1808.01244).
"""

import keras
from keras import ops

from keras_pose.backbones.resnet import BasicBlock
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    ConvModule,
    Stack,
    set_kernel_initializer,
    symbolic,
    upsample,
)


def _blocks(widths, incoming, strides=1) -> Stack:
    """Residual blocks of these widths, the first of which strides."""
    blocks = Stack()
    for width in widths:
        shortcut = None
        if strides != 1 or width != incoming:
            shortcut = Stack([Conv2D(width, 1, strides, use_bias=False), BatchNormalization()])
        blocks.append(BasicBlock(width, strides, shortcut, zero_init=False))
        incoming, strides = width, 1
    return blocks


class HourglassModule(Composite):
    """Maps at full size plus maps that were halved, treated and enlarged again.

    Args:
        depth: int, how often to halve.
        channels: widths from the full size on, at least `depth + 1`.
        blocks: numbers of residual blocks at these sizes.
    """

    def __init__(self, depth, channels, blocks, **kwargs):
        super().__init__(**kwargs)
        (width, inner), (count, inner_count) = channels[:2], blocks[:2]
        self.up1 = _blocks([width] * count, width)
        self.low1 = _blocks([inner] * count, width, 2)
        if depth > 1:
            self.low2 = HourglassModule(depth - 1, channels[1:], blocks[1:])
        else:
            self.low2 = _blocks([inner] * inner_count, inner)
        self.low3 = _blocks([inner] * (count - 1) + [width], inner)

    def call(self, x, training=None):
        y = self.low1(x, training=training)
        y = self.low2(y, training=training)
        y = self.low3(y, training=training)
        return self.up1(x, training=training) + upsample(y, 2, "nearest")


class StackedHourglasses(Composite):
    """What the two variants share: their settings and which inputs they take.

    Args:
        downsample_times: int, how often a hourglass halves.
        num_stacks: int.
        stage_channels: widths from stride 4 on; at least `downsample_times + 1`.
        feat_channels: int, width of the outputs or of what they are made from.
    """

    def __init__(self, downsample_times, num_stacks, stage_channels, feat_channels, **kwargs):
        super().__init__(**kwargs)
        self.downsample_times = downsample_times
        self.num_stacks = num_stacks
        self.stage_channels = tuple(stage_channels)
        self.feat_channels = feat_channels
        for name in ("downsample_times", "num_stacks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        self._check_length("stage_channels")

    def _check_length(self, name):
        least, values = self.downsample_times + 1, getattr(self, name)
        if len(values) < least:
            raise ValueError(f"{name} must have {least} numbers or more, got {values}")

    def _check_size(self, x):
        """Maps that are halved and doubled keep their size only if it is even."""
        divisor = 4 * 2**self.downsample_times
        if any(size is not None and size % divisor for size in x.shape[1:3]):
            raise ValueError(
                f"images must be multiples of {divisor} pixels high and wide, got {x.shape[1:3]}"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "downsample_times": self.downsample_times,
            "num_stacks": self.num_stacks,
            "stage_channels": self.stage_channels,
            "feat_channels": self.feat_channels,
        }


@keras.saving.register_keras_serializable(package="keras_pose")
class Hourglass(StackedHourglasses):
    """Stacked hourglasses of residual blocks: images to a feature map per stack, at stride 4.

    Args:
        downsample_times: int, how often a hourglass halves. Images must be multiples of
            `4 * 2**downsample_times` pixels high and wide.
        num_stacks: int; 1 is called Hourglass-52, 2 Hourglass-104.
        stage_channels: widths from stride 4 on; at least `downsample_times + 1`.
        stage_blocks: numbers of residual blocks at these sizes.
        feat_channels: int, width of the outputs.
        stem_channels: int, width of the first convolution.

    Returns:
        List of `num_stacks` maps `(B, h, w, feat_channels)`.

    Raises:
        ValueError: if there are too few widths or blocks, or the image's size does not fit.
    """

    def __init__(
        self,
        downsample_times=5,
        num_stacks=2,
        stage_channels=(256, 256, 384, 384, 384, 512),
        stage_blocks=(2, 2, 2, 2, 2, 4),
        feat_channels=256,
        stem_channels=128,
        **kwargs,
    ):
        super().__init__(downsample_times, num_stacks, stage_channels, feat_channels, **kwargs)
        self.stage_blocks = tuple(stage_blocks)
        self.stem_channels = stem_channels
        self._check_length("stage_blocks")
        width = self.stage_channels[0]
        self.stem = Stack([ConvModule(stem_channels, 7, 2), _blocks([width], stem_channels, 2)])
        stacks = range(num_stacks)
        self.hourglass_modules = Stack(
            [
                HourglassModule(downsample_times, self.stage_channels, self.stage_blocks)
                for _ in stacks
            ]
        )
        self.out_convs = Stack([ConvModule(feat_channels, 3) for _ in stacks])
        self.conv1x1s = Stack([ConvModule(width, 1, activation=None) for _ in stacks[1:]])
        self.remap_convs = Stack([ConvModule(width, 1, activation=None) for _ in stacks[1:]])
        # Published weights of one stack hold a block here, although nothing reads it.
        self.inters = _blocks([width] * max(num_stacks - 1, 1), width)
        self.inters.trainable = num_stacks > 1
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))

    def build(self, input_shape):
        super().build(input_shape)
        if self.num_stacks == 1:
            self.inters(symbolic((None, 1, 1, self.stage_channels[0]), self.compute_dtype))

    def call(self, x, training=None):
        self._check_size(x)
        x = self.stem(x, training=training)
        maps = []
        for i in range(self.num_stacks):
            y = self.hourglass_modules[i](x, training=training)
            maps.append(self.out_convs[i](y, training=training))
            if i < self.num_stacks - 1:
                x = self.conv1x1s[i](x, training=training)
                x = ops.relu(x + self.remap_convs[i](maps[i], training=training))
                x = self.inters[i](x, training=training)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "stage_blocks": self.stage_blocks,
            "stem_channels": self.stem_channels,
        }
