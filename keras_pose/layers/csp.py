"""Cross-stage partial layers (Wang et al., 2019, https://arxiv.org/abs/1911.11929).

CSPDarknet, CSPNeXt and their necks are made of them.
"""

import keras
from keras import ops

from keras_pose.layers.activation import activation as named_activation
from keras_pose.layers.composite import Composite, Stack
from keras_pose.layers.conv_module import ConvModule
from keras_pose.layers.convolution import Conv2D
from keras_pose.layers.normalization import BatchNormalization
from keras_pose.layers.pooling import max_pool


def _uniform(mode="fan_in"):
    """PyTorch's own draw for convolutions: +-1/sqrt(inputs of one output)."""
    return keras.initializers.VarianceScaling(1 / 3, mode, "uniform")


class CSPConv(ConvModule):
    """Convolution, batch normalisation, activation; see `ConvModule`.

    Args:
        norm: settings of the `BatchNormalization`.
    """

    def __init__(self, filters, kernel_size, strides=1, norm=None, activation="silu", **kwargs):
        super().__init__(
            filters,
            kernel_size,
            strides,
            norm=None,
            activation=activation,
            use_bias=False,
            **kwargs,
        )
        if filters is None:
            # Keras counts the inputs of all groups, of which each output has one.
            self.conv.depthwise_initializer = _uniform("fan_out")
        else:
            self.conv.kernel_initializer = _uniform()
        self.bn = BatchNormalization(**norm or {})


class CSPSeparableConv(Composite):
    """A depthwise, then a 1x1 `CSPConv`; the first has the strides."""

    def __init__(self, filters, kernel_size, strides=1, norm=None, activation="silu", **kwargs):
        super().__init__(**kwargs)
        settings = {"norm": norm, "activation": activation}
        self.depthwise_conv = CSPConv(None, kernel_size, strides, **settings)
        self.pointwise_conv = CSPConv(filters, 1, **settings)

    def call(self, x, training=None):
        return self.pointwise_conv(self.depthwise_conv(x, training=training), training=training)


class Block(Composite):
    """Two convolutions, plus the input where `add` is set.

    Args:
        large_kernels: bool: CSPNeXt's 3x3 and separable 5x5, else Darknet's 1x1 and 3x3.
    """

    def __init__(self, filters, add, large_kernels, separable, settings, **kwargs):
        super().__init__(**kwargs)
        dense = CSPSeparableConv if separable else CSPConv
        if large_kernels:
            self.conv1 = dense(filters, 3, **settings)
            self.conv2 = CSPSeparableConv(filters, 5, **settings)
        else:
            self.conv1 = CSPConv(filters, 1, **settings)
            self.conv2 = dense(filters, 3, **settings)
        self._add = add

    def call(self, x, training=None):
        y = self.conv2(self.conv1(x, training=training), training=training)
        return x + y if self._add else y


class ChannelAttention(Composite):
    """Channels scaled by a gate computed from their means."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.fc = Conv2D(filters, 1, kernel_initializer=_uniform())
        self._gate = named_activation("hard_sigmoid")

    def call(self, x):
        return x * self._gate(self.fc(ops.mean(x, axis=(1, 2), keepdims=True)))


class CSPLayer(Composite):
    """Half of the channels pass through blocks, half around them; joined by a 1x1 convolution.

    Args:
        filters: int, output channels.
        blocks: int, number of blocks.
        add: bool, whether blocks add their input.
        large_kernels: bool, CSPNeXt's blocks instead of Darknet's.
        separable: bool, separable instead of dense 3x3 convolutions.
        attention: bool, whether the joined channels are scaled by a gate.
        expand_ratio: float, width of either path in units of `filters`.
        norm: settings of every `BatchNormalization`.
        activation: name.
    """

    def __init__(
        self,
        filters,
        blocks=1,
        add=True,
        large_kernels=False,
        separable=False,
        attention=False,
        expand_ratio=0.5,
        norm=None,
        activation="silu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        settings = {"norm": norm, "activation": activation}
        width = int(filters * expand_ratio)
        self.main_conv = CSPConv(width, 1, **settings)
        self.short_conv = CSPConv(width, 1, **settings)
        self.blocks = Stack(
            [Block(width, add, large_kernels, separable, settings) for _ in range(blocks)]
        )
        self.attention = ChannelAttention(2 * width) if attention else None
        self.final_conv = CSPConv(filters, 1, **settings)

    def call(self, x, training=None):
        around = self.short_conv(x, training=training)
        through = self.blocks(self.main_conv(x, training=training), training=training)
        y = ops.concatenate([through, around], axis=-1)
        if self.attention is not None:
            y = self.attention(y)
        return self.final_conv(y, training=training)


class SpatialPyramidPooling(Composite):
    """Maxima over windows of several sizes beside the map itself (https://arxiv.org/abs/1406.4729).

    Args:
        filters: int, output channels.
        kernel_sizes: odd ints, the windows.
        norm: settings of every `BatchNormalization`.
        activation: name.
    """

    def __init__(self, filters, kernel_sizes=(5, 9, 13), norm=None, activation="silu", **kwargs):
        super().__init__(**kwargs)
        settings = {"norm": norm, "activation": activation}
        self.kernel_sizes = tuple(kernel_sizes)
        self.conv1 = CSPConv(filters // 2, 1, **settings)
        self.conv2 = CSPConv(filters, 1, **settings)

    def call(self, x, training=None):
        x = self.conv1(x, training=training)
        maxima = [max_pool(x, size, 1, padding=size // 2) for size in self.kernel_sizes]
        return self.conv2(ops.concatenate([x, *maxima], axis=-1), training=training)
