"""Fully connected layers with the initial values of published transformers."""

import keras

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
