"""The neck of the MobileNetV3 CenterNet: two-kernel upsampling beside lateral maps."""

import keras
from keras import ops

from keras_pose.layers import (
    Composite,
    ConvModule,
    SeparableConvModule,
    SqueezeExcite,
    Stack,
    upsample,
)


class Lateral(Composite):
    """1x1 to a quarter of the width, then a separable 5x5."""

    def __init__(self, in_channels, out_channels, **kwargs):
        super().__init__(**kwargs)
        self.reduce = ConvModule(in_channels // 4, 1, norm=None)
        self.conv = SeparableConvModule(out_channels, 5)

    def call(self, x):
        return self.conv(self.reduce(x))


class Upsample(Composite):
    """Sum of a separable 3x3 and a separable 5x5, enlarged by two."""

    def __init__(self, out_channels, **kwargs):
        super().__init__(**kwargs)
        self.branch_x = SeparableConvModule(out_channels, 3)
        self.branch_y = SeparableConvModule(out_channels, 5)

    def call(self, x):
        return upsample(self.branch_x(x) + self.branch_y(x), interpolation="bilinear_legacy")


@keras.saving.register_keras_serializable(package="keras_pose")
class CenterNetNeck(Composite):
    """Merges four levels into the finest one.

    Args:
        in_channels: channels of the levels, fine to coarse.
        lateral_channels: width of the laterals of all levels but the coarsest, fine to coarse.
        upsample_channels: width of the enlarged map that joins each of them, fine to coarse.

    Returns:
        List of one map `(B, h, w, lateral_channels[0] + upsample_channels[0])`.
    """

    def __init__(self, in_channels, lateral_channels, upsample_channels, **kwargs):
        super().__init__(**kwargs)
        self.in_channels = tuple(in_channels)
        self.lateral_channels = tuple(lateral_channels)
        self.upsample_channels = tuple(upsample_channels)
        levels = len(self.in_channels)
        if not len(self.lateral_channels) == len(self.upsample_channels) == levels - 1:
            raise ValueError(
                "lateral_channels and upsample_channels must have one entry less than in_channels, "
                f"got {self.lateral_channels}, {self.upsample_channels} and {self.in_channels}"
            )
        self.laterals = Stack(
            [
                Lateral(incoming, out)
                for incoming, out in zip(self.in_channels[:-1], self.lateral_channels, strict=True)
            ]
        )
        self.upsamples = Stack([Upsample(out) for out in self.upsample_channels])
        width = self.lateral_channels[0] + self.upsample_channels[0]
        self.se = SqueezeExcite(width, width // 4, gate="sigmoid", gate_bias=False)

    def call(self, features, training=None):
        x = features[-1]
        for level in reversed(range(len(features) - 1)):
            lateral = self.laterals[level](features[level])
            x = ops.relu(ops.concatenate([lateral, self.upsamples[level](x)], axis=-1))
        return [self.se(x)]

    def get_config(self):
        return {
            **super().get_config(),
            "in_channels": self.in_channels,
            "lateral_channels": self.lateral_channels,
            "upsample_channels": self.upsample_channels,
        }
