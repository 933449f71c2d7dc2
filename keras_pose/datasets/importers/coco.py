"""COCO keypoint files and what other tools make of them, brought into one form.

Tools write several categories of which some have no keypoints, links that count from 0, one file a
split, and leave out sizes, boxes or areas.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.importers.content import first_mark, image_size, number
from keras_pose.datasets.importers.labels import Kind, LabelledImage, LabelledObject, Labels
from keras_pose.datasets.readers.categories import skeleton_of
from keras_pose.datasets.readers.records import by_id, check_lists, is_id, load_json, shortened

_SPLITS = ("train", "val", "test")
# Keys of an annotation that are read; all others are kept as they are.
_READ = ("bbox", "keypoints", "num_keypoints", "image_id", "category_id")


def detects(path: Path) -> bool:
    """Whether this is a JSON object, or a folder with some of them in `annotations`."""
    if path.is_dir():
        return bool(_files(path))
    return first_mark(path) == "{"


def _files(folder: Path) -> list[Path]:
    files = sorted((folder / "annotations").glob("*.json")) or sorted(folder.glob("*.json"))
    return [f for f in files if "keypoints" in f.name] or [f for f in files if detects(f)]


def read(path: Path) -> Labels:
    """Reads a file, or all of a folder's; the name of a file tells its split.

    Entries of categories without keypoints are left out and counted.
    """
    files = _files(path) if path.is_dir() else [path]
    folders = [path.resolve() if path.is_dir() else path.resolve().parent]
    if folders[0].name == "annotations":  # the images lie beside it
        folders.append(folders[0].parent)
    labels = Labels(roots=[])
    for root in folders:
        labels.roots += [root, root / "images"]
    for file in files:
        words = file.stem.lower().replace("-", "_").split("_")
        split = next((s for s in _SPLITS if any(word.startswith(s) for word in words)), None)
        _File(file, labels, split)
        labels.roots += [root / "images" / split for root in folders if split]
    return labels


class _File:
    """Adds one file to the labels."""

    def __init__(self, path: Path, labels: Labels, split: str | None):
        self.path, self.labels, self.split = path, labels, split
        data, _ = load_json(path, None)
        check_lists(data, ("images", "annotations", "categories"), str(path))
        self.kinds: dict[int, int | None] = {}
        for place, entry in by_id(data["categories"], "category", str(path)).items():
            self._add_category(place, entry)
        self.images: dict[int, LabelledImage] = {}
        for place, entry in by_id(data["images"], "image", str(path)).items():
            self._add_image(place, entry)
        for entry in by_id(data["annotations"], "annotation", str(path)).values():
            self._add_annotation(entry)

    def _add_category(self, place: int, entry: Mapping[str, Any]) -> None:
        names = entry.get("keypoints") or []
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            raise ValueError(f"{self.path}: keypoints of category {place} must be names")
        self.kinds[place] = None
        if not names:
            return
        title = str(entry.get("name") or "object")
        known = {kind.name: i for i, kind in enumerate(self.labels.kinds)}
        if title not in known:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                skeleton = skeleton_of({place: entry}, str(self.path))
            self.labels.notes += [str(warning.message) for warning in caught]
            known[title] = len(self.labels.kinds)
            self.labels.kinds.append(Kind(title, names, skeleton.links.tolist()))
        self.kinds[place] = known[title]
        if list(self.labels.kinds[known[title]].keypoints) != names:
            raise ValueError(
                f"{self.path} has two categories {title!r} with other keypoints, or another file "
                "of the folder has: rename one"
            )

    def _add_image(self, place: int, entry: Mapping[str, Any]) -> None:
        name = entry.get("file_name")
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"{self.path}: image {place} needs a `file_name`, got {shortened(name)}"
            )
        image = LabelledImage(name, split=self.split, id=place)
        if entry.get("width") and entry.get("height"):
            image.size = image_size(entry["width"], entry["height"], f"{self.path}: image {place}")
        self.images[place] = image
        self.labels.images.append(image)

    def _add_annotation(self, entry: Mapping[str, Any]) -> None:
        place = entry["id"]
        what = f"{self.path}: annotation {place}"
        for key, table in (("image_id", self.images), ("category_id", self.kinds)):
            if not is_id(entry.get(key)) or entry[key] not in table:
                given = shortened(entry.get(key))
                raise ValueError(f"{what} has the {key} {given}, which the file does not list")
        image, kind = self.images[entry["image_id"]], self.kinds[entry["category_id"]]
        if kind is None:
            self.labels.skipped.add(
                "objects of categories without keypoints", f"annotation {place}"
            )
            return
        count = len(self.labels.kinds[kind].keypoints)
        flat = entry.get("keypoints") or [0] * (3 * count)
        if not isinstance(flat, list) or len(flat) != 3 * count:
            length = len(flat) / 3 if isinstance(flat, list) else flat
            raise ValueError(f"{what} has {length!r:.20} keypoints, its category {count}")
        points = np.array([number(v, f"{what}: keypoints") for v in flat]).reshape(count, 3)
        if not np.isin(points[:, 2], (0, 1, 2)).all():
            raise ValueError(f"{what}: the third number of a keypoint must be 0, 1 or 2")
        box = entry.get("bbox")
        if box:
            if not isinstance(box, list) or len(box) != 4:
                raise ValueError(f"{what}: bbox must be x, y, width, height, got {box!r:.60}")
            x, y, width, height = (number(value, f"{what}: bbox") for value in box)
            box = (x, y, x + width, y + height)
        fields = {k: v for k, v in entry.items() if k not in _READ and v is not None}
        if "area" in fields:
            fields["area"] = number(fields["area"], f"{what}: area")
        if fields.get("iscrowd", 0) not in (0, 1):
            raise ValueError(f"{what}: iscrowd must be 0 or 1, got {fields['iscrowd']!r:.60}")
        image.objects.append(LabelledObject(kind, points, box or None, fields))
