"""YOLO-pose data sets: a YAML file, and a text file for each image.

Own reader: sleap-io keeps neither the boxes nor which keypoints are hidden (1) or seen (2), and
does not read `flip_idx`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.importers.content import beginning, number, read_text, read_yaml, whole
from keras_pose.datasets.importers.labels import (
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)
from keras_pose.datasets.importers.pictures import image_files
from keras_pose.skeleton import Skeleton

SPLITS = ("train", "val", "test")
# Coordinates are shares of the image's sides; annotators and augmentation go a little beyond.
_FARTHEST = 2.0


def detects(path: Path) -> bool:
    """Whether this is the YAML file of a YOLO-pose data set, or a folder with one."""
    return bool(_settings_files(path))


def _settings_files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    return [
        file
        for file in files
        if file.suffix in (".yaml", ".yml") and b"kpt_shape" in beginning(file, 1 << 16)
    ]


def read(path: Path) -> Labels:
    """Reads all splits of a data set.

    Labels lie where Ultralytics looks for them: in the image's path the last folder `images`
    becomes `labels`. Rows with two numbers a keypoint carry no visibility: (0, 0) and negative
    positions are then not labelled, all others seen.
    """
    files = _settings_files(path)
    if len(files) != 1:
        raise ValueError(
            f"{path} must be one .yaml file with kpt_shape, found {len(files)}: name the file"
        )
    settings = read_yaml(files[0])
    root = files[0].resolve().parent
    if settings.get("path"):
        given = Path(str(settings["path"])).expanduser()
        root = root / given if (root / given).is_dir() else root
    count, dimensions = _shape(settings, files[0])
    labels = Labels(roots=[root], kinds=_kinds(settings, count, files[0]))
    known = set()
    for split in SPLITS:
        for image in _images(settings.get(split), root, f"{files[0]}: {split}"):
            if image in known:
                labels.skipped.add("images that are in two splits, kept in the first", image)
                continue
            known.add(image)
            objects = _objects(_label_file(image), labels, count, dimensions)
            labels.images.append(LabelledImage(str(image), objects, split=split, normalized=True))
    if not known:
        raise FileNotFoundError(
            f"{files[0]} names no images: none of {', '.join(SPLITS)} leads to image files "
            f"below {root}"
        )
    return labels


def _shape(settings: Mapping[str, Any], path: Path) -> tuple[int, int]:
    shape = settings.get("kpt_shape")
    if isinstance(shape, list) and len(shape) == 2:
        count, dimensions = (whole(value, f"{path}: kpt_shape") for value in shape)
        if 0 < count < 10**4 and dimensions in (2, 3):
            return count, dimensions
    raise ValueError(f"{path}: kpt_shape must be [number of keypoints, 2 or 3], got {shape!r:.60}")


def _kinds(settings: Mapping[str, Any], count: int, path: Path) -> list[Kind]:
    names = settings.get("names")
    if isinstance(names, Mapping):
        numbers = sorted(whole(key, f"{path}: class number in names") for key in names)
        if numbers != list(range(len(names))):
            raise ValueError(f"{path}: names must number the classes from 0, got {numbers}")
        names = [value for _, value in sorted(names.items(), key=lambda item: int(item[0]))]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path}: names must list the classes, got {names!r:.60}")
    flips = settings.get("flip_idx")
    swaps = _swaps(flips, count, path) if flips else None
    keypoints = settings.get("kpt_names")
    kinds = []
    for i, name in enumerate(names):
        points = keypoints.get(i) if isinstance(keypoints, Mapping) else keypoints
        named = isinstance(points, list) and len(points) == count
        if not named:
            points = [f"keypoint_{k}" for k in range(count)]
        links = ()
        coco = Skeleton.load("coco")
        if not named and count == coco.num_keypoints and flips == coco.flip_indices.tolist():
            points, links, named = coco.keypoints, coco.links.tolist(), True
        points = [str(point) for point in points]
        kinds.append(Kind(str(name), points, links, swaps, "flip_idx", named))
    return kinds


def _swaps(flips, count: int, path: Path) -> list[tuple[int, int]]:
    if not isinstance(flips, list) or len(flips) != count:
        raise ValueError(f"{path}: flip_idx must be {count} numbers, got {flips!r:.60}")
    flips = [whole(flip, f"{path}: flip_idx") for flip in flips]
    for i, flip in enumerate(flips):
        if not 0 <= flip < count or flips[flip] != i:
            raise ValueError(
                f"{path}: flip_idx must exchange pairs of keypoints, but takes {i} to {flip} and "
                f"{flip} to {flips[flip] if 0 <= flip < count else 'nothing'}"
            )
    return [(i, flip) for i, flip in enumerate(flips) if i < flip]


def _images(entry, root: Path, what: str) -> list[Path]:
    """Images of a split: a folder, a list in a text file, or several of these."""
    if entry is None or entry == "":
        return []
    if isinstance(entry, list):
        return [image for each in entry for image in _images(each, root, what)]
    if not isinstance(entry, str) or "\0" in entry:
        raise ValueError(f"{what} must be a folder, a .txt file or a list, got {entry!r:.60}")
    place = root / entry
    if place.is_dir():
        return image_files(place)
    if place.suffix == ".txt" and place.is_file():
        lines = [line.strip() for line in read_text(place).splitlines()]
        return [(root / line) for line in lines if line and "\0" not in line]
    raise FileNotFoundError(f"{what} is neither a folder nor a .txt file: {place}")


def _label_file(image: Path) -> Path:
    before, found, after = str(image.parent / image.stem).rpartition(f"{os.sep}images{os.sep}")
    return Path(f"{before}{os.sep}labels{os.sep}{after}.txt" if found else f"{after}.txt")


def _objects(path: Path, labels: Labels, count: int, dimensions: int) -> list[LabelledObject]:
    """Objects of a label file; an image without one has none."""
    if not path.is_file():
        return []
    objects, seen = [], set()
    for line, text in enumerate(read_text(path).splitlines(), 1):
        words = tuple(text.split())
        if not words:
            continue
        what = f"{path}, line {line}"
        if words in seen:
            labels.skipped.add("objects that are in a label file twice", what)
            continue
        seen.add(words)
        if len(words) != 5 + count * dimensions:
            raise ValueError(
                f"{what}: expected {5 + count * dimensions} numbers (class, box and {count} "
                f"keypoints of {dimensions}), got {len(words)}"
            )
        kind = whole(words[0], f"{what}: class")
        if not 0 <= kind < len(labels.kinds):
            raise ValueError(
                f"{what}: class {kind} is not among the {len(labels.kinds)} of `names`"
            )
        numbers = np.array([number(word, what) for word in words[1:]])
        points = numbers[4:].reshape(count, dimensions)
        if max(abs(numbers[:4]).max(), abs(points[:, :2]).max()) > _FARTHEST:
            raise ValueError(
                f"{what}: coordinates must be shares of the image's sides (0 to 1), not pixels"
            )
        x, y, width, height = numbers[:4]
        box = None
        if width > 0 and height > 0:
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        objects.append(LabelledObject(kind, _keypoints(points, what), box))
    return objects


def _keypoints(points: np.ndarray, what: str) -> np.ndarray:
    if points.shape[1] == 3:
        if not np.isin(points[:, 2], (0, 1, 2)).all():
            wrong = points[~np.isin(points[:, 2], (0, 1, 2)), 2][0]
            raise ValueError(f"{what}: visibility must be 0, 1 or 2, got {wrong:g}")
        return points
    labelled = (points >= 0).all(1) & (points > 0).any(1)
    return np.column_stack([points, SEEN * labelled])
