"""Batches of whole images for bottom-up and one-stage networks, as a tf.data.Dataset."""

from functools import lru_cache
from typing import Any

import numpy as np

from keras_pose.datasets.batch_resize import RandomBatchSize, resize_batch
from keras_pose.datasets.batches import (
    available_cpus,
    check_counts,
    count_batches,
    input_settings,
    stream_batches,
)
from keras_pose.datasets.bottomup_scenes import BottomupScenes
from keras_pose.datasets.damaged import DamagedImages
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.transforms.bottomup import BottomupAugment
from keras_pose.datasets.transforms.schedule import AugmentSchedule
from keras_pose.skeleton import Skeleton


def bottomup_dataset(
    dataset: KeypointDataset,
    estimator: Any = None,
    batch_size: int = 8,
    training: bool = False,
    augment: BottomupAugment | AugmentSchedule | None = BottomupAugment(),  # noqa: B008 (frozen)
    *,
    input_size: tuple[int, int] | None = None,
    skeleton: Skeleton | None = None,
    resize_mode: str | None = None,
    size_factor: int | None = None,
    udp: bool | None = None,
    fill: float | tuple[float, ...] | None = None,
    max_objects: int = 30,
    masks: int | None = None,
    mask_outside: bool = False,
    resize: RandomBatchSize | None = None,
    empty: bool | None = None,
    shuffle: bool | None = None,
    seed: int = 0,
    first_epoch: int = 0,
    repeat: bool = False,
    drop_remainder: bool | None = None,
    workers: int | None = None,
    cache_bytes: int = 256 * 2**20,
    max_damaged: float = 0.01,
):
    """Batches of a data set's images with all their objects.

    A batch is `(images, labels)`: uint8 `(B, height, width, 3)` and the dict that
    `BottomupScenes.batch` describes; evaluation's keys are there when `training` is off. Every new
    pass over the data is a new epoch with its own order and augmentation, the same ones in every
    run with the same seed, whatever `workers` is.

    Args:
        dataset: KeypointDataset.
        estimator: estimator whose inputs are made, or any object with some of its attributes
            `input_size`, `skeleton`, `resize_mode`, `size_factor`, `udp` and `fill`. Default: these
            come as arguments.
        batch_size: int. Default 8.
        training: bool, shuffle and augment. Default off: the data set's order, resized images.
        augment: BottomupAugment (default: the recipe of MMPose's heatmap models), AugmentSchedule
            of them or None; only for training.
        input_size: (width, height), instead of the estimator's.
        skeleton: Skeleton, instead of the estimator's; default the data set's.
        resize_mode: how images become inputs where nothing is augmented: "fit" (default; the whole
            image in an input of fixed size) or "expand" (the image's shorter side fills the input,
            which grows; images of a batch are then padded to a common size).
        size_factor: int, sides of growing inputs are multiples of it. Default 32.
        udp: bool, resize in the UDP convention. Default off.
        fill: grey level, or one a channel, around resized images. Default 0.
        max_objects: int, objects an image has room for in the labels; of more, the largest are
            kept. Default 30.
        masks: int, give `masks` with one value for so many pixels of the input's sides, 0 where
            ignored objects (crowds, people without labels) are. Default None: no masks.
        mask_outside: bool, whether masks let count what no image covers. Default off.
        resize: RandomBatchSize, another input size every few batches; only for training. Default
            None.
        empty: bool, take images without objects too. Default: when not training.
        shuffle: bool. Default: when training.
        seed: int, not negative. Default 0.
        first_epoch: int, epoch of the first pass; to go on with an interrupted training.
        repeat: bool, go on without end (say `steps_per_epoch` in `fit`).
        drop_remainder: bool, leave out a last batch that is not full. Default: when training, if
            there is a full one.
        workers: int, batches that are made at a time. Default: the CPUs that this process may use.
        cache_bytes: int, memory for decoded images, which mosaics use again. Default 256 MiB.
        max_damaged: float in 0..1, share of the images that may fail to decode (three always may);
            they become scenes without objects, counted and named in a warning at the end of the
            epoch. More stop the run. Default 0.01.

    Returns:
        A `tf.data.Dataset` of known cardinality. Shapes are static unless inputs grow or `resize`
        is given.

    Raises:
        ValueError: for an empty data set, keypoints that are not the estimator's, bad sizes.
        FileNotFoundError: if images are missing.
        DamagedImagesError: while batches are made, if too many images do not decode.

    Example:
        >>> strong = BottomupAugment((Mosaic(), RandomAffine(mode="perspective"), MixUp()))
        >>> train = bottomup_dataset(
        ...     people, input_size=(640, 640), training=True,
        ...     augment=AugmentSchedule(strong, {280: BottomupAugment()}),
        ... )
    """
    check_counts(batch_size=(batch_size, 1), seed=(seed, 0), max_objects=(max_objects, 1))
    settings = input_settings(
        "bottomup_dataset",
        estimator,
        input_size=input_size,
        skeleton=skeleton,
        resize_mode=resize_mode,
        size_factor=size_factor,
        udp=udp,
        fill=fill,
    )
    if masks is not None and any(side % masks for side in settings["input_size"]):
        raise ValueError(
            f"masks must divide the sides of the input {tuple(settings['input_size'])}, got {masks}"
        )
    empty = not training if empty is None else empty
    dataset.check_images(without_objects=empty)
    scenes = BottomupScenes(
        dataset,
        **settings,
        augment=augment if training else None,
        max_objects=max_objects,
        masks=masks,
        mask_outside=mask_outside,
        seed=seed,
        cache_bytes=cache_bytes,
    )
    total = len(scenes.rows(empty=empty))
    if not total:
        raise ValueError(f"{dataset.name} is empty: there is no image to make batches of")
    if shuffle is None:
        shuffle = training
    if drop_remainder is None:
        drop_remainder = training and total >= batch_size
    steps = count_batches(total, batch_size, drop_remainder)
    scenes.damaged = damaged = DamagedImages(dataset.name, total, steps, max_damaged)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        return scenes.rows(epoch, shuffle, empty)

    resize = resize if training else None
    shapes = scenes.label_shapes(evaluation=not training)
    if "masks" in shapes and resize is not None:
        shapes["masks"] = ((None, None, None), np.uint8)

    def make(epoch: int, rows: np.ndarray):
        images, labels = scenes.batch(rows, epoch, evaluation=not training)
        if resize is not None:
            batch = int(np.argmax(order(epoch) == rows[0])) // batch_size
            size = resize.size(epoch * steps + batch, scenes.input_size, seed)
            images, labels = resize_batch(images, labels, size)
        damaged.end_batch(epoch)
        return images, labels

    same_size = scenes.same_size and resize is None
    return stream_batches(
        order,
        make,
        scenes.input_size if same_size else (None, None),
        shapes,
        batch_size,
        drop_remainder=drop_remainder,
        first_epoch=first_epoch,
        repeat=repeat,
        workers=workers or available_cpus(),
    )
