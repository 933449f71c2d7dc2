"""Convolutional pose machine (Wei et al., 2016, https://arxiv.org/abs/1602.00134)."""

import keras
from keras import ops

from keras_pose.layers import Composite, ConvModule, MaxPool, Stack, set_kernel_initializer


class Refinement(Composite):
    """Three wide convolutions.

    Args:
        filters: int.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.model = Stack([ConvModule(filters, 11) for _ in range(3)])

    def call(self, x, training=None):
        return self.model(x, training=training)


def _trunk(channels) -> list:
    layers = []
    for _ in range(3):
        layers += [ConvModule(channels, 9), MaxPool(3, 2, padding=1, nonnegative=True)]
    return layers


def _heatmaps(count) -> ConvModule:
    return ConvModule(count, 1, norm=None, activation=None)


@keras.saving.register_keras_serializable(package="keras_pose")
class CPM(Composite):
    """Convolutional pose machine: images to heatmaps of every stage, at stride 8.

    The first stage sees the image, each following one the heatmaps of the one before it beside
    features of the image.

    Args:
        num_keypoints: int, heatmaps of each stage.
        num_stages: int.
        feat_channels: int, width of the later stages.
        middle_channels: int, width of the image's features there.
        stem_channels: widths on the image: of the three 9x9 convolutions, of the 5x5, and of the
            9x9 and 1x1 before the first heatmaps.

    Returns:
        List of `num_stages` maps `(B, h, w, K)`.
    """

    def __init__(
        self,
        num_keypoints,
        num_stages=6,
        feat_channels=128,
        middle_channels=32,
        stem_channels=(128, 32, 512),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_keypoints = num_keypoints
        self.num_stages = num_stages
        self.feat_channels = feat_channels
        self.middle_channels = middle_channels
        self.stem_channels = tuple(stem_channels)
        if num_stages < 1:
            raise ValueError(f"num_stages must be at least 1, got {num_stages}")
        trunk, narrow, wide = self.stem_channels
        self.stem = Stack(
            [
                *_trunk(trunk),
                ConvModule(narrow, 5),
                ConvModule(wide, 9),
                ConvModule(wide, 1),
                _heatmaps(num_keypoints),
            ]
        )
        self.middle = Stack(_trunk(trunk)) if num_stages > 1 else None
        stages = range(num_stages - 1)
        self.cpm_stages = Stack([Refinement(feat_channels) for _ in stages])
        self.middle_conv = Stack([Stack([ConvModule(middle_channels, 5)]) for _ in stages])
        self.out_convs = Stack(
            [Stack([ConvModule(feat_channels, 1), _heatmaps(num_keypoints)]) for _ in stages]
        )
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))

    def call(self, x, training=None):
        maps = [self.stem(x, training=training)]
        if self.num_stages == 1:
            return maps
        features = self.middle(x, training=training)
        for stage, middle, out in zip(
            self.cpm_stages, self.middle_conv, self.out_convs, strict=True
        ):
            seen = ops.concatenate([maps[-1], middle(features, training=training)], axis=-1)
            maps.append(out(stage(seen, training=training), training=training))
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "num_stages": self.num_stages,
            "feat_channels": self.feat_channels,
            "middle_channels": self.middle_channels,
            "stem_channels": self.stem_channels,
        }
