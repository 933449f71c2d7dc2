"""Gated attention (Hua et al., 2022, https://arxiv.org/abs/2202.10447) as RTMPose uses it."""

import keras
import numpy as np
from keras import ops

from keras_pose.layers.activation import activation as named_activation
from keras_pose.layers.composite import Composite
from keras_pose.layers.dense import Dense
from keras_pose.layers.drop_path import DropPath
from keras_pose.layers.initialization import LazyInitialization

_NARROW = keras.initializers.RandomNormal(stddev=0.01)


@keras.saving.register_keras_serializable(package="keras_pose")
class ScaleNorm(LazyInitialization, keras.layers.Layer):
    """Divides vectors by their root mean square; one learnt number scales all of them.

    Nguyen and Salazar, 2019, https://arxiv.org/abs/1910.05895.

    Args:
        epsilon: float, the least root mean square.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        self.g = self.add_weight(shape=(1,), initializer="ones", name="g")
        self.built = True

    def call(self, x):
        # In float32, because the squares of half precision are not enough. The maximum stands
        # inside of the root, whose slope at 0 is infinite.
        y = ops.cast(x, "float32")
        squares = ops.mean(ops.square(y), axis=-1, keepdims=True)
        y = y / ops.sqrt(ops.maximum(squares, self.epsilon**2))
        return ops.cast(y, x.dtype) * self.g

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


class Scale(LazyInitialization, keras.layers.Layer):
    """Multiplies each channel by a learnt number."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.built = True

    def call(self, x):
        return x * self.scale

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@keras.saving.register_keras_serializable(package="keras_pose")
class GatedAttentionUnit(LazyInitialization, Composite):
    """Self-attention and a gate in one: tokens `(B, T, C)` to tokens `(B, T, C)`.

    All tokens share one projection, from which queries and keys differ by a scale and a shift of
    their own. Attention weights are squared ReLUs of the products instead of a softmax.

    Args:
        units: int, C.
        key_units: int, width of queries and keys.
        expansion_factor: float, width of gate and values in units of C.
        activation: name, of the projection.
        relative_bias: bool, whether a learnt number per distance of two tokens is added to their
            product.
        rotary: bool, whether queries and keys are turned by their position (Su et al., 2021,
            https://arxiv.org/abs/2104.09864).
        dropout_rate: float, part of the attention weights that training zeroes.
        drop_path_rate: float, part of the samples whose branch training leaves out.
    """

    def __init__(
        self,
        units,
        key_units=128,
        expansion_factor=2,
        activation="silu",
        relative_bias=False,
        rotary=False,
        dropout_rate=0.0,
        drop_path_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if rotary and key_units % 2:
            raise ValueError(f"key_units must be even with rotary, got {key_units}")
        self.units = units
        self.key_units = key_units
        self.expansion_factor = expansion_factor
        self.activation = activation
        self.relative_bias = relative_bias
        self.rotary = rotary
        self.dropout_rate = dropout_rate
        self.drop_path_rate = drop_path_rate
        self._activation = named_activation(activation)
        self._expanded = int(units * expansion_factor)
        self.ln = ScaleNorm()
        self.uv = Dense(2 * self._expanded + key_units, use_bias=False, kernel_initializer=_NARROW)
        self.o = Dense(units, use_bias=False, kernel_initializer=_NARROW)
        self.res_scale = Scale()
        self.dropout = keras.layers.Dropout(dropout_rate) if dropout_rate else None
        self.drop_path = DropPath(drop_path_rate)

    def build(self, input_shape):
        _, tokens, channels = input_shape
        if channels != self.units:
            raise ValueError(f"tokens must have {self.units} channels, got {channels}")
        # They are drawn from 0..1 in the reference too.
        uniform = keras.initializers.RandomUniform(0.0, 1.0)
        pair = (2, self.key_units)
        self.gamma = self.add_weight(shape=pair, initializer=uniform, name="gamma")
        self.beta = self.add_weight(shape=pair, initializer=uniform, name="beta")
        if self.relative_bias:
            shape = (2 * tokens - 1,)
            self.w = self.add_weight(shape=shape, initializer=uniform, name="w")
        super().build(input_shape)

    def call(self, x, positions=None, training=None):
        """Tokens from tokens; positions `(1, T, key_units)` are added to queries and keys."""
        projected = self._activation(self.uv(self.ln(x)))
        gate = projected[..., : self._expanded]
        values = projected[..., self._expanded : 2 * self._expanded]
        base = projected[..., 2 * self._expanded :]
        queries = self._positioned(base * self.gamma[0] + self.beta[0])
        keys = self._positioned(base * self.gamma[1] + self.beta[1])
        if positions is not None:
            queries, keys = queries + positions, keys + positions
        products = ops.matmul(queries, ops.transpose(keys, (0, 2, 1)))
        if self.relative_bias:
            count = x.shape[1]
            distances = np.arange(count)[None, :] - np.arange(count)[:, None] + count - 1
            products = products + ops.take(self.w, distances.astype("int32"), axis=0)
        weights = ops.square(ops.relu(products / self.key_units**0.5))
        if self.dropout is not None:
            weights = self.dropout(weights, training=training)
        branch = self.o(gate * ops.matmul(weights, values))
        return self.res_scale(x) + self.drop_path(branch, training=training)

    def _positioned(self, x):
        """Halves of the channels turned against each other, by an angle that grows with the token.

        Angles are position / 10000^(channel / half).
        """
        if not self.rotary:
            return x
        half = self.key_units // 2
        frequencies = 10000.0 ** (-np.arange(half) / half)
        angles = np.arange(x.shape[1])[:, None] * frequencies
        cosine, sine = (
            ops.convert_to_tensor(values.astype("float32"), dtype=x.dtype)
            for values in (np.cos(angles), np.sin(angles))
        )
        first, second = x[..., :half], x[..., half:]
        return ops.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine], axis=-1
        )

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "key_units": self.key_units,
            "expansion_factor": self.expansion_factor,
            "activation": self.activation,
            "relative_bias": self.relative_bias,
            "rotary": self.rotary,
            "dropout_rate": self.dropout_rate,
            "drop_path_rate": self.drop_path_rate,
        }
