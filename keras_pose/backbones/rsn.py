"""RSN (Cai et al., 2020, https://arxiv.org/abs/2003.04030): MSPN with residual steps blocks."""

import keras
from keras import ops

from keras_pose.backbones.multi_stage import MultiStageNet, shortcut
from keras_pose.layers import Composite, ConvModule

# Published networks as arguments of `RSN`.
VARIANTS = {
    "rsn18": {"num_stages": 1, "num_blocks": (2, 2, 2, 2)},
    "rsn50": {"num_stages": 1},
    "2xrsn50": {"num_stages": 2},
    "3xrsn50": {"num_stages": 3},
}


class ResidualStepsBlock(Composite):
    """The channels in parts, of which part i passes i 3x3 convolutions; and a shortcut.

    Each convolution also sees what the one of the same step of the part before made.

    Args:
        filters: int, output channels.
        width: int, channels of a part.
        strides: int.
        steps: int, number of parts.
        downsample: layer of the shortcut, or None.
    """

    def __init__(self, filters, width, strides, steps, downsample, **kwargs):
        super().__init__(**kwargs)
        self._width, self._steps = width, steps
        self.conv_bn_relu1 = ConvModule(steps * width, 1, strides)
        for part in range(1, steps + 1):
            for step in range(1, part + 1):
                setattr(self, f"conv_bn_relu2_{part}_{step}", ConvModule(width, 3))
        self.conv_bn3 = ConvModule(filters, 1, activation=None)
        self.downsample = downsample

    def call(self, x, training=None):
        y = self.conv_bn_relu1(x, training=training)
        before, ends = [], []
        for part in range(1, self._steps + 1):
            z = y[..., (part - 1) * self._width : part * self._width]
            made = []
            for step in range(1, part + 1):
                if step < part:
                    z = z + before[step - 1]
                z = getattr(self, f"conv_bn_relu2_{part}_{step}")(z, training=training)
                made.append(z)
            before = made
            ends.append(z)
        y = self.conv_bn3(ops.concatenate(ends, axis=-1), training=training)
        if self.downsample is not None:
            x = self.downsample(x, training=training)
        return ops.relu(x + y)


@keras.saving.register_keras_serializable(package="keras_pose")
class RSN(MultiStageNet):
    """RSN: images to feature maps of every stage. `VARIANTS` has the published ones.

    Args:
        num_stages: int.
        num_blocks: number of blocks of each level, fine to coarse; each level has twice the width
            and half the size of the one before.
        num_steps: int, parts of a block's channels.
        unit_channels: int, width of all returned maps.
        top_channels: int, width of the stem, of each stage's input and of the first level; 64 in
            every published model.
        expand_times: int, channels of a part for every 64 channels that come into a block.

    Returns:
        List with a list of maps `(B, h, w, unit_channels)` per stage, coarse to fine; strides 32,
        16, 8 and 4 with four levels.
    """

    _stages = "multi_stage_rsn"

    def __init__(
        self,
        num_stages=4,
        num_blocks=(3, 4, 6, 3),
        num_steps=4,
        unit_channels=256,
        top_channels=64,
        expand_times=26,
        **kwargs,
    ):
        super().__init__(num_stages, num_blocks, unit_channels, top_channels, **kwargs)
        self.num_steps = num_steps
        self.expand_times = expand_times
        self._assemble()

    def _block(self, in_channels, width, strides):
        part = in_channels * self.expand_times // 64
        downsample = shortcut(in_channels, width, strides)
        return ResidualStepsBlock(width, part, strides, self.num_steps, downsample)

    def get_config(self):
        return {
            **super().get_config(),
            "num_steps": self.num_steps,
            "expand_times": self.expand_times,
        }
