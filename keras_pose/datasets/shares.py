"""Batches that several processes share: each makes its own part of every one."""

from collections.abc import Iterator
from contextlib import contextmanager

_present = {"index": 0, "count": 1}


@contextmanager
def share_of_batches(index: int, count: int) -> Iterator[None]:
    """Batches that are made inside have the part `index` of `count` of every batch only.

    The parts of all processes together are the batches that one process alone would have.
    """
    before = dict(_present)
    _present.update(index=index, count=count)
    try:
        yield
    finally:
        _present.update(before)


def present_share() -> tuple[int, int]:
    """Which part of every batch this process makes, and how many make one each."""
    return _present["index"], _present["count"]


def part_of(batch, index: int, count: int):
    """Rows of a tensor of TensorFlow: the part `index` of `count`."""
    if count == 1:
        return batch
    import tensorflow as tf

    size = tf.shape(batch)[0] if batch.shape[0] is None else batch.shape[0]
    return batch[size * index // count : size * (index + 1) // count]


def check_share(rows: int, batch_size: int, drop_remainder: bool, count: int) -> None:
    """Raises ValueError where a batch has fewer rows than there are processes that share it."""
    last = batch_size if drop_remainder else rows % batch_size or batch_size
    if last < count:
        raise ValueError(
            f"{count} processes cannot share a batch of {last}: take larger batches, or "
            "drop_remainder=True if it is the last one"
        )
