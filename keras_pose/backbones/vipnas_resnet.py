"""ViPNAS' ResNet (Xu et al., 2021, https://arxiv.org/abs/2105.10154)."""

import keras
from keras import ops

from keras_pose.backbones.residual import ResidualNetwork, add_shortcut
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    LayerNormalization,
    Stack,
    set_kernel_initializer,
)


class PlanesNormalization(LayerNormalization):
    """Layer normalisation of `(B, 1, 1, C)` whose weights have the shape `(C, 1, 1)`.

    Checkpoints hold them so: there the maps are channels first, normalised over all their axes.
    """

    def __init__(self, **kwargs):
        super().__init__(axis=(1, 2, 3), **kwargs)

    def build(self, input_shape):
        super().build((input_shape[0], input_shape[-1], 1, 1))

    def call(self, x):
        return ops.transpose(super().call(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))


class GlobalContext(Composite):
    """Adds to every pixel what a weighted mean over all pixels says.

    The global context block of Cao et al., 2019 (https://arxiv.org/abs/1904.11492).

    Args:
        filters: int, channels.
        ratio: float, width in between in units of `filters`; at least 16 channels remain.
    """

    def __init__(self, filters, ratio=1 / 16, **kwargs):
        super().__init__(**kwargs)
        planes = int(filters * max(ratio, 16 / filters))
        self.conv_mask = Conv2D(1, 1)
        self.channel_add_conv = Stack(
            [Conv2D(planes, 1), PlanesNormalization(), keras.layers.ReLU(), Conv2D(filters, 1)]
        )

    def call(self, x):
        pixels, channels = x.shape[1] * x.shape[2], x.shape[-1]
        mask = ops.softmax(ops.reshape(self.conv_mask(x), (-1, 1, pixels)), axis=-1)
        context = ops.matmul(mask, ops.reshape(x, (-1, pixels, channels)))
        return x + self.channel_add_conv(ops.reshape(context, (-1, 1, 1, channels)))


class ViPNASBottleneck(Composite):
    """1x1, grouped and 1x1 convolutions, perhaps a global context, and a shortcut.

    Args:
        filters: int, output channels.
        middle: int, channels of the grouped convolution.
        kernel_size, strides, groups: of the grouped convolution.
        attention: bool, whether there is a global context before the addition.
        downsample: layer of the shortcut, or None.
    """

    def __init__(
        self, filters, middle, kernel_size, strides, groups, attention, downsample, **kwargs
    ):
        super().__init__(**kwargs)
        self.conv1 = Conv2D(middle, 1, use_bias=False)
        self.bn1 = BatchNormalization()
        self.conv2 = Conv2D(
            middle, kernel_size, strides, kernel_size // 2, groups=groups, use_bias=False
        )
        self.bn2 = BatchNormalization()
        self.conv3 = Conv2D(filters, 1, use_bias=False)
        self.bn3 = BatchNormalization()
        self.attention = GlobalContext(filters) if attention else None
        self.downsample = downsample

    def call(self, x, training=None):
        y = ops.relu(self.bn1(self.conv1(x), training=training))
        y = ops.relu(self.bn2(self.conv2(y), training=training))
        y = self.bn3(self.conv3(y), training=training)
        if self.attention is not None:
            y = self.attention(y)
        return add_shortcut(self, x, y, training)


# What the search found for 50 layers, a row a stage: width, expansion (output channels by those
# of the grouped convolution), blocks, kernel size, groups, global context.
STAGES = (
    (80, 1, 4, 3, 16, True),
    (160, 1, 6, 5, 16, False),
    (304, 1, 7, 5, 16, True),
    (608, 1, 3, 5, 16, True),
)


@keras.saving.register_keras_serializable(package="keras_pose")
class ViPNASResNet(ResidualNetwork):
    """ViPNAS' ResNet: images to feature maps.

    Args:
        stages: a row for each of the four stages: (width, expansion, blocks, kernel size, groups,
            global context); default: what was published.
        stem_channels: int, width of the stem.
        stem_kernel: int, kernel size of the stem's convolution.
        out_indices, strides, deep_stem, avg_down: as in `ResNet`.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(self, stages=STAGES, stem_channels=48, stem_kernel=7, **kwargs):
        super().__init__(stem_channels=stem_channels, zero_init_residual=False, **kwargs)
        self._stem_kernel = stem_kernel
        self.stages = tuple(map(tuple, stages))
        if len(self.stages) != 4 or any(len(row) != 6 for row in self.stages):
            raise ValueError(f"stages must be four rows of six values, got {self.stages}")
        widths, _, counts, *_ = zip(*self.stages, strict=True)

        def block(index, filters, strides, downsample):
            _, expansion, _, kernel_size, groups, attention = self.stages[index]
            return ViPNASBottleneck(
                filters, filters // expansion, kernel_size, strides, groups, attention, downsample
            )

        self._assemble(counts, widths, block)
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))

    def get_config(self):
        config = super().get_config()
        del config["base_channels"], config["zero_init_residual"]
        return {**config, "stages": self.stages, "stem_kernel": self._stem_kernel}
