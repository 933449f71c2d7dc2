"""The convolutions of MediaPipe's hand landmark network (https://arxiv.org/abs/2006.10214).

The network is Google's; its layers were read off the published graph.
"""

import keras

from keras_pose.backbones.mobilenet_v3 import InvertedResidual
from keras_pose.layers import Composite, ConvModule, max_pool

# Kernel size, middle and output channels, stride of each block of the "lite" network.
LITE = (
    (3, 24, 16, 1),
    (3, 64, 16, 2),
    (3, 96, 16, 1),
    (5, 96, 24, 2),
    (5, 144, 24, 1),
    (3, 144, 48, 2),
    (3, 288, 48, 1),
    (3, 288, 48, 1),
    (5, 288, 64, 1),
    (5, 384, 64, 1),
    (5, 384, 64, 1),
    (5, 384, 112, 2),
    (5, 672, 112, 1),
    (5, 672, 112, 1),
    (5, 672, 112, 1),
)


@keras.saving.register_keras_serializable(package="keras_pose")
class HandLandmarkBackbone(Composite):
    """Inverted residuals with ReLU6: images to one feature map of stride 32.

    A block of stride 2 that keeps its channels has a shortcut too: the maxima of 2x2 pixels. The
    last block ends after its depthwise convolution.

    Args:
        blocks: a row a block: (kernel size, middle channels, output channels, stride); without an
            expansion where the middle channels are the input's. Default: the "lite" network.
        stem_channels: int, width of the first 3x3 convolution of stride 2.
        last_channels: int, width of the last block.
        norm: "batch", or None as in the published graph, whose normalisation is folded into the
            convolutions.

    Returns:
        List of one map `(B, h, w, last_channels)`.
    """

    def __init__(self, blocks=LITE, stem_channels=24, last_channels=672, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.blocks = tuple(map(tuple, blocks))
        self.stem_channels = stem_channels
        self.last_channels = last_channels
        self.norm = norm
        settings = {"norm": norm, "padding": "same"}
        self.conv1 = ConvModule(stem_channels, 3, 2, activation="relu6", **settings)
        channels, self._pooled = stem_channels, []
        for number, (kernel_size, middle, width, strides) in enumerate(self.blocks, start=1):
            row = (kernel_size, middle, width, 0, "relu6", strides)
            block = InvertedResidual(row, channels, always_expand=False, **settings)
            setattr(self, f"layer{number}", block)
            self._pooled.append(strides == 2 and width == channels)
            channels = width
        self.conv2 = ConvModule(last_channels, 1, norm=norm, activation="relu6")
        self.conv3 = ConvModule(None, 3, activation="relu6", **settings)

    def call(self, x, training=None):
        x = self.conv1(x, training=training)
        for number, pooled in enumerate(self._pooled, start=1):
            _, y = getattr(self, f"layer{number}")(x, training=training)
            x = y + max_pool(x, 2, ceil_mode=True) if pooled else y
        return [self.conv3(self.conv2(x, training=training), training=training)]

    def get_config(self):
        return {
            **super().get_config(),
            "blocks": self.blocks,
            "stem_channels": self.stem_channels,
            "last_channels": self.last_channels,
            "norm": self.norm,
        }
