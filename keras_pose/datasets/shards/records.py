"""What a stored object consists of, and how objects are distributed over shards."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.shards.settings import ShardSettings
from keras_pose.datasets.shards.tiled_jpeg import encode_tiled
from keras_pose.images import read_image

FORMAT = 2
# Columns that a record has beside those of KeypointDataset.
OWN_COLUMNS = {"row": ((), "int64"), "affine": ((2, 3), "float32")}


def columns_of(dataset: KeypointDataset) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every numeric column of a record, `extras/NAME` for further columns."""
    keypoints = dataset.skeleton.num_keypoints
    columns = dict(OWN_COLUMNS)
    for field, (shape, dtype) in dataset.FIELDS.items():
        shape = tuple(keypoints if side == "K" else side for side in shape)
        columns[field] = (shape, np.dtype(dtype).name)
    for name, values in dataset.extras.items():
        # records hold no wider floats
        dtype = np.dtype(np.float32) if values.dtype.kind == "f" else values.dtype
        if dtype.kind not in "biuf":
            raise ValueError(
                f"{dataset.name}: the extra column {name!r} must be numbers to be stored in "
                f"shards, got dtype {values.dtype}"
            )
        columns[f"extras/{name}"] = (values.shape[1:], dtype.name)
    return columns


def fingerprint(dataset: KeypointDataset, settings: ShardSettings, objects_per_shard: int) -> str:
    """What shards depend on: all columns, names and sizes of the image files, skeleton, settings.

    Returns:
        Hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    parts = [FORMAT, objects_per_shard, settings.to_dict(), dataset.skeleton.to_dict()]
    digest.update(json.dumps(parts, sort_keys=True).encode())
    for name, values in column_values(dataset).items():
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    for path in dict.fromkeys(dataset.image_paths):
        digest.update(f"{os.path.basename(path)} {os.path.getsize(path)}".encode())
    return digest.hexdigest()


def column_values(dataset: KeypointDataset) -> dict[str, np.ndarray]:
    """The columns that a data set has itself, by their names in records."""
    columns = {field: getattr(dataset, field) for field in dataset.FIELDS}
    return columns | {f"extras/{name}": values for name, values in dataset.extras.items()}


@dataclass
class ShardRecords:
    """Makes the records of one shard; called without arguments, as `tfds` and Beam want it.

    Args:
        rows: ints `(N,)`, rows of the data set in the order of the records.
        columns: dict of arrays `(N, ...)`, as from `column_values`.
        paths: `N` paths of images.
        names: `N` str, the paths as records have them.
        regions: ints `(N, 4)`, xyxy; what is stored of the images.
        stored: ints `(N, 2)`, width and height at which it is stored.
        quality: int, of JPEG.
        threads: int, images that are read at a time.
    """

    rows: np.ndarray
    columns: dict[str, np.ndarray]
    paths: np.ndarray
    names: list[str]
    regions: np.ndarray
    stored: np.ndarray
    quality: int
    threads: int = 1

    def __call__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields (row, record); objects whose image cannot be decoded are left out."""
        places = {}
        for position, path in enumerate(self.paths):
            places.setdefault(path, []).append(position)
        with ThreadPoolExecutor(self.threads) as pool:
            made = {k: v for part in pool.map(self._of_image, places.values()) for k, v in part}
        for position in sorted(made):
            yield int(self.rows[position]), made.pop(position)

    def _of_image(self, positions: list[int]) -> list[tuple[int, dict[str, Any]]]:
        path = self.paths[positions[0]]
        try:
            image = read_image(path)
        except ValueError:
            return []
        sizes = self.columns["image_sizes"][positions]
        if (sizes != image.shape[1::-1]).any():
            raise ValueError(
                f"{path} has {image.shape[1]}x{image.shape[0]} pixels (upright), the annotations "
                f"say {sizes[0, 0]}x{sizes[0, 1]}"
            )
        return [(position, self._record(image, position)) for position in positions]

    def _record(self, image: np.ndarray, position: int) -> dict[str, Any]:
        import cv2

        left, top, right, bottom = self.regions[position]
        stored = self.stored[position]
        pixels = image[top:bottom, left:right]
        if pixels.shape[1::-1] != tuple(stored):
            pixels = cv2.resize(pixels, stored.tolist(), interpolation=cv2.INTER_AREA)
        scale = (right - left, bottom - top) / stored
        shift = (left, top) + scale / 2 - 0.5  # pixel centres lie at integers
        record = {
            "row": np.int64(self.rows[position]),
            "affine": np.column_stack([np.diag(scale), shift]).astype(np.float32),
            "image": encode_tiled(pixels, self.quality),
            "image_path": self.names[position],
        }
        return record | {name: values[position] for name, values in self.columns.items()}


def shards_of(
    dataset: KeypointDataset, settings: ShardSettings, objects_per_shard: int, threads: int
) -> list[ShardRecords]:
    """Distributes objects over shards: images in random order, the objects of one in one shard.

    The order is always the same one. Within a shard, objects are in random order.
    """
    random = np.random.default_rng(0)
    paths = list(dict.fromkeys(dataset.image_paths))
    number = {path: n for n, path in enumerate(paths)}
    image = np.array([number[path] for path in dataset.image_paths], np.int64)
    place = random.permutation(len(paths))[image]
    order = np.lexsort((random.random(len(dataset)), place))
    count = max(1, round(len(dataset) / objects_per_shard))
    # an image goes where its first object would
    _, first = np.unique(place[order], return_index=True)
    shard = (first * count // len(dataset))[place[order]]
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    regions, stored = settings.regions(dataset)
    columns = {
        name: values.astype(columns_of(dataset)[name][1], copy=False)
        for name, values in column_values(dataset).items()
    }
    shards = []
    for rows in (order[shard == each] for each in np.unique(shard)):
        rows = random.permutation(rows)
        shards.append(
            ShardRecords(
                rows,
                {name: values[rows] for name, values in columns.items()},
                dataset.image_paths[rows],
                [os.path.relpath(path, root) for path in dataset.image_paths[rows]],
                regions[rows],
                stored[rows],
                settings.quality,
                threads,
            )
        )
    return shards
