"""Normalisation layers with PyTorch's defaults, and the pixel normalisation of a network."""

import keras
from keras import ops

from keras_pose.layers.initialization import LazyInitialization


@keras.saving.register_keras_serializable(package="keras_pose")
class BatchNormalization(LazyInitialization, keras.layers.BatchNormalization):
    """Batch normalisation with PyTorch's epsilon (1e-5) and momentum (0.1 there, 0.9 here).

    Under training Keras stores the biased batch variance, PyTorch the unbiased one.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        fused = _FUSED.get(keras.backend.backend())
        trained = training and self.trainable
        if fused is None or trained or not (self.center and self.scale):
            return super().call(inputs, training=training, mask=mask)
        if len(inputs.shape) != 4 or self.axis not in (-1, 3) or self.compute_dtype != "float32":
            return super().call(inputs, training=training, mask=mask)
        return fused(self, ops.cast(inputs, "float32"))


def _fused_torch(layer, x):
    from torch.nn import functional

    mean, variance, gamma, beta = (ops.convert_to_tensor(v) for v in _statistics(layer))
    x = x.permute(0, 3, 1, 2)
    x = functional.batch_norm(x, mean, variance, gamma, beta, False, 0.0, layer.epsilon)
    return x.permute(0, 2, 3, 1)


def _fused_tensorflow(layer, x):
    import tensorflow as tf

    # Known to TensorFlow's optimiser and to converters, which join it with the convolution before.
    mean, variance, gamma, beta = (ops.convert_to_tensor(v) for v in _statistics(layer))
    return tf.compat.v1.nn.fused_batch_norm(
        x, gamma, beta, mean, variance, epsilon=layer.epsilon, is_training=False
    )[0]


def _fused_jax(layer, x):
    from jax import lax

    mean, variance, gamma, beta = (ops.convert_to_tensor(v) for v in _statistics(layer))
    scale = gamma * lax.rsqrt(variance + layer.epsilon)
    # Without the barrier XLA on a CPU works both vectors out anew for every pixel.
    scale, shift = lax.optimization_barrier((scale, beta - mean * scale))
    return x * scale + shift


def _statistics(layer):
    return layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta


# Inference as a backend does it best.
_FUSED = {"jax": _fused_jax, "tensorflow": _fused_tensorflow, "torch": _fused_torch}


@keras.saving.register_keras_serializable(package="keras_pose")
class LayerNormalization(LazyInitialization, keras.layers.LayerNormalization):
    """Layer normalisation over the last axis with PyTorch's epsilon (1e-5)."""

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(epsilon=epsilon, **kwargs)


@keras.saving.register_keras_serializable(package="keras_pose")
class GroupNormalization(LazyInitialization, keras.layers.GroupNormalization):
    """Normalisation over pixels and groups of channels with PyTorch's epsilon (1e-5)."""

    def __init__(self, groups=32, epsilon=1e-5, **kwargs):
        super().__init__(groups, epsilon=epsilon, **kwargs)


@keras.saving.register_keras_serializable(package="keras_pose")
class PixelNormalization(keras.layers.Layer):
    """Turns uint8 RGB pixels into the numbers a network was trained on: `(x - mean) / std`.

    Args:
        mean: float or one per channel, 0..255 scale. Default: ImageNet's RGB means.
        std: float or one per channel, 0..255 scale. Default: ImageNet's RGB deviations.
        channels: "rgb", or "bgr" for networks that were trained on OpenCV's channel order.
            `mean` and `std` are given in this order.
    """

    def __init__(
        self,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        channels="rgb",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if channels not in ("rgb", "bgr"):
            raise ValueError(f'channels must be "rgb" or "bgr", got "{channels}"')
        self.mean = _per_channel("mean", mean)
        self.std = _per_channel("std", std)
        if 0 in self.std:
            raise ValueError(f"std must not be 0, got {self.std}")
        self.channels = channels
        self.built = True

    def call(self, images):
        x = ops.cast(images, self.compute_dtype)
        if self.channels == "bgr":
            x = ops.flip(x, axis=-1)
        scale = ops.convert_to_tensor([1.0 / s for s in self.std], dtype=x.dtype)
        shift = ops.convert_to_tensor(
            [-m / s for m, s in zip(self.mean, self.std, strict=True)], dtype=x.dtype
        )
        return x * scale + shift

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def compute_output_spec(self, images):
        return keras.KerasTensor(images.shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "mean": self.mean,
            "std": self.std,
            "channels": self.channels,
        }


def _per_channel(name, value) -> list[float]:
    values = [value] * 3 if isinstance(value, int | float) else list(value)
    if len(values) != 3:
        raise ValueError(f"{name} must be a number or one per channel, got {value}")
    return values
