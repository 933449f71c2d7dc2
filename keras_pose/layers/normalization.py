"""Normalisation layers with PyTorch's defaults, and the pixel normalisation of a network."""

import importlib

import keras
from keras import ops

from keras_pose.layers.initialization import LazyInitialization
from keras_pose.layers.replicas import is_sharing_moments, moments_of_all

_PATHS = ("jax", "tensorflow", "torch")
_path = (
    importlib.import_module(f"keras_pose.layers.normalization_{keras.backend.backend()}")
    if keras.backend.backend() in _PATHS
    else None
)


@keras.saving.register_keras_serializable(package="keras_pose")
class BatchNormalization(LazyInitialization, keras.layers.BatchNormalization):
    """Batch normalisation with PyTorch's epsilon (1e-5) and momentum (0.1 there, 0.9 here).

    Under training Keras stores the biased batch variance, PyTorch the unbiased one. With the
    attribute `frozen_statistics` the stored ones are used in training too (`norm_eval`).
    """

    frozen_statistics = False

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        training = training and not self.frozen_statistics
        learning = training and self.trainable
        plain = (
            _path is not None
            and (not learning or self._learns_by_one_operation(inputs, mask))
            and self.compute_dtype == "float32"
            and self.center
            and self.scale
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
        )
        if not plain:
            return super().call(inputs, training=training, mask=mask)
        if learning:
            return self._normalize_batch(inputs)
        values = self.moving_mean, self.moving_variance, self.gamma, self.beta
        values = [ops.convert_to_tensor(value) for value in values]
        return _path.normalize(ops.cast(inputs, "float32"), *values, self.epsilon)

    def _learns_by_one_operation(self, inputs, mask) -> bool:
        return (
            hasattr(_path, "normalize_batch")
            and mask is None
            and not getattr(self, "renorm", False)
            and not is_sharing_moments(inputs)
            and not inputs.is_meta
            and inputs[..., 0].numel() > 1
        )

    def _normalize_batch(self, inputs):
        gamma, beta = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        inputs = ops.cast(inputs, "float32")
        outputs, mean, variance = _path.normalize_batch(inputs, gamma, beta, self.epsilon)
        for stored, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            stored.assign(stored * self.momentum + new * (1.0 - self.momentum))
        return outputs

    def _moments(self, inputs, mask):
        found = None if mask is not None else moments_of_all(inputs, self._reduction_axes)
        return super()._moments(inputs, mask) if found is None else found


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
