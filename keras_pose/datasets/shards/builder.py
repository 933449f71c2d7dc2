"""The TensorFlow Datasets builder of prepared shards."""

import functools
import os
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.shards.records import ShardRecords, columns_of

SPLIT = "train"
NAME = "keypoint_crops"


def tensorflow_datasets():
    """The library, or an error that says how to get it."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise ImportError(
            "shards are written with TensorFlow Datasets: pip install keras-pose[train]"
        ) from None
    return tfds


def features(dataset: KeypointDataset) -> Any:
    """The record's `tfds.features.FeaturesDict`."""
    tfds = tensorflow_datasets()
    record = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
        "image_path": tfds.features.Text(),
    }
    for name, (shape, dtype) in columns_of(dataset).items():
        record[name] = tfds.features.Tensor(shape=shape, dtype=np.dtype(dtype).type)
    return tfds.features.FeaturesDict(record)


def builder(dataset: KeypointDataset, shards: list[ShardRecords], folder: str) -> Any:
    """A `tfds` builder whose `download_and_prepare` writes the shards, with or without Beam.

    `tfds.builder_from_directory(folder)` opens what it has written.

    Args:
        dataset: KeypointDataset.
        shards: what each shard consists of.
        folder: where the shards shall lie; it appears when all of them are complete.
    """
    return _builder_class()(dataset, shards, folder)


@functools.cache
def _builder_class():
    tfds = tensorflow_datasets()
    from tensorflow_datasets.core import registered

    with registered.skip_registration():  # no `tfds.load`: it could not know the data set

        class KeypointCrops(tfds.core.ShardBasedBuilder):
            """Crops of labelled objects, with all their labels."""

            VERSION = tfds.core.Version("1.0.0")
            name = NAME
            url_infos = {}  # nothing is downloaded; the default looks for checksum files

            def __init__(self, dataset, shards, folder):
                self._dataset, self._shards = dataset, shards
                super().__init__(data_dir=folder)

            def _build_data_dir(self, given_data_dir):
                # the folder itself, without levels for name and version
                return os.path.dirname(given_data_dir), given_data_dir

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=features(self._dataset),
                    description=f"{self._dataset!r} as crops, written by keras-pose.",
                )

            def _shard_iterators_per_split(self, dl_manager):
                return {SPLIT: self._shards}

    return KeypointCrops
