"""Fully connected layers with the initial values of published transformers."""

import keras
from keras import ops

from keras_pose.layers.initialization import LazyInitialization


@keras.saving.register_keras_serializable(package="keras_pose")
class Dense(LazyInitialization, keras.layers.Dense):
    """A fully connected layer over the last axis: `x @ kernel + bias`.

    Kernels start as normal numbers of deviation 0.02, cut at two deviations, biases at 0.

    Args:
        units: int, output channels.
        activation: name or function, or None.
        use_bias: bool.
    """

    def __init__(self, units, activation=None, use_bias=True, **kwargs):
        kwargs.setdefault("kernel_initializer", keras.initializers.TruncatedNormal(stddev=0.02))
        super().__init__(units, activation=activation, use_bias=use_bias, **kwargs)

    def call(self, inputs, training=None):
        static = all(size is not None for size in inputs.shape[1:])
        if keras.backend.backend() != "tensorflow" or len(inputs.shape) == 2 or not static:
            return super().call(inputs, training=training)
        # TensorFlow multiplies a stack of matrices half as fast as one of all their rows.
        rows = super().call(ops.reshape(inputs, (-1, inputs.shape[-1])), training=training)
        return ops.reshape(rows, (-1, *inputs.shape[1:-1], self.units))
