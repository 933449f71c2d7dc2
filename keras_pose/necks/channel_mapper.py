"""Maps of one width, without an exchange between levels."""

import keras

from keras_pose.layers import (
    Composite,
    Conv2D,
    ConvModule,
    GroupNormalization,
    Stack,
    set_kernel_initializer,
)
from keras_pose.layers import activation as named_activation


class GroupNormModule(Composite):
    """Convolution, group normalisation and an activation."""

    def __init__(self, filters, kernel_size, strides, norm_groups, activation, **kwargs):
        super().__init__(**kwargs)
        self.conv = Conv2D(filters, kernel_size, strides, kernel_size // 2, use_bias=False)
        self.gn = GroupNormalization(norm_groups)
        self._activation = named_activation(activation)

    def call(self, x, training=None):
        x = self.gn(self.conv(x))
        return x if self._activation is None else self._activation(x)


@keras.saving.register_keras_serializable(package="keras_pose")
class ChannelMapper(Composite):
    """A convolution for every map; 3x3 convolutions of stride 2 make further ones.

    Args:
        num_inputs: int, how many maps come in.
        out_channels: int, width of all returned maps.
        kernel_size: int, odd, of the convolutions of the maps that come in.
        num_outputs: int, how many maps to return; default: `num_inputs`. The first further map is
            made of the last input, the next ones of the ones before.
        norm: "batch", "group" or None, after every convolution.
        norm_groups: int, groups of "group".
        activation: name of an activation after every convolution, or None.

    Returns:
        List of `num_outputs` maps, fine to coarse.
    """

    def __init__(
        self,
        num_inputs,
        out_channels,
        kernel_size=3,
        num_outputs=None,
        norm=None,
        norm_groups=32,
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_inputs = num_inputs
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.num_outputs = num_inputs if num_outputs is None else num_outputs
        self.norm = norm
        self.norm_groups = norm_groups
        self.activation = activation
        if self.num_outputs < num_inputs:
            raise ValueError(
                f"num_outputs must be num_inputs or more, got {num_outputs} and {num_inputs}"
            )
        if norm not in ("batch", "group", None):
            raise ValueError(f'norm must be "batch", "group" or None, got {norm!r}')
        self.convs = Stack([self._module(kernel_size, 1) for _ in range(num_inputs)])
        extra = self.num_outputs - num_inputs
        self.extra_convs = Stack([self._module(3, 2) for _ in range(extra)]) if extra else None
        set_kernel_initializer(self, keras.initializers.GlorotUniform())

    def _module(self, kernel_size, strides):
        if self.norm == "group":
            return GroupNormModule(
                self.out_channels, kernel_size, strides, self.norm_groups, self.activation
            )
        return ConvModule(
            self.out_channels, kernel_size, strides, norm=self.norm, activation=self.activation
        )

    def call(self, features, training=None):
        outputs = [conv(x, training=training) for conv, x in zip(self.convs, features, strict=True)]
        x = features[-1]
        for conv in self.extra_convs or ():
            x = conv(x, training=training)
            outputs.append(x)
        return outputs

    def get_config(self):
        return {
            **super().get_config(),
            "num_inputs": self.num_inputs,
            "out_channels": self.out_channels,
            "kernel_size": self.kernel_size,
            "num_outputs": self.num_outputs,
            "norm": self.norm,
            "norm_groups": self.norm_groups,
            "activation": self.activation,
        }
