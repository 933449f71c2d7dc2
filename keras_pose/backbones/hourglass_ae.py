"""The hourglass of associative embedding (Newell et al., 2017, https://arxiv.org/abs/1611.05424)."""

import keras

from keras_pose.backbones.hourglass import StackedHourglasses
from keras_pose.layers import (
    Composite,
    ConvModule,
    MaxPool,
    Stack,
    max_pool,
    set_kernel_initializer,
    upsample,
)


class HourglassAEModule(Composite):
    """As `HourglassModule`, of single convolutions and halving by maxima.

    Args:
        depth: int, how often to halve.
        channels: widths from the full size on, at least `depth + 1`.
    """

    def __init__(self, depth, channels, **kwargs):
        super().__init__(**kwargs)
        width, inner = channels[:2]
        self.up1 = ConvModule(width, 3)
        self.low1 = ConvModule(inner, 3)
        if depth > 1:
            self.low2 = HourglassAEModule(depth - 1, channels[1:])
        else:
            self.low2 = ConvModule(inner, 3)
        self.low3 = ConvModule(width, 3)

    def call(self, x, training=None):
        y = self.low1(max_pool(x, 2), training=training)
        y = self.low2(y, training=training)
        y = self.low3(y, training=training)
        return self.up1(x, training=training) + upsample(y, 2, "nearest")


@keras.saving.register_keras_serializable(package="keras_pose")
class HourglassAE(StackedHourglasses):
    """Stacked hourglasses of single convolutions: images to a head's maps per stack, at stride 4.

    Args:
        downsample_times: int, how often a hourglass halves. Images must be multiples of
            `4 * 2**downsample_times` pixels high and wide.
        num_stacks: int.
        out_channels: int, maps of each stack: heatmaps and tags, 34 for COCO's keypoints.
        stage_channels: widths from stride 4 on; at least `downsample_times + 1`.
        feat_channels: int, width between hourglasses; the first of `stage_channels`.
        stem_channels: widths of the stem's first two convolutions.

    Returns:
        List of `num_stacks` maps `(B, h, w, out_channels)`.

    Raises:
        ValueError: if widths do not agree or are too few, or the image's size does not fit.
    """

    def __init__(
        self,
        downsample_times=4,
        num_stacks=1,
        out_channels=34,
        stage_channels=(256, 384, 512, 640, 768),
        feat_channels=256,
        stem_channels=(64, 128),
        **kwargs,
    ):
        super().__init__(downsample_times, num_stacks, stage_channels, feat_channels, **kwargs)
        self.out_channels = out_channels
        self.stem_channels = tuple(stem_channels)
        if self.stage_channels[0] != feat_channels:
            raise ValueError(
                f"feat_channels must be the first of stage_channels, got {feat_channels} and "
                f"{self.stage_channels}"
            )
        first, second = self.stem_channels
        self.stem = Stack(
            [
                ConvModule(first, 7, 2),
                ConvModule(second, 3),
                MaxPool(2, nonnegative=True),
                ConvModule(second, 3),
                ConvModule(feat_channels, 3),
            ]
        )
        stacks = range(num_stacks)
        self.hourglass_modules = Stack(
            [
                Stack(
                    [
                        HourglassAEModule(downsample_times, self.stage_channels),
                        ConvModule(feat_channels, 3),
                        ConvModule(feat_channels, 3),
                    ]
                )
                for _ in stacks
            ]
        )
        self.out_convs = Stack(
            [ConvModule(out_channels, 1, norm=None, activation=None) for _ in stacks]
        )
        for name in ("remap_out_convs", "remap_feature_convs"):
            convs = [ConvModule(feat_channels, 1, activation=None) for _ in stacks[1:]]
            setattr(self, name, Stack(convs))
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))

    def call(self, x, training=None):
        self._check_size(x)
        x = self.stem(x, training=training)
        maps = []
        for i in range(self.num_stacks):
            y = self.hourglass_modules[i](x, training=training)
            maps.append(self.out_convs[i](y))
            if i < self.num_stacks - 1:
                x = x + self.remap_out_convs[i](maps[i], training=training)
                x = x + self.remap_feature_convs[i](y, training=training)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "out_channels": self.out_channels,
            "stem_channels": self.stem_channels,
        }
