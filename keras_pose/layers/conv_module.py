"""Convolution, normalisation, activation: the block most networks are made of."""

import keras

from keras_pose.layers.activation import activation as named_activation
from keras_pose.layers.composite import Composite
from keras_pose.layers.convolution import Conv2D, DepthwiseConv2D
from keras_pose.layers.normalization import BatchNormalization


class ConvModule(Composite):
    """Convolution, then batch normalisation, then an activation.

    Args:
        filters: int, output channels; None makes the convolution depthwise.
        kernel_size: int.
        strides: int.
        padding: int, pair or "same"; default: half the kernel on every side.
        groups: int.
        norm: "batch" or None.
        activation: name, or None.
        use_bias: bool; default: a bias where no normalisation follows.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding=None,
        groups=1,
        norm="batch",
        activation="relu",
        use_bias=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        padding = kernel_size // 2 if padding is None else padding
        use_bias = norm is None if use_bias is None else use_bias
        if filters is None:
            self.conv = DepthwiseConv2D(kernel_size, strides, padding, use_bias=use_bias)
        else:
            self.conv = Conv2D(
                filters, kernel_size, strides, padding, groups=groups, use_bias=use_bias
            )
        self.bn = BatchNormalization() if norm == "batch" else None
        self._activation = named_activation(activation)

    def call(self, x, training=None):
        x = self.conv(x)
        if self.bn is not None:
            x = self.bn(x, training=training)
        return x if self._activation is None else self._activation(x)


class SeparableConvModule(Composite):
    """A depthwise convolution, then a 1x1 convolution.

    Args:
        filters: int, output channels.
        kernel_size: int, of the depthwise part.
        padding: as in `ConvModule`.
        norm, activation: of the 1x1 part.
        depthwise_norm, depthwise_activation: of the depthwise part.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        padding=None,
        norm=None,
        activation=None,
        depthwise_norm=None,
        depthwise_activation=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.depthwise_conv = ConvModule(
            None,
            kernel_size,
            padding=padding,
            norm=depthwise_norm,
            activation=depthwise_activation,
            use_bias=False,
        )
        self.pointwise_conv = ConvModule(filters, 1, norm=norm, activation=activation)

    def call(self, x, training=None):
        return self.pointwise_conv(self.depthwise_conv(x, training=training), training=training)


class SqueezeExcite(Composite):
    """Squeeze and excitation: channels scaled by a gate computed from their means.

    Args:
        filters: int, channels of the block.
        squeeze: int, channels in between.
        gate: name of the gate's activation.
        gate_bias: bool, whether the second 1x1 convolution has a bias.
    """

    def __init__(self, filters, squeeze, gate="hard_sigmoid", gate_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = ConvModule(squeeze, 1, norm=None, activation="relu")
        self.conv2 = ConvModule(filters, 1, norm=None, activation=gate, use_bias=gate_bias)

    def call(self, x):
        means = keras.ops.mean(x, axis=(1, 2), keepdims=True)
        return x * self.conv2(self.conv1(means))
