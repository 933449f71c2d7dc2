"""An annotation file as it is, broken or not: its entries, and as arrays what can be read."""

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.skeleton import Skeleton


@dataclass(frozen=True)
class Objects:
    """The annotations whose keypoints can be read, a row each; NaN is what cannot.

    Attributes:
        places: int `(N,)`, places in the list of annotations.
        images: int `(N,)`, places in the list of images, -1 where unknown.
        points: `(N, K, 2)`, flags: `(N, K)`: keypoints as the file has them.
        seen: bool `(N, K)`, labelled and finite.
        boxes: `(N, 4)` as the file has them, sizes: `(N, 2)` of the image, areas: `(N,)`.
        crowd: bool `(N,)`.
    """

    places: np.ndarray
    images: np.ndarray
    points: np.ndarray
    flags: np.ndarray
    seen: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Found:
    """What a check found; see `Finding`. `severity` is given where it differs from the check's."""

    count: int
    message: str
    example: dict[str, Any] = field(default_factory=dict)
    annotations: tuple[int, ...] = ()
    severity: str | None = None


@dataclass
class Contents:
    """What the checks look at.

    Attributes:
        name: of the file.
        data: the whole of it.
        images, annotations, categories: lists of those entries that are dicts.
        not_dicts: how many entries of each list are none.
        folder: of the images, or None.
        skeleton: Skeleton or None; `skeleton_given` says whether the user named it.
        asymmetric: pairs (keypoint, partner) of a skeleton file that are not mutual.
        num_keypoints: int, of the skeleton, else what most annotations have.
        objects: Objects.
    """

    name: str
    data: Mapping[str, Any]
    images: list[Mapping]
    annotations: list[Mapping]
    categories: list[Mapping]
    not_dicts: dict[str, int]
    folder: Path | None
    skeleton: Skeleton | None
    skeleton_given: bool
    asymmetric: list[tuple[str, str]]
    num_keypoints: int
    objects: Objects

    def keypoint_name(self, index: int) -> str:
        """Name of a keypoint, or its number."""
        return self.skeleton.keypoints[index] if self.skeleton else f"keypoint {index}"

    def in_annotations(
        self,
        places,
        message: str,
        detail: Callable[[int], str] | None = None,
        severity: str | None = None,
        count: int | None = None,
    ) -> Found | None:
        """A Found about annotations at some places of the list; None for none."""
        places = [int(place) for place in places]
        if not places:
            return None
        example = self.place_of(places[0])
        if detail is not None:
            example["detail"] = detail(places[0])
        count = len(places) if count is None else count
        return Found(count, message, example, tuple(places), severity)

    def in_objects(
        self, rows, message, detail=None, severity=None, count: int | None = None
    ) -> Found | None:
        """As `in_annotations`, for rows (or a mask) of `objects`; `detail` gets the row."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, int)
        row = int(rows[0]) if len(rows) else None
        places = self.objects.places[rows]
        given = None if detail is None else lambda _: detail(row)
        return self.in_annotations(places, message, given, severity, count)

    def in_images(self, places, message, detail=None, severity=None) -> Found | None:
        """A Found about images at some places of their list; None for none."""
        places = [int(place) for place in places]
        if not places:
            return None
        image = self.images[places[0]]
        example = {"file": image.get("file_name"), "image_id": image.get("id")}
        if detail is not None:
            example["detail"] = detail(places[0])
        return Found(len(places), message, example, (), severity)

    def place_of(self, annotation: int) -> dict[str, Any]:
        """Where an annotation is, for an example."""
        entry = self.annotations[annotation]
        place = {"image_id": entry.get("image_id"), "annotation_id": entry.get("id")}
        image = self.image_table.get(_key(entry.get("image_id")))
        if image is not None:
            place = {"file": self.images[image].get("file_name"), **place}
        return place

    @property
    def image_table(self) -> dict[Any, int]:
        """Place in the list of images, by id; the first where an id occurs twice."""
        if not hasattr(self, "_table"):
            pairs = enumerate(image.get("id") for image in self.images)
            self._table = {_key(number): place for place, number in reversed(list(pairs))}
        return self._table


def read_contents(
    data: Mapping[str, Any],
    name: str,
    folder: str | os.PathLike | None,
    skeleton: Skeleton | str | os.PathLike | Mapping | None,
) -> Contents:
    """Reads what can be read.

    Args:
        data: the file's content, in COCO form.
        name: of the file.
        folder: of the images, or None.
        skeleton: of the objects; None: that of the file's categories.

    Raises:
        ValueError: for something that is not in COCO form at all, or no skeleton.
        FileNotFoundError: if there is no such folder or skeleton file.
    """
    for key in ("images", "annotations"):
        if not isinstance(data, Mapping) or not isinstance(data.get(key), list):
            raise ValueError(
                f"{name} is not in COCO form: it has no list `{key}` (labels of other tools become "
                "COCO by keras-pose import-dataset)"
            )
    folder = None if folder is None else Path(folder)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"there is no image folder {folder}")
    entries, not_dicts = {}, {}
    for key in ("images", "annotations", "categories"):
        listed = data.get(key) if isinstance(data.get(key), list) else []
        entries[key] = [entry for entry in listed if isinstance(entry, Mapping)]
        not_dicts[key] = len(listed) - len(entries[key])
    asymmetric: list[tuple[str, str]] = []
    given = skeleton is not None
    if given:
        skeleton, asymmetric = _tolerant_skeleton(skeleton)
    else:
        skeleton = _skeleton_of(entries["categories"])
    lengths = Counter(
        len(entry["keypoints"]) // 3
        for entry in entries["annotations"]
        if isinstance(entry.get("keypoints"), list) and entry["keypoints"]
    )
    most = max(lengths, key=lengths.get) if lengths else 0
    contents = Contents(
        name,
        data,
        **entries,
        not_dicts=not_dicts,
        folder=folder,
        skeleton=skeleton,
        skeleton_given=given,
        asymmetric=asymmetric,
        num_keypoints=skeleton.num_keypoints if skeleton else most,
        objects=None,
    )
    contents.objects = _objects(contents)
    return contents


def worded(text: str, count: int) -> str:
    """A sentence about so many things: `#` stands for their number, `[one|many]` for a choice.

    Example:
        >>> worded("# box[|es] ha[s|ve] no size.", 1)
        '1 box has no size.'
    """
    chosen = re.sub(r"\[([^][|]*)\|([^][|]*)\]", r"\1" if count == 1 else r"\2", text)
    return chosen.replace("#", str(count))


def numbers(values: Any, length: int) -> list[float] | None:
    """A list of so many numbers, None for anything else; None among them counts as NaN."""
    if not isinstance(values, list) or len(values) != length:
        return None
    if not all(type(v) in (int, float) or v is None for v in values):
        return None
    return [np.nan if v is None or abs(v) > 1e15 else float(v) for v in values]


def is_id(value: Any) -> bool:
    """Whether a value can be an id: an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def _key(value: Any) -> Any:
    """The value if it can be looked up; entries of broken files may be lists."""
    return value if isinstance(value, int | str | float) else repr(value)


