"""MobileNetV3 (Howard et al., 2019, https://arxiv.org/abs/1905.02244)."""

import keras

from keras_pose.layers import Composite, ConvModule, SqueezeExcite

# What names a block's expanded map among the outputs.
_EXPANDED = ".expand_conv"

# Tables 1 and 2 of the paper, but for the stride of "large" that MMPose has one block later.
VARIANTS = {
    "small": (
        (3, 16, 16, 4, "relu", 2),
        (3, 72, 24, 0, "relu", 2),
        (3, 88, 24, 0, "relu", 1),
        (5, 96, 40, 24, "hard_swish", 2),
        (5, 240, 40, 60, "hard_swish", 1),
        (5, 240, 40, 60, "hard_swish", 1),
        (5, 120, 48, 30, "hard_swish", 1),
        (5, 144, 48, 36, "hard_swish", 1),
        (5, 288, 96, 72, "hard_swish", 2),
        (5, 576, 96, 144, "hard_swish", 1),
        (5, 576, 96, 144, "hard_swish", 1),
    ),
    "large": (
        (3, 16, 16, 0, "relu", 1),
        (3, 64, 24, 0, "relu", 2),
        (3, 72, 24, 0, "relu", 1),
        (5, 72, 40, 18, "relu", 2),
        (5, 120, 40, 30, "relu", 1),
        (5, 120, 40, 30, "relu", 1),
        (3, 240, 80, 0, "hard_swish", 2),
        (3, 200, 80, 0, "hard_swish", 1),
        (3, 184, 80, 0, "hard_swish", 1),
        (3, 184, 80, 0, "hard_swish", 1),
        (3, 480, 112, 120, "hard_swish", 1),
        (3, 672, 112, 168, "hard_swish", 1),
        (5, 672, 160, 168, "hard_swish", 1),
        (5, 672, 160, 168, "hard_swish", 2),
        (5, 960, 160, 240, "hard_swish", 1),
    ),
}


class InvertedResidual(Composite):
    """1x1 expansion, depthwise, squeeze and excitation, linear 1x1; plus the input where it fits.

    Returns the expanded map and the output: some necks read the first.

    Args:
        row: as in `MobileNetV3`.
        in_channels: int.
        norm, padding, hard_sigmoid, always_expand: as in `MobileNetV3`.
        groups: int, of the middle convolution; None makes it depthwise.
    """

    def __init__(
        self,
        row,
        in_channels,
        norm="batch",
        padding=None,
        hard_sigmoid="hard_sigmoid",
        always_expand=True,
        groups=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        kernel_size, middle, out_channels, squeeze, activation, strides = row
        self.expand_conv = None
        if always_expand or middle != in_channels:
            self.expand_conv = ConvModule(middle, 1, norm=norm, activation=activation)
        self.depthwise_conv = ConvModule(
            None if groups in (None, middle) else middle,
            kernel_size,
            strides,
            padding=padding,
            groups=groups or 1,
            norm=norm,
            activation=activation,
        )
        self.se = SqueezeExcite(middle, squeeze, gate=hard_sigmoid) if squeeze else None
        self.linear_conv = ConvModule(out_channels, 1, norm=norm, activation=None)
        self._residual = strides == 1 and in_channels == out_channels

    def call(self, x, training=None):
        expanded = x if self.expand_conv is None else self.expand_conv(x, training=training)
        y = self.depthwise_conv(expanded, training=training)
        if self.se is not None:
            y = self.se(y)
        y = self.linear_conv(y, training=training)
        return expanded, x + y if self._residual else y


@keras.saving.register_keras_serializable(package="keras_pose")
class MobileNetV3(Composite):
    """MobileNetV3: images to feature maps.

    Args:
        blocks: one row per block: (kernel size, middle channels, output channels, squeeze channels
            or 0, activation, stride); or "small" or "large", MMPose's tables, whose gates are
            "hard_sigmoid_half".
        stem_channels: int, width of the first 3x3 convolution of stride 2.
        stem_activation: name.
        last_channels: int, width of a last 1x1 convolution (`conv2`), 0 for none.
        outputs: which maps to return, fine to coarse: "layer4" is the fourth block's output,
            "layer4.expand_conv" its expanded map, "conv2" the last convolution.
        norm: "batch", or None where normalisation is folded into the convolutions.
        padding: None pads both sides alike as PyTorch, "same" as TensorFlow.
        hard_sigmoid: name of the gate's activation in squeeze and excitation.
        always_expand: bool, an expansion also where the width does not change.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(
        self,
        blocks,
        stem_channels=16,
        stem_activation="hard_swish",
        last_channels=0,
        outputs=None,
        norm="batch",
        padding=None,
        hard_sigmoid="hard_sigmoid",
        always_expand=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(blocks, str) and blocks not in VARIANTS:
            raise ValueError(f'blocks must be rows, "small" or "large", got {blocks!r}')
        rows = VARIANTS[blocks] if isinstance(blocks, str) else blocks
        self.blocks = [tuple(row) for row in rows]
        self.stem_channels = stem_channels
        self.stem_activation = stem_activation
        self.last_channels = last_channels
        self.outputs = tuple(outputs or [f"layer{len(self.blocks)}"])
        self.norm = norm
        self.padding = padding
        self.hard_sigmoid = hard_sigmoid
        self.always_expand = always_expand
        names = [
            f"layer{i}{end}" for i in range(1, len(self.blocks) + 1) for end in ("", _EXPANDED)
        ]
        names += ["conv2"] if last_channels else []
        unknown = [name for name in self.outputs if name not in names]
        if unknown:
            raise ValueError(f"outputs names {unknown[0]!r}; there are {', '.join(names)}")
        self.conv1 = ConvModule(
            stem_channels, 3, 2, norm=norm, padding=padding, activation=stem_activation
        )
        channels = stem_channels
        for number, row in enumerate(self.blocks, start=1):
            block = InvertedResidual(row, channels, norm, padding, hard_sigmoid, always_expand)
            setattr(self, f"layer{number}", block)
            channels = row[2]
        if last_channels:
            self.conv2 = ConvModule(
                last_channels, 1, norm=norm, activation=self.blocks[-1][4] or "hard_swish"
            )

    def call(self, x, training=None):
        maps = {}
        x = self.conv1(x, training=training)
        for number in range(1, len(self.blocks) + 1):
            name = f"layer{number}"
            maps[name + _EXPANDED], x = getattr(self, name)(x, training=training)
            maps[name] = x
        if self.last_channels:
            maps["conv2"] = self.conv2(x, training=training)
        return [maps[name] for name in self.outputs]

    def get_config(self):
        return {
            **super().get_config(),
            "blocks": self.blocks,
            "stem_channels": self.stem_channels,
            "stem_activation": self.stem_activation,
            "last_channels": self.last_channels,
            "outputs": self.outputs,
            "norm": self.norm,
            "padding": self.padding,
            "hard_sigmoid": self.hard_sigmoid,
            "always_expand": self.always_expand,
        }
