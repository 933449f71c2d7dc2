"""Feature pyramid network (Lin et al., 2016, https://arxiv.org/abs/1612.03144)."""

import keras
from keras import ops

from keras_pose.layers import Composite, ConvModule, Stack, resize, set_kernel_initializer

EXTRA_SOURCES = ("on_input", "on_lateral", "on_output")


@keras.saving.register_keras_serializable(package="keras_pose")
class FPN(Composite):
    """Maps of one width, each of which has seen all coarser ones.

    Args:
        num_inputs: int, how many maps come in.
        out_channels: int, width of all returned maps.
        num_outputs: int, how many maps to return, at least as many as are used.
        start_level, end_level: index of the first and the last map that are used.
        add_extra_convs: where the map comes from that a 3x3 convolution of stride 2 makes the
            first map beyond the inputs of: "on_input", "on_lateral" or "on_output", the last of
            each; further ones are made of each other. False leaves out every second pixel of the
            last output instead.
        relu_before_extra_convs: bool, whether a ReLU comes between these convolutions.
        norm: "batch" or None, after every convolution.
        no_norm_on_lateral: bool, whether the 1x1 convolutions have none.
        activation: name of an activation after every convolution, or None.

    Returns:
        List of `num_outputs` maps, fine to coarse.
    """

    def __init__(
        self,
        num_inputs,
        out_channels,
        num_outputs,
        start_level=0,
        end_level=-1,
        add_extra_convs=False,
        relu_before_extra_convs=False,
        norm=None,
        no_norm_on_lateral=False,
        activation=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        last = end_level % num_inputs
        used = last - start_level + 1
        extra = num_outputs - used
        if not 0 <= start_level <= last or extra < 0:
            raise ValueError(
                f"levels {start_level} to {end_level} of {num_inputs} do not fit {num_outputs} "
                "outputs"
            )
        if add_extra_convs and add_extra_convs not in EXTRA_SOURCES:
            raise ValueError(
                f"add_extra_convs must be False or one of {', '.join(EXTRA_SOURCES)}, got "
                f"{add_extra_convs!r}"
            )
        self.num_inputs = num_inputs
        self.out_channels = out_channels
        self.num_outputs = num_outputs
        self.start_level = start_level
        self.end_level = end_level
        self.add_extra_convs = add_extra_convs
        self.relu_before_extra_convs = relu_before_extra_convs
        self.norm = norm
        self.no_norm_on_lateral = no_norm_on_lateral
        self.activation = activation
        self._levels = range(start_level, last + 1)
        lateral_norm = None if no_norm_on_lateral else norm
        self.lateral_convs, self.fpn_convs = Stack(), Stack()
        for _ in self._levels:
            self.lateral_convs.append(
                ConvModule(out_channels, 1, norm=lateral_norm, activation=activation)
            )
            self.fpn_convs.append(ConvModule(out_channels, 3, norm=norm, activation=activation))
        for _ in range(extra if add_extra_convs else 0):
            self.fpn_convs.append(ConvModule(out_channels, 3, 2, norm=norm, activation=activation))
        set_kernel_initializer(self, keras.initializers.GlorotUniform())

    def call(self, features, training=None):
        if len(features) != self.num_inputs:
            raise ValueError(f"the neck reads {self.num_inputs} maps, got {len(features)}")
        used = [features[i] for i in self._levels]
        maps = [
            conv(x, training=training) for conv, x in zip(self.lateral_convs, used, strict=True)
        ]
        for i in reversed(range(len(maps) - 1)):
            maps[i] = maps[i] + resize(maps[i + 1], maps[i].shape[1:3], "nearest")
        outputs = [self.fpn_convs[i](x, training=training) for i, x in enumerate(maps)]
        sources = {"on_input": used[-1], "on_lateral": maps[-1], "on_output": outputs[-1]}
        for i in range(len(maps), self.num_outputs):
            if not self.add_extra_convs:
                outputs.append(outputs[-1][:, ::2, ::2])
                continue
            first = i == len(maps)
            x = sources[self.add_extra_convs] if first else outputs[-1]
            if self.relu_before_extra_convs and not first:
                x = ops.relu(x)
            outputs.append(self.fpn_convs[i](x, training=training))
        return outputs

    def get_config(self):
        return {
            **super().get_config(),
            "num_inputs": self.num_inputs,
            "out_channels": self.out_channels,
            "num_outputs": self.num_outputs,
            "start_level": self.start_level,
            "end_level": self.end_level,
            "add_extra_convs": self.add_extra_convs,
            "relu_before_extra_convs": self.relu_before_extra_convs,
            "norm": self.norm,
            "no_norm_on_lateral": self.no_norm_on_lateral,
            "activation": self.activation,
        }
