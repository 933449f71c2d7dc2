"""A tf.data.Dataset of batches that NumPy functions make, and errors that stay readable in it."""

import atexit
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_pose.datasets.shares import check_share, part_of, present_share


def stream_batches(
    order: Callable[[int], np.ndarray],
    make: Callable[[int, np.ndarray], tuple[np.ndarray, dict[str, np.ndarray]]],
    image_size: tuple[int, int] | None,
    label_shapes: dict[str, tuple[tuple, Any]],
    batch_size: int,
    *,
    drop_remainder: bool | None = None,
    first_epoch: int = 0,
    repeat: bool = False,
    workers: int | None = None,
    input_shape: tuple[int, ...] | None = None,
):
    """Batches of rows that a function orders and another one makes into arrays.

    Every new pass is a new epoch. Batches are made by several threads at a time, which wait for
    each other only where Python does, and come in their order.

    Args:
        order: function from an epoch to its rows, ints `(M,)`, as many in every epoch.
        make: function from an epoch and rows `(B,)` to images, uint8 `(B, height, width, 3)`, and a
            dict of labels.
        image_size: (width, height); None with `input_shape`.
        label_shapes: shape (None for the batch) and dtype of every label.
        batch_size: int.
        drop_remainder: bool, leave out a last batch that is not full. None: if there is a full one.
        first_epoch: int, epoch of the first pass.
        repeat: bool, go on without end; then every iterator begins with `first_epoch`.
        workers: int, batches that are made at a time. Default: the CPUs that this process may use.
        input_shape: of inputs that are no images but float32 arrays, without the batch.

    Returns:
        A `tf.data.Dataset` of known cardinality and static shapes.
    """
    tf = require_tensorflow()
    total = len(order(first_epoch))
    if drop_remainder is None:
        drop_remainder = total >= batch_size
    index, count = present_share()
    check_share(total, batch_size, drop_remainder, count)
    passes = Passes(first_epoch, repeat)
    input_type = tf.float32 if input_shape else tf.uint8
    input_shape = input_shape or (image_size[1], image_size[0], 3)

    @remembers_errors
    def start_epoch(given):
        epoch = passes.epoch(given)
        rows = np.asarray(order(epoch), np.int64)
        if len(rows) != total:
            raise ValueError(f"epoch {epoch} has {len(rows)} rows, the first one had {total}")
        return np.int64(epoch), rows

    @remembers_errors
    def make_arrays(epoch, rows):
        images, labels = make(int(epoch), rows)
        return [images, *(labels[key] for key in label_shapes)]

    def rows_of_epoch(given):
        epoch, rows = tf.numpy_function(start_epoch, [given], [tf.int64, tf.int64])
        rows = tf.data.Dataset.from_tensor_slices(tf.ensure_shape(rows, [total]))
        rows = rows.batch(batch_size, drop_remainder=drop_remainder)
        return rows.map(lambda batch: (tf.ensure_shape(epoch, []), part_of(batch, index, count)))

    def make_batch(epoch, rows):
        types = [input_type, *(tf.as_dtype(dtype) for _, dtype in label_shapes.values())]
        images, *labels = tf.numpy_function(make_arrays, [epoch, rows], types)
        size = rows.shape[0]
        return tf.ensure_shape(images, [size, *input_shape]), {
            key: tf.ensure_shape(label, [size, *shape[1:]])
            for (key, (shape, _)), label in zip(label_shapes.items(), labels, strict=True)
        }

    batches = passes.dataset.flat_map(rows_of_epoch).map(
        make_batch, num_parallel_calls=workers or available_cpus(), deterministic=True
    )
    steps = count_batches(total, batch_size, drop_remainder)
    infinite = tf.data.INFINITE_CARDINALITY
    batches = batches.apply(tf.data.experimental.assert_cardinality(infinite if repeat else steps))
    return batches.prefetch(2)


class Passes:
    """Which epoch a pass over a data set is.

    An iterator over one pass cannot know how many there were, so passes are counted where they
    begin, wanted or not. Endless iterators count for themselves, each from `first`.

    Args:
        first: int, the first epoch.
        endless: bool.

    Attributes:
        dataset: `tf.data.Dataset` with a number for every pass, which `epoch` understands.
    """

    def __init__(self, first: int, endless: bool):
        data = require_tensorflow().data.Dataset
        self._begun = itertools.count(first)
        self.dataset = data.counter(first) if endless else data.from_tensors(np.int64(-1))

    def epoch(self, given: int) -> int:
        """The epoch of a pass that begins now."""
        return next(self._begun) if given < 0 else int(given)


def count_batches(rows: int, batch_size: int, drop_remainder: bool) -> int:
    """Batches of an epoch."""
    full, rest = divmod(rows, batch_size)
    return full + (rest > 0 and not drop_remainder)


# What functions inside tf.data raised last; it reports them in words of its own.
_errors: deque[Exception] = deque(maxlen=16)
_state = threading.Condition()
_calls = {"running": 0, "ever": False, "over": False}


def remembers_errors(function: Callable) -> Callable:
    """The function for tf.data; what it raises there is found again by `plain_errors`.

    It is no longer called when Python ends: TensorFlow's threads do not know and would abort.
    """

    def remembering(*arguments):
        with _state:
            if _calls["over"]:
                raise RuntimeError("Python ends, there are no more batches")
            _calls["running"] += 1
            _calls["ever"] = True
        try:
            return function(*arguments)
        except Exception as error:
            with _state:
                _errors.append(error)
            raise
        finally:
            with _state:
                _calls["running"] -= 1
                _state.notify_all()

    return remembering


@atexit.register
def _end_calls(patience: float = 10.0) -> None:
    with _state:
        _calls["over"] = True
        idle = _state.wait_for(lambda: not _calls["running"], patience)
    if idle and _calls["ever"]:
        time.sleep(0.1)  # calls that are on their way are refused, which takes no time


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raises errors of the input as they were, and not as TensorFlow wraps them."""
    try:
        yield
    except Exception as wrapped:
        cause = _cause(wrapped)
        if cause is None:
            raise
        raise cause from None


def _cause(wrapped: Exception) -> Exception | None:
    if not type(wrapped).__module__.startswith("tensorflow."):
        return None
    message = str(wrapped)
    with _state:
        for error in _errors:  # the first one; others followed while it went its way
            if f"{type(error).__name__}: {error}" in message:
                _errors.clear()
                return error
    return None


def available_cpus() -> int:
    """The CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def require_tensorflow():
    """TensorFlow, with OpenCV told to leave the threads to it."""
    import cv2

    try:
        import tensorflow as tf
    except ImportError:
        raise ImportError(
            "batches for training need TensorFlow's tf.data: pip install keras-pose[train]"
        ) from None
    cv2.setNumThreads(0)
    return tf


def check_counts(**counts: tuple[Any, int]) -> None:
    """Raises ValueError unless every `name=(value, least)` is an integer of at least `least`."""
    for name, (value, least) in counts.items():
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def input_settings(function: str, estimator: Any, **given: Any) -> dict[str, Any]:
    """What a network's input is like: as given, else as the estimator has it, else left out.

    Raises:
        ValueError: nobody says the `input_size`.
    """
    settings = {
        name: getattr(estimator, name, None) if value is None else value
        for name, value in given.items()
    }
    if settings["input_size"] is None:
        raise ValueError(f"{function} needs an estimator, or input_size=(width, height)")
    return {name: value for name, value in settings.items() if value is not None}
