"""Shards that `keras-pose prepare` has written."""

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.shards.records import FORMAT
from keras_pose.datasets.shards.settings import ShardSettings
from keras_pose.skeleton import Skeleton

# It is written last: shards without it are not complete.
INDEX = "keras_pose.json"


def join(folder: str, name: str) -> str:
    """A path below a folder, which may be a URL."""
    return f"{folder.rstrip('/')}/{name}"


class PreparedShards:
    """Prepared shards in a folder or bucket.

    Args:
        folder: path or URL.
        check: bool, look whether all shards are there (default).

    Attributes:
        folder: str.
        name: str, of the data set.
        skeleton: Skeleton.
        settings: ShardSettings.
        fingerprint: str, the same for the same data set and settings.
        shards: a list of dicts `file`, `objects`, `bytes`.
        columns: dict from a column to its shape and dtype, `extras/NAME` for further ones.
        left_out: paths of images that could not be decoded.

    Raises:
        FileNotFoundError: there are no shards.
        ValueError: they are not complete, or not of this format.
    """

    def __init__(self, folder: str | os.PathLike, check: bool = True):
        self.folder = os.fspath(folder).rstrip("/")
        index = _read_index(self.folder)
        try:
            self.name, self.fingerprint = index["name"], index["fingerprint"]
            self.skeleton = Skeleton.from_dict(index["skeleton"])
            self.settings = ShardSettings(**index["settings"])
            self.shards, self.left_out = index["shards"], index["left_out"]
            self.columns = {
                name: (tuple(s), dtype) for name, (s, dtype) in index["columns"].items()
            }
            self._objects = int(index["objects"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{join(self.folder, INDEX)} is no index of prepared shards: {error!r}"
            ) from None
        if check and (damage := self.damage()):
            raise ValueError(f"{damage}: run keras-pose prepare again")

    def damage(self) -> str:
        """What is wrong with the files, "" if nothing is."""
        import tensorflow as tf

        for shard in self.shards:
            path = join(self.folder, shard["file"])
            if not tf.io.gfile.exists(path):
                return f"the shards in {self.folder} are not complete, {shard['file']} is missing"
            found = tf.io.gfile.stat(path).length
            if found != shard["bytes"]:
                return f"{path} has {found} bytes, its index says {shard['bytes']}"
        return ""

    def __len__(self) -> int:
        return self._objects

    def __repr__(self) -> str:
        return (
            f"PreparedShards({self.folder!r}, {len(self)} objects in {len(self.shards)} shards, "
            f"skeleton {self.skeleton.name!r})"
        )

    def dataset(self) -> KeypointDataset:
        """All labels as a KeypointDataset, in the order of the data set that was prepared.

        Its `image_paths` are names below the folder of the images that were prepared.
        """
        columns = {name: np.empty((len(self), *s), t) for name, (s, t) in self.columns.items()}
        names = []
        wanted = self.columns | {"image_path": ((), "string")}
        for number, record in enumerate(self.records(self.folder, self.shards, wanted)):
            names.append(record["image_path"].decode())
            for name, column in columns.items():
                column[number] = record[name]
        order = np.argsort(columns["row"])
        columns = {name: column[order] for name, column in columns.items()}
        return KeypointDataset(
            self.skeleton,
            np.array(names, dtype=object)[order],
            **{field: columns[field] for field in KeypointDataset.FIELDS},
            name=self.name,
            extras={
                name.removeprefix("extras/"): column
                for name, column in columns.items()
                if name.startswith("extras/")
            },
        )

    @staticmethod
    def records(
        folder: str, shards: list[dict[str, Any]], columns: dict[str, tuple[tuple, str]]
    ) -> Iterator[dict[str, np.ndarray]]:
        """Some columns of all records, in the order of the files."""
        import tensorflow as tf

        files = [join(folder, shard["file"]) for shard in shards]
        spec = feature_spec(columns)
        data = tf.data.TFRecordDataset(files).batch(256)
        for batch in data.map(lambda records: tf.io.parse_example(records, spec)):
            batch = {name: value.numpy() for name, value in batch.items()}
            for row in range(len(next(iter(batch.values())))):
                yield {name: value[row] for name, value in batch.items()}


def feature_spec(columns: dict[str, tuple[tuple, str]]) -> dict[str, Any]:
    """How `tf.io.parse_example` reads columns; records hold int64, float32 and bytes only."""
    import tensorflow as tf

    stored = {"f": tf.float32, "i": tf.int64, "u": tf.int64, "b": tf.int64}
    return {
        name: tf.io.FixedLenFeature(
            shape, tf.string if dtype == "string" else stored[np.dtype(dtype).kind]
        )
        for name, (shape, dtype) in columns.items()
    }


def _read_index(folder: str) -> dict[str, Any]:
    import tensorflow as tf

    path = join(folder, INDEX)
    if not tf.io.gfile.exists(path):
        if tf.io.gfile.glob(join(folder, "*.tfrecord-*")):
            raise ValueError(
                f"the shards in {folder} are not complete, the index {INDEX} is missing: "
                f"run keras-pose prepare again"
            )
        raise FileNotFoundError(
            f"there are no prepared shards in {folder}: make them with keras-pose prepare"
        )
    try:
        with tf.io.gfile.GFile(path) as file:
            index = json.load(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no index of prepared shards: {error}") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise ValueError(
            f"{path} is of format {index.get('format') if isinstance(index, dict) else None!r}, "
            f"this version reads {FORMAT}: run keras-pose prepare again"
        )
    return index
