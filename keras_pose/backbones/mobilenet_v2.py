"""MobileNetV2 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381)."""

import keras

from keras_pose.layers import Composite, ConvModule, Stack

# Expansion, output channels, blocks, stride of the first block; table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def rounded_width(channels: float, divisor: int = 8) -> int:
    """Channels to a multiple of 8, never more than 10 % down."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class InvertedResidual(Composite):
    """1x1 expansion, depthwise 3x3, linear 1x1; plus the input where shapes agree."""

    def __init__(self, in_channels, out_channels, strides, expansion, norm, padding, **kwargs):
        super().__init__(**kwargs)
        settings = {"norm": norm, "activation": "relu6"}
        layers = [
            ConvModule(None, 3, strides, padding=padding, **settings),
            ConvModule(out_channels, 1, norm=norm, activation=None),
        ]
        if expansion != 1:
            layers.insert(0, ConvModule(round(in_channels * expansion), 1, **settings))
        self.conv = Stack(layers)
        self._residual = strides == 1 and in_channels == out_channels

    def call(self, x, training=None):
        y = self.conv(x, training=training)
        return x + y if self._residual else y


@keras.saving.register_keras_serializable(package="keras_pose")
class MobileNetV2(Composite):
    """MobileNetV2: images to feature maps.

    Args:
        widen_factor: float, multiplies all widths.
        out_indices: which maps to return, fine to coarse: 0 to 6 are the seven stages (strides 2,
            4, 8, 16, 16, 32, 32), 7 is the last 1x1 convolution.
        norm: "batch", or None for networks whose normalisation is folded into the convolutions.
        last_channels: int, width of the last 1x1 convolution; default: 1280, widened with
            `widen_factor` above 1.
        padding: None pads both sides alike as PyTorch, "same" as TensorFlow.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(
        self,
        widen_factor=1.0,
        out_indices=(7,),
        norm="batch",
        padding=None,
        last_channels=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.widen_factor = widen_factor
        self.out_indices = tuple(out_indices)
        self.norm = norm
        self.padding = padding
        self.last_channels = last_channels
        if not self.out_indices or not all(0 <= i <= 7 for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..7, got {self.out_indices}")
        settings = {"norm": norm, "padding": padding}
        channels = rounded_width(32 * widen_factor)
        self.conv1 = ConvModule(channels, 3, 2, activation="relu6", **settings)
        for number, (expansion, width, blocks, strides) in enumerate(STAGES, start=1):
            width = rounded_width(width * widen_factor)
            stage = Stack()
            for i in range(blocks):
                stage.append(
                    InvertedResidual(
                        channels, width, strides if i == 0 else 1, expansion, **settings
                    )
                )
                channels = width
            setattr(self, f"layer{number}", stage)
            if max(self.out_indices) == number - 1:
                return
        last = last_channels or int(1280 * max(widen_factor, 1))
        self.conv2 = ConvModule(last, 1, norm=norm, activation="relu6")

    def call(self, x, training=None):
        x = self.conv1(x, training=training)
        maps = []
        for index in range(max(self.out_indices) + 1):
            layer = self.conv2 if index == 7 else getattr(self, f"layer{index + 1}")
            x = layer(x, training=training)
            if index in self.out_indices:
                maps.append(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "widen_factor": self.widen_factor,
            "out_indices": self.out_indices,
            "norm": self.norm,
            "padding": self.padding,
            "last_channels": self.last_channels,
        }
