"""Initial values of variables: drawn with NumPy, or left at zero where weights will be loaded."""

from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar

import keras
import numpy as np

_skipping = ContextVar("keras_pose_skip_initialization", default=False)


@contextmanager
def skip_initialization():
    """New variables of `keras_pose.layers` are zeros in here, whatever their initialiser.

    Drawing 30 million random numbers that are overwritten a moment later costs JAX several
    seconds. The choice is no part of any layer's config.
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


class LazyInitialization:
    """Mixin for layers with variables: makes them obey `skip_initialization`.

    Otherwise their initialisers are evaluated with NumPy: JAX would compile a program per shape
    (ten seconds for a ResNet-50), and so one seed gives the same weights on every backend.
    """

    def add_weight(self, *args, **kwargs):
        if _skipping.get():
            kwargs["initializer"] = _zeros
        elif kwargs.get("initializer") is not None:
            kwargs["initializer"] = _in_numpy(keras.initializers.get(kwargs["initializer"]))
        return super().add_weight(*args, **kwargs)

    def load_own_variables(self, store):
        variables = {str(i): v for i, v in enumerate(self.weights)}
        super().load_own_variables(
            {
                key: _on_device(store[key], variables[key].dtype)
                if key in variables
                else store[key]
                for key in store.keys()  # noqa: SIM118, Keras' stores do not iterate
            }
        )


def set_kernel_initializer(root: keras.layers.Layer, initializer) -> None:
    """Makes every convolution below a layer draw its kernel with this initialiser.

    For networks that start from other numbers than `keras_pose.layers` do; to be called where the
    layers have been made and nothing is built yet. Each takes a copy, which draws other numbers.
    """
    for layer in root._flatten_layers():
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.depthwise_initializer = initializer.clone()
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            layer.kernel_initializer = initializer.clone()


def _on_device(values, dtype):
    """Values in the backend's own form; JAX would compile a conversion for each new shape."""
    values = np.asarray(values, dtype)
    if keras.backend.backend() != "jax":
        return values
    import jax

    return jax.device_put(values)


def _zeros(shape, dtype=None):
    dtype = np.dtype(dtype or keras.config.floatx())
    # JAX takes memory that begins at a multiple of 64 bytes as it is. Zeros that nobody reads
    # then take no memory: the system gives it when it is touched.
    memory = np.zeros(int(np.prod(shape)) * dtype.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    values = memory[start : start + memory.size - 64].view(dtype).reshape(shape)
    return _on_device(values, dtype)


def _in_numpy(initializer) -> Callable:
    """The same initialiser evaluated with NumPy; one of an unknown kind is returned as it is."""
    draw = _DRAWS.get(type(initializer))
    if draw is None and isinstance(initializer, keras.initializers.VarianceScaling):
        draw = _variance_scaling
    seed = getattr(initializer, "seed", None)
    if draw is None or not (seed is None or isinstance(seed, int)):
        return initializer

    def initialize(shape, dtype=None):
        random = np.random.default_rng(seed)
        return _on_device(draw(initializer, tuple(shape), random), dtype or keras.config.floatx())

    return initialize


def _truncated(shape, random):
    """Standard normal numbers within two deviations."""
    values = random.standard_normal(shape, np.float32)
    while (far := np.abs(values) > 2).any():
        values[far] = random.standard_normal(int(far.sum()), np.float32)
    return values


def _variance_scaling(initializer, shape, random):
    field = int(np.prod(shape[:-2]))
    fan_in, fan_out = (field * n for n in shape[-2:]) if len(shape) > 1 else (shape[0],) * 2
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    variance = initializer.scale / max(1.0, fans[initializer.mode])
    if initializer.distribution == "uniform":
        limit = np.sqrt(3 * variance)
        return random.uniform(-limit, limit, shape)
    if initializer.distribution == "untruncated_normal":
        return random.standard_normal(shape, np.float32) * np.sqrt(variance)
    # 0.87962566 is the deviation of a standard normal cut at two.
    return _truncated(shape, random) * (np.sqrt(variance) / 0.87962566)


_DRAWS = {
    keras.initializers.Zeros: lambda i, shape, random: np.zeros(shape),
    keras.initializers.Ones: lambda i, shape, random: np.ones(shape),
    keras.initializers.Constant: lambda i, shape, random: np.full(shape, i.value),
    keras.initializers.RandomNormal: lambda i, shape, random: random.normal(
        i.mean, i.stddev, shape
    ),
    keras.initializers.TruncatedNormal: lambda i, shape, random: (
        i.mean + i.stddev * _truncated(shape, random)
    ),
    keras.initializers.RandomUniform: lambda i, shape, random: random.uniform(
        i.minval, i.maxval, shape
    ),
}
