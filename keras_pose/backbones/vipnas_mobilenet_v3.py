"""ViPNAS' MobileNetV3 (Xu et al., 2021, https://arxiv.org/abs/2105.10154)."""

import keras

from keras_pose.backbones.mobilenet_v3 import InvertedResidual
from keras_pose.layers import Composite, ConvModule, set_kernel_initializer

# What the search found, a row a stage: width, expansion (channels of the middle convolutions in
# units of the width), blocks, kernel size and groups of the middle convolutions, squeeze and
# excitation, activation, stride of the first block.
STAGES = (
    (16, 1, 1, 3, 8, True, "relu", 1),
    (24, 5, 4, 7, 120, True, "relu", 2),
    (40, 4, 4, 7, 20, False, "relu", 2),
    (80, 5, 4, 5, 100, True, "hard_swish", 2),
    (112, 5, 4, 7, 280, True, "hard_swish", 1),
    (160, 6, 4, 5, 240, True, "hard_swish", 2),
)


@keras.saving.register_keras_serializable(package="keras_pose")
class ViPNASMobileNetV3(Composite):
    """ViPNAS' MobileNetV3: images to one feature map.

    It has the blocks of `MobileNetV3`, but the convolutions called depthwise have groups of
    several channels.

    Args:
        stages: a row a stage: (width, expansion, blocks, kernel size, groups, squeeze and
            excitation, activation, stride); default: what was published, of stride 32.
        stem_channels: int, width of the first 3x3 convolution of stride 2.
        stem_activation: name.

    Returns:
        List of one map `(B, h, w, C)`.
    """

    def __init__(self, stages=STAGES, stem_channels=16, stem_activation="hard_swish", **kwargs):
        super().__init__(**kwargs)
        self.stages = tuple(map(tuple, stages))
        self.stem_channels = stem_channels
        self.stem_activation = stem_activation
        if any(len(row) != 8 for row in self.stages):
            raise ValueError(f"stages must be rows of eight values, got {self.stages}")
        self.conv1 = ConvModule(stem_channels, 3, 2, activation=stem_activation)
        channels, self._count = stem_channels, 0
        for width, expansion, blocks, kernel_size, groups, squeeze, activation, stride in stages:
            middle = width * expansion
            for i in range(blocks):
                row = (
                    kernel_size,
                    middle,
                    width,
                    middle // 4 if squeeze else 0,
                    activation,
                    stride if i == 0 else 1,
                )
                block = InvertedResidual(
                    row,
                    channels,
                    hard_sigmoid="hard_sigmoid_half",
                    always_expand=expansion != 1,
                    groups=groups,
                )
                set_kernel_initializer(block, keras.initializers.RandomNormal(stddev=0.001))
                self._count += 1
                setattr(self, f"layer{self._count}", block)
                channels = width

    def call(self, x, training=None):
        x = self.conv1(x, training=training)
        for number in range(1, self._count + 1):
            _, x = getattr(self, f"layer{number}")(x, training=training)
        return [x]

    def get_config(self):
        return {
            **super().get_config(),
            "stages": self.stages,
            "stem_channels": self.stem_channels,
            "stem_activation": self.stem_activation,
        }
