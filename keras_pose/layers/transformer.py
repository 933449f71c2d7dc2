"""What transformers on images share beside attention: patches to tokens, and their MLP."""

from keras import ops

from keras_pose.layers.activation import activation
from keras_pose.layers.composite import Composite, Stack
from keras_pose.layers.convolution import Conv2D
from keras_pose.layers.dense import Dense
from keras_pose.layers.normalization import LayerNormalization


class PatchEmbedding(Composite):
    """A convolution that makes one token of every patch: maps to maps.

    Args:
        channels: int, width of the tokens.
        patch_size: int, pixels.
        strides: int, pixels; default: patches that touch.
        padding: int, zeros on all sides.
        epsilon: float, of a layer normalisation of the tokens; None for none.
        kernel_initializer: of the convolution.
    """

    def __init__(
        self,
        channels,
        patch_size,
        strides=None,
        padding=0,
        epsilon=None,
        kernel_initializer="he_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.projection = Conv2D(
            channels,
            patch_size,
            strides or patch_size,
            padding,
            kernel_initializer=kernel_initializer,
        )
        self.norm = None if epsilon is None else LayerNormalization(epsilon)

    def call(self, x):
        x = self.projection(x)
        return x if self.norm is None else self.norm(x)


class FeedForward(Composite):
    """Two dense layers with a GELU in between, the same for every token.

    Args:
        channels: int, width of input and output.
        hidden: int, width in between.
        experts: int. Where it is not 0, the last `expert_channels` of the output are made by one
            of so many dense layers (Xu et al., 2022, section 3.4,
            https://arxiv.org/abs/2212.04246).
        expert_channels: int.
        expert: int, which of them.
    """

    def __init__(self, channels, hidden, experts=0, expert_channels=0, expert=0, **kwargs):
        super().__init__(**kwargs)
        shared = channels - expert_channels if experts else channels
        first = Dense(hidden, activation=activation("gelu"))
        self.layers = Stack([Stack([first]), Dense(shared)])
        self.experts = Stack([Dense(expert_channels) for _ in range(experts)])
        self._hidden = hidden
        self._expert = expert

    def build(self, input_shape):
        # Those that `call` leaves out as well, or they would have no weights.
        for expert in self.experts:
            expert.build((*input_shape[:-1], self._hidden))
        super().build(input_shape)

    def call(self, x):
        hidden, last = self.layers
        x = hidden(x)
        if not len(self.experts):
            return last(x)
        return ops.concatenate([last(x), self.experts[self._expert](x)], axis=-1)
