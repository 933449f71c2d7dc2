"""Batches of windows of poses for lifters, for every Keras backend."""

import numpy as np

from keras_pose.datasets.batches import stream_batches
from keras_pose.datasets.sequences import PoseSequences
from keras_pose.datasets.transforms.lifting import RandomPoseFlip


def lifting_dataset(
    sequences: PoseSequences,
    batch_size: int = 128,
    training: bool = False,
    augment: RandomPoseFlip | None = None,
    *,
    shuffle: bool | None = None,
    seed: int = 0,
    first_epoch: int = 0,
    repeat: bool = False,
    drop_remainder: bool | None = None,
    workers: int | None = None,
):
    """Batches of a film's windows.

    A batch is `(keypoints, labels)` as `PoseSequences.batch` describes it. Every new pass over the
    data is a new epoch with its own order and augmentation, the same ones in every run with the
    same seed, whatever `workers` is.

    Args:
        sequences: PoseSequences.
        batch_size: int. Default 128.
        training: bool, shuffle and augment. Default off: the windows' order.
        augment: RandomPoseFlip or None (default); only for training.
        shuffle: bool. Default: when training.
        seed: int, not negative. Default 0.
        first_epoch: int, epoch of the first pass; to go on with an interrupted training.
        repeat: bool, go on without end (say `steps_per_epoch` in `fit`).
        drop_remainder: bool, leave out a last batch that is not full. Default: when training, if
            there is a full one.
        workers: int, batches that are made at a time. Default: the CPUs that this process may use.

    Returns:
        A `tf.data.Dataset` of known cardinality and static shapes.

    Raises:
        ValueError: for films without windows, or a bad batch size or seed.

    Example:
        >>> walks = walking_sequences(films=8, seq_len=27, causal=False, pad_video_seq=True)
        >>> train = lifting_dataset(walks, training=True, augment=RandomPoseFlip())
    """
    if not len(sequences):
        raise ValueError(f"{sequences.name} has no windows to make batches of")
    for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    augment = augment if training else None
    inputs, labels = sequences.batch(np.arange(1), augment=augment)
    if drop_remainder is None:
        drop_remainder = training and len(sequences) >= batch_size
    ordered = not (training if shuffle is None else shuffle)

    def order(epoch: int) -> np.ndarray:
        return np.arange(len(sequences)) if ordered else sequences.shuffled(epoch, seed)

    return stream_batches(
        order,
        lambda epoch, rows: sequences.batch(rows, epoch, augment, seed),
        None,
        {key: ((None, *value.shape[1:]), value.dtype) for key, value in labels.items()},
        batch_size,
        drop_remainder=drop_remainder,
        first_epoch=first_epoch,
        repeat=repeat,
        workers=workers,
        input_shape=inputs.shape[1:],
    )
