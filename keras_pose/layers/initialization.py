"""Leaving variables at zero while a model is built whose weights are about to be loaded."""

from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_skipping = ContextVar("keras_pose_skip_initialization", default=False)


@contextmanager
def skip_initialization():
    """Inside this context new variables of `keras_pose.layers` are zeros, whatever their initialiser.

    Drawing 30 million random numbers that are overwritten a moment later costs JAX several
    seconds. The choice is no part of any layer's config.
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def _zeros(shape, dtype=None):
    # A NumPy array, because JAX compiles a program per shape to make zeros itself.
    return np.zeros(shape, dtype)


class LazyInitialization:
    """Mixin for layers with variables: makes them obey `skip_initialization`."""

    def add_weight(self, *args, **kwargs):
        if _skipping.get():
            kwargs["initializer"] = _zeros
        return super().add_weight(*args, **kwargs)
