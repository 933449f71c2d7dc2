"""Batches for training and evaluation from prepared shards, streamed from disk or a bucket."""

import os
from typing import Any

import numpy as np

from keras_pose.datasets.batches import (
    Passes,
    available_cpus,
    check_counts,
    count_batches,
    input_settings,
    remembers_errors,
    require_tensorflow,
)
from keras_pose.datasets.shards.crops import PreparedCrops
from keras_pose.datasets.shards.opening import PreparedShards, feature_spec, join
from keras_pose.datasets.shares import check_share, part_of, present_share
from keras_pose.datasets.transforms import TopdownAugment
from keras_pose.datasets.transforms.schedule import AugmentSchedule
from keras_pose.skeleton import Skeleton


def prepared_dataset(
    shards: PreparedShards | str | os.PathLike,
    estimator: Any = None,
    batch_size: int = 32,
    training: bool = False,
    augment: TopdownAugment | AugmentSchedule | None = TopdownAugment(),  # noqa: B008 (frozen)
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
    shuffle_buffer: int = 4096,
    open_shards: int = 8,
):
    """Batches of crops from prepared shards, with the keys of `topdown_dataset`.

    The labels are those of `topdown_dataset` for the data set that was prepared: an object has the
    same augmentation in the same epoch. Its pixels differ as JPEG's do.

    Every new pass is a new epoch, the same one in every run with the same seed, whatever `workers`
    is. To shuffle, shards are taken in random order, `open_shards` at a time in turn, and objects
    drawn from a buffer of `shuffle_buffer`. Without, they come in the order of the shards.

    Args:
        shards: PreparedShards, or the path or URL of their folder.
        estimator, batch_size, training, augment, input_size, skeleton, box_padding, udp,
            joint_weights, shuffle, seed, first_epoch, repeat, drop_remainder, workers: as in
            `topdown_dataset`.
        shuffle_buffer: int, objects to draw from; each takes about 30 kB of memory. Default 4096.
        open_shards: int, shards that are read in turn when shuffling. Default 8.

    Returns:
        A `tf.data.Dataset` of known cardinality and static shapes.

    Raises:
        FileNotFoundError: there are no shards.
        ValueError: the shards are not complete, or were prepared for less: a smaller input, a
            gentler augmentation; keypoints that are not the estimator's; bad sizes.

    Example:
        >>> train = prepared_dataset("gs://bucket/coco", estimator, batch_size=64, training=True)
        >>> estimator.fit(train, epochs=210)
    """
    tf = require_tensorflow()
    if not isinstance(shards, PreparedShards):
        shards = PreparedShards(shards)
    check_counts(
        batch_size=(batch_size, 1),
        seed=(seed, 0),
        shuffle_buffer=(shuffle_buffer, 1),
        open_shards=(open_shards, 1),
    )
    settings = input_settings(
        "prepared_dataset",
        estimator,
        input_size=input_size,
        skeleton=skeleton,
        box_padding=box_padding,
        udp=udp,
    )
    crops = PreparedCrops(
        shards,
        **settings,
        augment=augment if training else None,
        joint_weights=joint_weights,
        seed=seed,
    )
    if shuffle is None:
        shuffle = training
    if drop_remainder is None:
        drop_remainder = training and len(shards) >= batch_size
    files = np.array([join(shards.folder, shard["file"]) for shard in shards.shards], dtype=object)
    passes = Passes(first_epoch, repeat)
    index, count = present_share()
    check_share(len(shards), batch_size, drop_remainder, count)

    together = min(open_shards, len(files)) if shuffle else 1

    @remembers_errors
    def start_epoch(given):
        epoch = passes.epoch(given)
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(files)) if shuffle else np.arange(len(files))
        return np.int64(epoch), files[order], rng.integers(2**62)

    def records_of_epoch(given):
        types = [tf.int64, tf.string, tf.int64]
        epoch, names, draw = tf.numpy_function(start_epoch, [given], types)
        names = tf.data.Dataset.from_tensor_slices(tf.ensure_shape(names, [len(files)]))
        records = names.interleave(
            tf.data.TFRecordDataset,
            cycle_length=together,
            num_parallel_calls=together,  # the order does not depend on it
            deterministic=True,
        )
        if shuffle:
            records = _shuffle(records, shuffle_buffer, tf.ensure_shape(draw, []))
        records = records.batch(batch_size, drop_remainder=drop_remainder)
        return records.map(lambda batch: (tf.ensure_shape(epoch, []), part_of(batch, index, count)))

    columns = feature_spec(
        {name: shards.columns[name] for name in crops.columns(evaluation=not training)}
    )
    columns["image"] = tf.io.FixedLenFeature((), tf.string)
    label_shapes = crops.label_shapes(evaluation=not training)
    width, height = crops.input_size

    @remembers_errors
    def make_arrays(epoch, *values):
        records = dict(zip(columns, values, strict=True))
        images, labels = crops.batch(records, int(epoch), evaluation=not training)
        return [images, *(labels[key] for key in label_shapes)]

    def make_batch(epoch, records):
        parsed = tf.io.parse_example(records, columns)
        types = [tf.uint8, *(tf.as_dtype(dtype) for _, dtype in label_shapes.values())]
        values = [parsed[name] for name in columns]
        images, *labels = tf.numpy_function(make_arrays, [epoch, *values], types)
        size = records.shape[0]
        return tf.ensure_shape(images, [size, height, width, 3]), {
            key: tf.ensure_shape(label, [size, *shape[1:]])
            for (key, (shape, _)), label in zip(label_shapes.items(), labels, strict=True)
        }

    batches = passes.dataset.flat_map(records_of_epoch)
    workers = workers or available_cpus()
    # one call more than threads: a batch that waits for its turn keeps none of them idle
    batches = batches.map(make_batch, num_parallel_calls=workers + 1, deterministic=True)
    options = tf.data.Options()
    options.threading.private_threadpool_size = max(workers, 2)
    batches = batches.with_options(options)
    steps = count_batches(len(shards), batch_size, drop_remainder)
    infinite = tf.data.INFINITE_CARDINALITY
    batches = batches.apply(tf.data.experimental.assert_cardinality(infinite if repeat else steps))
    return batches.prefetch(2)


def _shuffle(records: Any, buffer: int, seed: Any):
    """A data set of strings shuffled by a seed that is a tensor.

    `Dataset.shuffle` also takes TensorFlow's global seed into account, and fails if there is one.
    """
    import tensorflow as tf

    spec = tf.TensorSpec([], tf.string)
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(records),
        buffer_size=tf.constant(buffer, tf.int64),
        seed=seed,
        seed2=seed + 1,
        output_types=[spec.dtype],
        output_shapes=[spec.shape],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(shuffled, spec)
