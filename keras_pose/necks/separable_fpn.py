"""A feature pyramid with separable convolutions that keeps only its finest map, as in MoveNet."""

import keras

from keras_pose.layers import Composite, ConvModule, SeparableConvModule, Stack, upsample


@keras.saving.register_keras_serializable(package="keras_pose")
class SeparableFPN(Composite):
    """Top-down pyramid: enlarge, add the lateral, smooth; returns the finest map only.

    Args:
        lateral_channels: width of each level's 1x1 lateral, fine to coarse.
        smooth_channels: width after the smoothing of each level but the coarsest, fine to coarse.

    Returns:
        List of one map `(B, h, w, smooth_channels[0])` of the finest level's size.
    """

    def __init__(self, lateral_channels, smooth_channels, **kwargs):
        super().__init__(**kwargs)
        self.lateral_channels = tuple(lateral_channels)
        self.smooth_channels = tuple(smooth_channels)
        if len(self.smooth_channels) != len(self.lateral_channels) - 1:
            raise ValueError(
                "smooth_channels must have one entry less than lateral_channels, got "
                f"{self.smooth_channels} and {self.lateral_channels}"
            )
        self.lateral_convs = Stack(
            [ConvModule(n, 1, norm=None, activation=None) for n in self.lateral_channels]
        )
        self.smooth_convs = Stack(
            [SeparableConvModule(n, 3, activation="relu") for n in self.smooth_channels]
        )

    def call(self, features, training=None):
        x = self.lateral_convs[-1](features[-1])
        for level in reversed(range(len(features) - 1)):
            x = upsample(x) + self.lateral_convs[level](features[level])
            x = self.smooth_convs[level](x, training=training)
        return [x]

    def get_config(self):
        return {
            **super().get_config(),
            "lateral_channels": self.lateral_channels,
            "smooth_channels": self.smooth_channels,
        }
