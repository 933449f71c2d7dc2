"""Batches for `fit`, `evaluate` and `predict` as a tf.data.Dataset, for every Keras backend."""

from typing import Any

from keras_pose.datasets.batches import (
    available_cpus,
    check_counts,
    count_batches,
    input_settings,
    stream_batches,
)
from keras_pose.datasets.damaged import DamagedImages
from keras_pose.datasets.depth_labels import DepthLabels
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.datasets.transforms.augment import TopdownAugment
from keras_pose.datasets.transforms.schedule import AugmentSchedule
from keras_pose.skeleton import Skeleton

# Memory for decoded images: at least, and what a crop of the batches in the making needs (2.6
# people share a COCO photo of 1.2 MB, and half of the memory is for the images that come next).
CACHE, IMAGE = 256 * 2**20, 2**20


def topdown_dataset(
    dataset: KeypointDataset,
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
    skip_batches: int = 0,
    repeat: bool = False,
    drop_remainder: bool | None = None,
    workers: int | None = None,
    cache_bytes: int | None = None,
    max_damaged: float = 0.01,
):
    """Batches of crops of a data set's objects.

    A batch is `(images, labels)`: uint8 `(B, height, width, 3)` and the dict that
    `TopdownCrops.batch` describes; evaluation's keys are there when `training` is off. Networks
    that see poses in space get keypoints `(B, 1, K, 3)`, see `DepthLabels`. Every new
    pass over the data is a new epoch with its own order and augmentation, the same ones in every
    run with the same seed, whatever `workers` is.

    Args:
        dataset: KeypointDataset. If it has a method `epoch_rows(epoch, seed)`, that says which rows
            an epoch has, as often as they shall come; always as many.
        estimator: estimator whose crops are made, or any object with its attributes `input_size`,
            `skeleton`, `box_padding` and `udp`. Default: these come as arguments.
        batch_size: int. Default 32.
        training: bool, shuffle and augment. Default off: the data set's order, plain crops.
        augment: TopdownAugment (default: MMPose's published recipe), AugmentSchedule of them or
            None; only for training.
        input_size: (width, height), instead of the estimator's.
        skeleton: Skeleton, instead of the estimator's; default the data set's.
        box_padding: float, instead of the estimator's; default 1.25.
        udp: bool, instead of the estimator's; default off.
        joint_weights: bool, give the skeleton's joint weights as the label `weights`.
        shuffle: bool. Default: when training.
        seed: int, not negative. Default 0.
        first_epoch: int, epoch of the first pass; to go on with an interrupted training.
        skip_batches: int, batches that every pass leaves out at its beginning; to go on in the
            middle of an epoch, for one pass.
        repeat: bool, go on without end (say `steps_per_epoch` in `fit`).
        drop_remainder: bool, leave out a last batch that is not full. Default: when training, if
            there is a full one (JAX compiles once more for every other batch size).
        workers: int, batches that are made at a time. Default: the CPUs that this process may use.
        cache_bytes: int, memory for decoded images. Images that do not fit are shuffled in windows
            of half of it, so that each is decoded once. Default: 256 MiB, or more where so many
            batches are made at a time that they need it.
        max_damaged: float in 0..1, share of the images that may fail to decode (three always may);
            their crops are black and nothing is visible in them. They are counted and named in a
            warning at the end of the epoch. More stop the run. Default 0.01.

    Returns:
        A `tf.data.Dataset` of known cardinality and static shapes; `fit` takes it under every
        backend.

    Raises:
        ValueError: for an empty data set, keypoints that are not the estimator's, bad sizes.
        FileNotFoundError: if images are missing.
        DamagedImagesError: while batches are made, if too many images do not decode. An estimator's
            `fit` and `evaluate` raise it; elsewhere TensorFlow wraps its message.

    Example:
        >>> train = topdown_dataset(people, estimator, batch_size=64, training=True)
        >>> estimator.fit(train, epochs=10)
    """
    if not len(dataset):
        raise ValueError(f"{dataset.name} is empty: there is no object to make batches of")
    check_counts(batch_size=(batch_size, 1), seed=(seed, 0), skip_batches=(skip_batches, 0))
    dataset.check_images()
    settings = input_settings(
        "topdown_dataset",
        estimator,
        input_size=input_size,
        skeleton=skeleton,
        box_padding=box_padding,
        udp=udp,
    )
    workers = workers or available_cpus()
    crops = TopdownCrops(
        dataset,
        **settings,
        augment=augment if training else None,
        joint_weights=joint_weights,
        seed=seed,
        depths=DepthLabels.of(dataset, estimator, settings.get("skeleton", dataset.skeleton)),
        cache_bytes=max(CACHE, workers * batch_size * IMAGE)
        if cache_bytes is None
        else cache_bytes,
    )
    if shuffle is None:
        shuffle = training
    skipped = skip_batches * batch_size
    total = len(crops.rows(first_epoch, batch_size=batch_size)) - skipped
    if drop_remainder is None:
        drop_remainder = training and total >= batch_size
    crops.damaged = damaged = DamagedImages(
        dataset.name,
        len(set(dataset.image_paths)),
        count_batches(total, batch_size, drop_remainder),
        max_damaged,
    )

    def make(epoch, rows):
        batch = crops.batch(rows, epoch, evaluation=not training)
        damaged.end_batch(epoch)
        return batch

    return stream_batches(
        lambda epoch: crops.rows(epoch, shuffle, batch_size)[skipped:],
        make,
        crops.input_size,
        crops.label_shapes(evaluation=not training),
        batch_size,
        drop_remainder=drop_remainder,
        first_epoch=first_epoch,
        repeat=repeat,
        workers=workers,
    )
