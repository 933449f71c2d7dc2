"""Batches for `fit`, `evaluate` and `predict` as a tf.data.Dataset, for every Keras backend."""

import itertools
import os
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.datasets.transforms.augment import TopdownAugment
from keras_pose.skeleton import Skeleton


def topdown_dataset(
    dataset: KeypointDataset,
    estimator: Any = None,
    batch_size: int = 32,
    training: bool = False,
    augment: TopdownAugment | None = TopdownAugment(),  # noqa: B008 (frozen)
    *,
    input_size: tuple[int, int] | None = None,
    skeleton: Skeleton | None = None,
    box_padding: float | None = None,
    udp: bool | None = None,
    joint_weights: bool = False,
    shuffle: bool | None = None,
    seed: int = 0,
    first_epoch: int = 0,
    repeat: bool = False,
    drop_remainder: bool | None = None,
    workers: int | None = None,
    cache_bytes: int = 256 * 2**20,
):
    """Batches of crops of a data set's objects.

    A batch is `(images, labels)`: uint8 `(B, height, width, 3)` and the dict that
    `TopdownCrops.batch` describes; evaluation's keys are there when `training` is off. Every new
    pass over the data is a new epoch with its own order and augmentation, the same ones in every
    run with the same seed, whatever `workers` is.

    Args:
        dataset: KeypointDataset.
        estimator: estimator whose crops are made, or any object with its attributes `input_size`,
            `skeleton`, `box_padding` and `udp`. Default: these come as arguments.
        batch_size: int. Default 32.
        training: bool, shuffle and augment. Default off: the data set's order, plain crops.
        augment: TopdownAugment (default: MMPose's published recipe) or None; only for training.
        input_size: (width, height), instead of the estimator's.
        skeleton: Skeleton, instead of the estimator's; default the data set's.
        box_padding: float, instead of the estimator's; default 1.25.
        udp: bool, instead of the estimator's; default off.
        joint_weights: bool, give the skeleton's joint weights as the label `weights`.
        shuffle: bool. Default: when training.
        seed: int, not negative. Default 0.
        first_epoch: int, epoch of the first pass; to go on with an interrupted training.
        repeat: bool, go on without end (say `steps_per_epoch` in `fit`).
        drop_remainder: bool, leave out a last batch that is not full. Default: when training, if
            there is a full one (JAX compiles once more for every other batch size).
        workers: int, batches that are made at a time. Default: the CPUs that this process may use.
        cache_bytes: int, memory for decoded images. Default 256 MiB.

    Returns:
        A `tf.data.Dataset` of known cardinality and static shapes; `fit` takes it under every
        backend.

    Raises:
        ValueError: for an empty data set, keypoints that are not the estimator's, bad sizes.
        FileNotFoundError: if images are missing.

    Example:
        >>> train = topdown_dataset(people, estimator, batch_size=64, training=True)
        >>> estimator.fit(train, epochs=10)
    """
    tf = _tensorflow()
    if not len(dataset):
        raise ValueError(f"{dataset.name} is empty: there is no object to make batches of")
    for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    dataset.check_images()
    spec = dict(input_size=input_size, skeleton=skeleton, box_padding=box_padding, udp=udp)
    spec = {
        name: getattr(estimator, name, None) if value is None else value
        for name, value in spec.items()
    }
    if spec["input_size"] is None:
        raise ValueError("topdown_dataset needs an estimator, or input_size=(width, height)")
    crops = TopdownCrops(
        dataset,
        **{name: value for name, value in spec.items() if value is not None},
        augment=augment if training else None,
        joint_weights=joint_weights,
        seed=seed,
        cache_bytes=cache_bytes,
    )
    if shuffle is None:
        shuffle = training
    if drop_remainder is None:
        drop_remainder = training and len(dataset) >= batch_size
    epochs = itertools.count(first_epoch)

    def start_epoch():
        epoch = next(epochs)
        rows = crops.shuffled(epoch) if shuffle else np.arange(len(crops))
        return np.int64(epoch), rows.astype(np.int64)

    def rows_of_epoch(_):
        epoch, rows = tf.numpy_function(start_epoch, [], [tf.int64, tf.int64])
        rows = tf.data.Dataset.from_tensor_slices(tf.ensure_shape(rows, [len(crops)]))
        rows = rows.batch(batch_size, drop_remainder=drop_remainder)
        return rows.map(lambda batch: (tf.ensure_shape(epoch, []), batch))

    shapes = crops.label_shapes(evaluation=not training)
    width, height = crops.input_size

    def make(epoch, rows):
        images, labels = crops.batch(rows, int(epoch), evaluation=not training)
        return [images, *labels.values()]

    def make_batch(epoch, rows):
        types = [tf.uint8, *(tf.as_dtype(dtype) for _, dtype in shapes.values())]
        images, *labels = tf.numpy_function(make, [epoch, rows], types)
        size = rows.shape[0]
        images = tf.ensure_shape(images, [size, height, width, 3])
        return images, {
            key: tf.ensure_shape(label, [size, *shape[1:]])
            for (key, (shape, _)), label in zip(shapes.items(), labels, strict=True)
        }

    batches = tf.data.Dataset.from_tensors(0).flat_map(rows_of_epoch)
    if repeat:
        batches = batches.repeat()
    batches = batches.map(make_batch, num_parallel_calls=workers or _cpus(), deterministic=True)
    full, rest = divmod(len(crops), batch_size)
    steps = full + (rest > 0 and not drop_remainder)
    infinite = tf.data.INFINITE_CARDINALITY
    batches = batches.apply(tf.data.experimental.assert_cardinality(infinite if repeat else steps))
    return batches.prefetch(2)


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _tensorflow():
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
