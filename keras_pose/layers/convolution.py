"""Convolutions with PyTorch's conventions, fast on every backend."""

import importlib

import keras

from keras_pose.layers.initialization import LazyInitialization

_PATHS = {
    "jax": "convolution_jax",
    "tensorflow": "convolution_tensorflow",
    "torch": "convolution_torch",
}
_path = importlib.import_module(
    f"keras_pose.layers.{_PATHS.get(keras.backend.backend(), 'convolution_ops')}"
)


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _pads(padding):
    if padding == "same":
        return "same"
    if isinstance(padding, str):
        raise ValueError(f'padding must be a number of pixels, a pair or "same", got "{padding}"')
    return _pair(padding)


class _ChannelsLast(LazyInitialization):
    """Images are `(B, H, W, C)` here, whatever the user's Keras is set to."""

    def __init__(self, *args, data_format="channels_last", **kwargs):
        if data_format != "channels_last":
            raise ValueError(f'data_format must be "channels_last", got "{data_format}"')
        super().__init__(*args, data_format=data_format, **kwargs)


class _Padded(_ChannelsLast):
    """What the forward convolutions share: explicit padding and the output's shape."""

    def _output_size(self, input_shape):
        sizes = []
        for axis, (size, kernel, stride, dilation) in enumerate(
            zip(
                input_shape[1:3],
                self.kernel_size,
                self.strides,
                self.dilation_rate,
                strict=True,
            )
        ):
            if size is None:
                sizes.append(None)
            elif self.pads == "same":
                sizes.append(-(-size // stride))
            else:
                span = size + 2 * self.pads[axis] - dilation * (kernel - 1) - 1
                sizes.append(span // stride + 1)
        return sizes

    def get_config(self):
        return {**super().get_config(), "padding": self.pads}


@keras.saving.register_keras_serializable(package="keras_pose")
class Conv2D(_Padded, keras.layers.Conv2D):
    """2D convolution whose padding is given in pixels on every side, as in PyTorch.

    Args:
        filters: int, number of output channels.
        kernel_size: int or (height, width).
        strides: int or (height, width).
        padding: int or (rows, columns) added on both sides, or "same" for TensorFlow's rule
            (which pads asymmetrically under strides).
        dilation_rate: int or pair.
        groups: int. For one group per channel use `DepthwiseConv2D`.
        use_bias: bool.
    """

    def __init__(self, filters, kernel_size, strides=1, padding=0, **kwargs):
        self_pads = _pads(padding)
        kwargs.setdefault("kernel_initializer", "he_normal")
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding="same" if self_pads == "same" else "valid",
            **kwargs,
        )
        self.pads = self_pads

    def call(self, inputs):
        x = _path.convolve(self, inputs)
        return x if self.activation is None else self.activation(x)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._output_size(input_shape), self.filters)


@keras.saving.register_keras_serializable(package="keras_pose")
class DepthwiseConv2D(_Padded, keras.layers.DepthwiseConv2D):
    """Depthwise 2D convolution with padding in pixels; see `Conv2D`."""

    def __init__(self, kernel_size, strides=1, padding=0, **kwargs):
        self_pads = _pads(padding)
        kwargs.setdefault("depthwise_initializer", "he_normal")
        super().__init__(
            kernel_size,
            _pair(strides),
            padding="same" if self_pads == "same" else "valid",
            **kwargs,
        )
        self.pads = self_pads

    def call(self, inputs):
        x = _path.convolve_depthwise(self, inputs)
        return x if self.activation is None else self.activation(x)

    def compute_output_shape(self, input_shape):
        channels = input_shape[-1] * self.depth_multiplier
        return (input_shape[0], *self._output_size(input_shape), channels)


@keras.saving.register_keras_serializable(package="keras_pose")
class Conv2DTranspose(_ChannelsLast, keras.layers.Conv2DTranspose):
    """Transposed 2D convolution with PyTorch's `padding` and `output_padding`.

    The output is `(size - 1) * strides - 2 * padding + kernel_size + output_padding` pixels.

    Args:
        filters: int, number of output channels.
        kernel_size: int or (height, width).
        strides: int or (height, width).
        padding: int or (rows, columns) taken off on both sides.
        output_padding: int or (rows, columns) added at the bottom and right.
        groups: int; each group of input channels makes `filters / groups` outputs.
        use_bias: bool.
    """

    def __init__(
        self, filters, kernel_size, strides=1, padding=0, output_padding=0, groups=1, **kwargs
    ):
        if isinstance(padding, str):
            raise ValueError(f'padding must be a number of pixels or a pair, got "{padding}"')
        kwargs.setdefault("kernel_initializer", keras.initializers.RandomNormal(stddev=0.001))
        super().__init__(filters, kernel_size, strides, padding="valid", **kwargs)
        if self.dilation_rate != (1, 1):
            raise ValueError(f"dilation_rate must be 1, got {self.dilation_rate}")
        if filters % groups:
            raise ValueError(f"filters must be a multiple of groups {groups}, got {filters}")
        self.pads = _pair(padding)
        self.output_pads = _pair(output_padding)
        self.groups = groups

    def build(self, input_shape):
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"channels must be a multiple of groups {self.groups}, got {input_shape[-1]}"
            )
        super().build(input_shape)

    def add_weight(self, *args, shape, name, **kwargs):
        if name == "kernel":
            rows, columns, filters, channels = shape
            shape = (rows, columns, filters // self.groups, channels)
        return super().add_weight(*args, shape=shape, name=name, **kwargs)

    def call(self, inputs):
        x = _path.convolve_transposed(self, inputs)
        return x if self.activation is None else self.activation(x)

    def output_size(self, input_shape) -> tuple[int | None, int | None]:
        """Height and width of the output for an input of shape (B, H, W, C)."""
        return tuple(
            None if size is None else (size - 1) * stride - 2 * pad + kernel + extra
            for size, stride, pad, kernel, extra in zip(
                input_shape[1:3],
                self.strides,
                self.pads,
                self.kernel_size,
                self.output_pads,
                strict=True,
            )
        )

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.output_size(input_shape), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "padding": self.pads,
            "output_padding": self.output_pads,
            "groups": self.groups,
        }
