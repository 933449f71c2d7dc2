"""What the copies of a model on several devices, which share every batch, tell each other.

Every copy computes the loss of the whole batch from everybody's labels and outputs, so that a loss
may count keypoints, rank or compare samples in any way. Under JAX there is nothing to tell: one
program runs over all devices. Who shares batches is settled by `keras_pose.training.distribution`.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

_path = (
    importlib.import_module(f"keras_pose.layers.replicas_{keras.backend.backend()}")
    if keras.backend.backend() in ("tensorflow", "torch")
    else None
)
_now = {"processes": 1, "moments": False}


@contextmanager
def sharing_batches(processes: int, moments: bool) -> Iterator[None]:
    """Inside, copies know of each other.

    Args:
        processes: int, how many processes of `torch.distributed` share every batch.
        moments: bool, whether batch normalisation is over the whole batch.
    """
    before = dict(_now)
    _now.update(processes=processes, moments=moments)
    try:
        yield
    finally:
        _now.update(before)


def copies_summed() -> int:
    """How many copies' gradients are added up; each divides its loss by it."""
    return _path.copies_summed() if _path else 1


def rows_of_all(values: dict) -> dict:
    """The rows `(B, ...)` of the whole batch from those that this copy has.

    Gradients are such that those of all copies, added or averaged as the backend does, are the
    gradients of the whole batch.
    """
    if _path is None or not _path.is_copy(_now["processes"], next(iter(values.values()))):
        return values
    return _path.rows_of_all(values)


def gradients_of_all(gradients: list) -> list:
    """The sums of all copies' gradients where these are added up (see `copies_summed`)."""
    if copies_summed() == 1:
        return gradients
    return _path.gradients_of_all(gradients)


def moments_of_all(x, axes: Sequence[int]):
    """Mean and variance of x over axes and over all copies; None where they are this copy's own."""
    return _path.moments_of_all(x, axes) if is_sharing_moments(x) else None


def is_sharing_moments(x) -> bool:
    """Whether `moments_of_all` would return something."""
    return _path is not None and _now["moments"] and _path.is_copy(_now["processes"], x)