def _tolerant_skeleton(skeleton) -> tuple[Skeleton, list[tuple[str, str]]]:
    """The skeleton, and the partners in its file that are not mutual, which it is read without."""
    try:
        return Skeleton.resolve(skeleton), []
    except ValueError as error:
        data = skeleton
        if isinstance(skeleton, str | os.PathLike) and Path(skeleton).is_file():
            import json

            try:
                data = json.loads(Path(skeleton).read_text(encoding="utf-8"))
            except ValueError:
                raise error from None
        points = data.get("keypoints") if isinstance(data, Mapping) else None
        if not isinstance(points, list) or not all(isinstance(p, Mapping) for p in points):
            raise
        partner = {p.get("name"): p.get("swap") or None for p in points}
        bad = {name for name, swap in partner.items() if swap and partner.get(swap) != name}
        if not bad:
            raise
        points = [{**p, "swap": None} if p.get("name") in bad else p for p in points]
        pairs = [(name, partner[name]) for name in partner if name in bad]
        return Skeleton.from_dict({**data, "keypoints": points}), pairs


def _skeleton_of(categories: list[Mapping]) -> Skeleton | None:
    """The skeleton of the first category with a usable list of names."""
    for category in categories:
        names = category.get("keypoints")
        if not isinstance(names, list) or not names:
            continue
        coco = Skeleton.load("coco")
        if tuple(names) == coco.keypoints:
            return coco
        try:
            links = good_links(category, len(names))[0]
            return Skeleton(str(category.get("name") or "object"), names, links=links)
        except ValueError:
            continue
    return None


def good_links(category: Mapping, num_keypoints: int) -> tuple[list[tuple[int, int]], int]:
    """Links of a category counted from 0, and how many of its entries are none."""
    listed = category.get("skeleton")
    listed = listed if isinstance(listed, list) else []
    pairs = [
        tuple(link)
        for link in listed
        if isinstance(link, list) and len(link) == 2 and all(is_id(end) for end in link)
    ]
    start = 0 if any(0 in link for link in pairs) else 1
    good: dict[frozenset, tuple[int, int]] = {}
    for a, b in ((a - start, b - start) for a, b in pairs):
        if a != b and min(a, b) >= 0 and max(a, b) < num_keypoints:
            good.setdefault(frozenset((a, b)), (a, b))
    return list(good.values()), len(listed) - len(good)


def _objects(contents: Contents) -> Objects:
    count = contents.num_keypoints
    places, rows = [], []
    for place, entry in enumerate(contents.annotations):
        row = numbers(entry.get("keypoints"), 3 * count) if count else None
        if row is not None:
            places.append(place)
            rows.append(row)
    flat = np.array(rows, float).reshape(len(rows), count, 3)
    entries = [contents.annotations[place] for place in places]
    nothing = [np.nan] * 4
    boxes = [numbers(entry.get("bbox"), 4) or nothing for entry in entries]
    areas = [(numbers([entry.get("area")], 1) or [np.nan])[0] for entry in entries]
    sizes = np.array([image_size(image) for image in contents.images], float).reshape(-1, 2)
    table = contents.image_table
    images = np.array([table.get(_key(e.get("image_id")), -1) for e in entries], int)
    known = images >= 0
    points, flags = flat[..., :2], flat[..., 2]
    own_sizes = np.full((len(places), 2), np.nan)
    own_sizes[known] = sizes[images[known]]
    return Objects(
        places=np.array(places, int),
        images=images,
        points=points,
        flags=flags,
        seen=(flags > 0) & np.isfinite(points).all(axis=-1),
        boxes=np.array(boxes, float).reshape(-1, 4),
        sizes=own_sizes,
        areas=np.array(areas, float),
        crowd=np.array([bool(entry.get("iscrowd")) for entry in entries], bool),
    )


def image_size(image: Mapping) -> list[float]:
    """(width, height) that the file names; NaN for what is no positive number."""
    size = numbers([image.get("width"), image.get("height")], 2) or [np.nan, np.nan]
    return size if min(size) > 0 else [np.nan, np.nan]
