"""Stochastic depth (Huang et al., 2016, https://arxiv.org/abs/1603.09382)."""

import keras
import numpy as np
from keras import ops


def drop_path_rates(rate: float, blocks: int) -> list[float]:
    """The rate of each block: from 0 in the first to `rate` in the last in even steps."""
    return np.linspace(0, rate, blocks).tolist()


@keras.saving.register_keras_serializable(package="keras_pose")
class DropPath(keras.layers.Layer):
    """Under training zeroes whole samples of a residual branch, and divides the others by 1 - rate.

    Args:
        rate: float in 0..1 (1 excluded), the part of the samples that is zeroed.
        seed: int or None.
    """

    def __init__(self, rate=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must lie in 0..1 (1 excluded), got {rate}")
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self._seeds = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, x, training=None):
        if not training or self.rate == 0:
            return x
        # One draw per sample, in float32 under every policy.
        shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
        kept = keras.random.uniform(shape, dtype="float32", seed=self._seeds) >= self.rate
        return x * (ops.cast(kept, x.dtype) / (1 - self.rate))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
