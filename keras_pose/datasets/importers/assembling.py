"""From what a label file says to COCO: images looked up, boxes made, ids given, all counted."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.importers.labels import (
    HIDDEN,
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)
from keras_pose.datasets.importers.pictures import find_images, image_sizes, write_frame
from keras_pose.datasets.importers.report import ImportReport
from keras_pose.datasets.readers.categories import check_same_keypoints
from keras_pose.datasets.writing import common_folder, relative_name
from keras_pose.skeleton import Skeleton

NO_FILE = "images without a file"
NOT_READABLE = "images that cannot be read"
# An object's area where the file has none, as a share of its box (as in MMPose 1.3.2).
_AREA = 0.53
# A made box is wider than its keypoints by at least so many pixels on every side.
_LEAST_PADDING = 5.0
# Farther away than this is no place in an image.
_FARTHEST = 1e6


class Assembly:
    """Makes the COCO dict of some labels.

    Args:
        labels: what the reader gave; it is consumed.
        report: filled in.
        images: folder that `file_name` shall be relative to, where files are looked for and frames
            are written. Default: the folder that holds the files.
        frames: folder for frames, used without `images`.
        split: names of the splits to keep. Default: all.
        category: name of the only category to keep. Default: all.
        skeleton: Skeleton that the file's keypoints stand for. Default: made of the file.
        box_padding: made boxes are widened by this share of their longer side on every side.

    Attributes:
        coco: the dict.
        folder: the folder that `file_name` is relative to.
        skeletons: category name -> Skeleton.
    """

    def __init__(
        self,
        labels: Labels,
        report: ImportReport,
        images: Path | None = None,
        frames: Path | None = None,
        split: Sequence[str] | None = None,
        category: str | None = None,
        skeleton: Skeleton | None = None,
        box_padding: float = 0.1,
    ):
        self.labels, self.report, self.box_padding = labels, report, box_padding
        # By their place in the source: the same whatever split is read and whichever are missing.
        ids = _ids([image.id for image in labels.images])
        for image, number in zip(labels.images, ids, strict=True):
            image.id = number
        self._keep(split, category)
        self.order, self.skeletons = {}, {}
        for i in sorted({obj.kind for image in labels.images for obj in image.objects}):
            self._add_skeleton(i, skeleton)
        pictures = self._located(labels.images, images, frames)
        self.folder = images or self._folder(pictures.values(), frames)
        self.coco = self._assembled(pictures)
        report.notes += labels.notes
        for reason, count in labels.skipped.counts.items():
            report.skipped[reason] = (count, labels.skipped.examples[reason])
        report.failed = {NO_FILE, NOT_READABLE} & report.skipped.keys()

    def _keep(self, split: Sequence[str] | None, category: str | None) -> None:
        """Drops other splits and categories, and kinds that no object is of."""
        labels = self.labels
        known = list(dict.fromkeys(image.split for image in labels.images if image.split))
        for name in split or ():
            if name not in known:
                raise ValueError(
                    f"there is no split {name!r}; the source has {', '.join(known) or 'none'}"
                )
        if split:
            labels.images = [image for image in labels.images if image.split in split]
        names = [kind.name for kind in labels.kinds]
        if category is not None:
            if category not in names:
                raise ValueError(
                    f"there is no category {category!r}; the source has {', '.join(names)}"
                )
            for image in labels.images:
                others = [obj for obj in image.objects if names[obj.kind] != category]
                if others:
                    labels.skipped.add("objects of other categories", image.path, len(others))
                image.objects = [obj for obj in image.objects if names[obj.kind] == category]
        if not any(image.objects for image in labels.images):
            what = f" of category {category!r}" if category else ""
            raise ValueError(f"{self.report.source} has no labelled objects{what}")

    def _add_skeleton(self, place: int, given: Skeleton | None) -> None:
        """The skeleton of a kind, and the order in which its keypoints come."""
        kind = self.labels.kinds[place]
        self.order[place] = np.arange(len(kind.keypoints))
        told = kind.swaps_from if kind.swaps is not None else "the names"
        if given is not None:
            self.order[place] = _same_points(given, kind, self.report.source)
            skeleton, told = given, f"skeleton {given.name!r}"
        else:
            skeleton = _skeleton(kind, self.report)
            if not kind.named:
                self.report.notes.append(
                    f"the file does not name the keypoints of {kind.name!r}: give a skeleton of "
                    f"{len(kind.keypoints)} keypoints to name and link them"
                )
        pairs = [(i, j) for i, j in enumerate(skeleton.flip_indices.tolist()) if i < j]
        names = [f"{skeleton.keypoints[i]}-{skeleton.keypoints[j]}" for i, j in pairs]
        text = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
        self.report.pairs[kind.name] = f"{text or 'no pairs'} (from {told})"
        self.skeletons[kind.name] = skeleton

    def _located(
        self, entries: list[LabelledImage], images: Path | None, frames: Path | None
    ) -> dict[int, Path]:
        """Files of the images, by position; sizes are set, frames are written."""
        filed = [i for i, image in enumerate(entries) if image.frame is None]
        roots = [images] if images else self.labels.roots
        above = () if images else self.labels.above
        paths = find_images([entries[i].path for i in filed], roots, above)
        if filed and not any(paths):
            raise FileNotFoundError(
                f"none of the {len(filed)} images of {self.report.source} was found, for example "
                f"{entries[filed[0]].path!r:.200} below {roots[0]}; give the folder that holds "
                "them as images"
            )
        found = {i: path for i, path in zip(filed, paths, strict=True) if path is not None}
        for i in filed:
            if i not in found:
                self._leave_out(NO_FILE, entries[i], entries[i].path)
        unknown = [i for i in found if entries[i].size is None]
        for i, size in zip(unknown, image_sizes([found[i] for i in unknown]), strict=True):
            if isinstance(size, str):
                self._leave_out(NOT_READABLE, entries[i], size)
                del found[i]
            else:
                entries[i].size = size
        self._write_frames(entries, found, images or frames)
        if not found:
            raise ValueError(
                f"none of the images of {self.report.source} can be read, for example "
                f"{self.labels.skipped.examples.get(NOT_READABLE, 'none')}"
            )
        return dict(sorted(found.items()))

    def _folder(self, paths: Iterable[Path], frames: Path | None) -> Path:
        """The first of the likely folders that holds all images, so that it is the same for every
        split; else the deepest that does."""
        paths = list(paths)
        for folder in (frames, *self.labels.roots, *self.labels.above):
            if folder is not None and all(path.is_relative_to(folder) for path in paths):
                return folder
        return common_folder(paths)

    def _write_frames(
        self, entries: list[LabelledImage], found: dict[int, Path], folder: Path | None
    ) -> None:
        for i, image in enumerate(entries):
            if image.frame is None:
                continue
            if folder is None:
                raise ValueError(
                    f"the images of {self.report.source} lie in videos or in the file itself: say "
                    "with images= in which folder they shall be written"
                )
            try:
                frame = image.frame()
            except ValueError as error:
                self._leave_out(NOT_READABLE, image, str(error))
                continue
            image.size = write_frame(folder / image.path, frame)
            found[i] = folder / image.path

    def _leave_out(self, reason: str, image: LabelledImage, example: str) -> None:
        self.labels.skipped.add(reason, example)
        if image.objects:
            self.labels.skipped.add(f"objects in {reason}", image.path, len(image.objects))

    def _assembled(self, pictures: Mapping[int, Path]) -> dict[str, Any]:
        report, entries = self.report, self.labels.images
        places = {kind: number for number, kind in enumerate(self.order, 1)}
        images, rows = [], []
        for i, path in pictures.items():
            image_id, (width, height) = entries[i].id, entries[i].size
            entry = {
                "id": image_id,
                "file_name": relative_name(path, self.folder),
                "width": int(width),
                "height": int(height),
            }
            images.append(entry | ({"split": entries[i].split} if entries[i].split else {}))
            for obj in entries[i].objects:
                row = self._annotation(obj, entries[i])
                if row is not None:
                    row |= {"image_id": image_id, "category_id": places[obj.kind]}
                    rows.append(row)
        for row, number in zip(rows, _ids([row.get("id") for row in rows]), strict=True):
            row["id"] = number
        if not rows:
            raise ValueError(f"{report.source} has no labelled objects in images that can be read")
        report.images = len(images)
        report.image_sizes = dict(Counter((image["width"], image["height"]) for image in images))
        report.splits = dict(Counter(image["split"] for image in images if "split" in image))
        names = {number: self.labels.kinds[kind].name for kind, number in places.items()}
        report.objects = dict(Counter(names[row["category_id"]] for row in rows))
        states = Counter(v for row in rows for v in row["keypoints"][2::3])
        report.keypoints = {"seen": states[SEEN], "hidden": states[HIDDEN]}
        report.keypoints["not labelled"] = states[0]
        if report.boxes_made:
            report.box_rule = (
                f"the extent of the labelled keypoints, wider by {self.box_padding:.0%} of its "
                f"longer side (at least {_LEAST_PADDING:g} pixels) on every side"
            )
        categories = [_category(number, names[number], self.skeletons) for number in names]
        return {"images": images, "annotations": rows, "categories": categories}

    def _annotation(self, obj: LabelledObject, image: LabelledImage) -> dict[str, Any] | None:
        """The COCO annotation of an object, None where nothing of it is labelled."""
        factors = np.array(image.size, float) if image.normalized else 1.0
        points = np.asarray(obj.keypoints, float)[self.order[obj.kind]]
        labelled = points[:, 2] > 0
        points[:, :2] = np.where(labelled[:, None], points[:, :2] * factors, 0.0)
        box = None if obj.box is None else np.reshape(np.asarray(obj.box, float), (2, 2)) * factors
        for values in (points, np.zeros(1) if box is None else box):
            if not (np.abs(values) < _FARTHEST).all():  # also catches NaN
                raise ValueError(
                    f"{self.report.source}: an object in {image.path!r:.200} has the coordinate "
                    f"{values[~(np.abs(values) < _FARTHEST)][0]:g}, which is no place in an image"
                )
        crowd = bool(obj.fields.get("iscrowd"))
        if not labelled.any() and not crowd:
            self.labels.skipped.add("objects without a labelled keypoint", image.path)
            return None
        made = box is None or not (box[1] > box[0]).all()
        if made and not labelled.any():
            self.labels.skipped.add("crowds without a box", image.path)
            return None
        if made:
            box = _extent(points[labelled, :2], self.box_padding)
        box = np.clip(box, 0, image.size)
        if not (box[1] > box[0]).all():
            self.labels.skipped.add("objects that lie outside their image", image.path)
            return None
        self.report.boxes_made += made
        width, height = box[1] - box[0]
        row = {
            "bbox": _short([*box[0], width, height]),
            "area": _short([max(1.0, _AREA * width * height)])[0],
            "iscrowd": 0,
            **obj.fields,
            "num_keypoints": int(labelled.sum()),
        }
        flat = _short(points.ravel())
        row["keypoints"] = [int(v) if i % 3 == 2 else v for i, v in enumerate(flat)]
        return row


def _skeleton(kind: Kind, report: ImportReport) -> Skeleton:
    coco = Skeleton.load("coco")
    if tuple(kind.keypoints) == coco.keypoints:
        return coco
    links, ends = [], set()
    for link in kind.links:
        if len(set(link)) == 2 and frozenset(link) not in ends:
            ends.add(frozenset(link))
            links.append(tuple(link))
    if len(links) < len(kind.links):
        report.notes.append(f"links of {kind.name!r} that are repeated are left out")
    try:
        return Skeleton(kind.name, kind.keypoints, links=links, swaps=kind.swaps)
    except ValueError as error:
        raise ValueError(f"{report.source}: {error}") from None


def _same_points(given: Skeleton, kind: Kind, source: str) -> np.ndarray:
    """Position in the file of each keypoint of the skeleton."""
    plain = [
        [n.lower().replace(" ", "_") for n in names] for names in (given.keypoints, kind.keypoints)
    ]
    if sorted(plain[0]) == sorted(plain[1]):
        return np.array([plain[1].index(name) for name in plain[0]])
    check_same_keypoints(given.keypoints, f"skeleton {given.name!r}", kind.keypoints, source)
    if kind.named:
        unknown = next(
            n for n, p in zip(kind.keypoints, plain[1], strict=True) if p not in plain[0]
        )
        raise ValueError(
            f"{source} names the keypoint {unknown!r}, which skeleton {given.name!r} does not have"
        )
    return np.arange(len(kind.keypoints))


def _extent(points: np.ndarray, padding: float) -> np.ndarray:
    """`(2, 2)` corners around `(N, 2)` points."""
    low, high = points.min(axis=0), points.max(axis=0)
    pad = max(_LEAST_PADDING, padding * (high - low).max())
    return np.stack([low - pad, high + pad])


def _category(number: int, name: str, skeletons: Mapping[str, Skeleton]) -> dict[str, Any]:
    skeleton = skeletons[name]
    links = (skeleton.links + 1).tolist()
    return {"id": number, "name": name, "keypoints": list(skeleton.keypoints), "skeleton": links}


def _ids(given: Sequence[int | None]) -> list[int]:
    """The ids that a file gives, where all have one and none occurs twice; else 1, 2, ..."""
    if None not in given and len(set(given)) == len(given):
        return list(given)
    return list(range(1, len(given) + 1))


def _short(values: Iterable[float]) -> list[float]:
    """Pixels to four decimals, whole ones as integers."""
    rounded = [round(float(value), 4) for value in values]
    return [
        int(value) if math.isfinite(value) and value == int(value) else value for value in rounded
    ]
