"""Reading COCO keypoint files (absolute pixels, `keypoints` flat as x, y, v)."""

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.geometry import xywh_to_xyxy
from keras_pose.images import read_image
from keras_pose.skeleton import Skeleton


def read_coco(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping | None = None,
    category: str | int | None = None,
    drop_unlabelled: bool = True,
    name: str | None = None,
) -> dict[str, Any]:
    """Reads a COCO keypoint file as arguments of `KeypointDataset`.

    Order, clipping and filters are those of MMPose 1.3.2: images in file order, the objects of an
    image in file order, boxes clipped to `[0, width - 1]` and `[0, height - 1]`, visibility
    `min(1, v)`.

    Args:
        annotations, images, skeleton, category, drop_unlabelled, name: see
            `KeypointDataset.from_coco`.

    Returns:
        A dict of the arguments of `KeypointDataset`.
    """
    data, name = _load(annotations, name)
    folder = Path(images)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no image folder {folder}")
    categories = _categories(data, category, name)
    skeleton = _skeleton(skeleton, categories, name)
    table = _by_id(data["images"], "image", name)
    objects: dict[int, list] = {image_id: [] for image_id in table}
    for annotation in _by_id(data["annotations"], "annotation", name).values():
        if annotation.get("image_id") not in objects:
            raise ValueError(
                f"{name}: annotation {annotation['id']} belongs to image "
                f"{annotation.get('image_id')!r}, which is not among `images`"
            )
        wanted = category is None or annotation.get("category_id") in categories
        if wanted and annotation.get("bbox") and annotation.get("keypoints"):
            objects[annotation["image_id"]].append(annotation)
    rows = [annotation for image_id in objects for annotation in objects[image_id]]
    keypoints, visible = _keypoints(rows, skeleton, name)
    paths, sizes = _images(table, [row["image_id"] for row in rows], folder, name)
    boxes = _boxes(rows, sizes, name)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = np.maximum(1.0, 0.53 * sides.prod(axis=-1))
    # as in the reference: a keypoint without a count is one whose larger coordinate is not zero
    counts = (np.nan_to_num(keypoints).max(axis=-1) != 0).sum(axis=-1)
    fields = {
        "image_paths": np.array(paths, dtype=object),
        "image_ids": np.array([row["image_id"] for row in rows], np.int64),
        "image_sizes": sizes,
        "boxes": boxes,
        "keypoints": keypoints,
        "visible": visible,
        "areas": _column(rows, "area", areas),
        "ids": np.array([row["id"] for row in rows], np.int64),
        "iscrowd": _column(rows, "iscrowd", np.zeros(len(rows))).astype(bool),
        "num_keypoints": _column(rows, "num_keypoints", counts),
    }
    kept = (sides > 0).all(axis=-1)
    if drop_unlabelled:
        kept &= ~fields["iscrowd"] & (fields["num_keypoints"] > 0)
        kept &= np.nan_to_num(keypoints).max(axis=(1, 2), initial=0) > 0
    truth = {**data, "annotations": complete_coco(data["annotations"])}
    return {
        "skeleton": skeleton,
        **{field: values[kept] for field, values in fields.items()},
        "name": name,
        "annotations": truth,
    }


def complete_coco(annotations: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Annotations with everything that COCO evaluators read.

    Missing are filled in: `area` by 0.53 of the box's (at least 1), `iscrowd` by 0,
    `num_keypoints` by the count of v > 0.
    """
    complete = []
    for annotation in annotations:
        annotation = dict(annotation)
        if "area" not in annotation and annotation.get("bbox"):
            annotation["area"] = max(1.0, 0.53 * annotation["bbox"][2] * annotation["bbox"][3])
        annotation.setdefault("iscrowd", 0)
        if "num_keypoints" not in annotation:
            annotation["num_keypoints"] = sum(v > 0 for v in annotation.get("keypoints", [])[2::3])
        complete.append(annotation)
    return complete


def _load(source, name: str | None) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, Mapping):
        data, name = source, name or "annotations"
    else:
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"there is no annotation file {path}")
        name = name or path.name
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not a JSON file: {error}") from None
    for key in ("images", "annotations"):
        if not isinstance(data, Mapping) or not isinstance(data.get(key), list):
            raise ValueError(f"{name} is not in COCO form: it has no list `{key}`")
    return data, name


def _by_id(entries: list, kind: str, name: str) -> dict[int, Mapping[str, Any]]:
    table = {}
    for position, entry in enumerate(entries):
        number = entry.get("id")
        if not isinstance(number, int):
            raise ValueError(f"{name}: {kind} {position} needs an integer `id`, got {number!r}")
        if number in table:
            raise ValueError(f"{name}: {kind} id {number} occurs twice")
        table[number] = entry
    return table


def _categories(data, category, name: str) -> dict[int, Mapping[str, Any]]:
    """The categories that are read, by id; without a choice those that have keypoints."""
    known = {entry["id"]: entry for entry in data.get("categories") or ()}
    if category is None:
        return {number: entry for number, entry in known.items() if entry.get("keypoints")}
    chosen = {n: e for n, e in known.items() if category in (n, e.get("name"))}
    if not chosen:
        names = ", ".join(f"{e.get('name')!r} ({n})" for n, e in known.items()) or "none"
        raise ValueError(f"{name}: there is no category {category!r}; the file has {names}")
    return chosen


def _skeleton(skeleton, categories, name: str) -> Skeleton:
    named = {tuple(entry["keypoints"]) for entry in categories.values() if entry.get("keypoints")}
    if skeleton is not None:
        skeleton = Skeleton.resolve(skeleton)
        for keypoints in named:
            check_same_keypoints(skeleton.keypoints, f"skeleton {skeleton.name!r}", keypoints, name)
        return skeleton
    if len(named) != 1:
        raise ValueError(
            f"{name}: its categories name {len(named)} different sets of keypoints; "
            "say which one with category= or give a skeleton="
        )
    (keypoints,) = named
    coco = Skeleton.load("coco")
    if keypoints == coco.keypoints:
        return coco
    entry = next(entry for entry in categories.values() if entry.get("keypoints"))
    links = _links(entry.get("skeleton") or [], len(keypoints), name)
    return Skeleton(str(entry.get("name") or name), keypoints, links=links)


def _links(links, num_keypoints: int, name: str) -> list[tuple[int, int]]:
    """Links between keypoints, counted from 0; impossible ones only cost a line in a drawing."""
    # COCO counts from 1; some tools count from 0
    start = 0 if any(0 in link for link in links) else 1
    good = {}
    for link in links:
        a, b = (int(end) - start for end in link)
        if a != b and min(a, b) >= 0 and max(a, b) < num_keypoints:
            good.setdefault(frozenset((a, b)), (a, b))
    if len(good) < len(links):
        dropped = len(links) - len(good)
        warnings.warn(
            f"{name}: {dropped} of {len(links)} `skeleton` links of its category are repeated or "
            "join keypoints that do not exist; they are left out",
            stacklevel=2,
        )
    return list(good.values())


def check_same_keypoints(ours: Iterable[str], our_name: str, theirs: Iterable[str], name: str):
    """Raises ValueError if two lists of keypoints cannot mean the same points in the same order.

    Names may be spelt differently; another number, or the same names in another order, is an error,
    because it would train or score in silence with the wrong points.
    """
    ours, theirs = list(ours), list(theirs)
    if len(ours) != len(theirs):
        raise ValueError(f"{name} has {len(theirs)} keypoints, {our_name} has {len(ours)}")
    plain = [[n.lower().replace(" ", "_") for n in names] for names in (ours, theirs)]
    if plain[0] != plain[1] and sorted(plain[0]) == sorted(plain[1]):
        at = next(i for i, (a, b) in enumerate(zip(*plain, strict=True)) if a != b)
        raise ValueError(
            f"{name} has the keypoints of {our_name} in another order: "
            f"keypoint {at} is {theirs[at]!r}, not {ours[at]!r}"
        )


def _keypoints(rows, skeleton: Skeleton, name: str) -> tuple[np.ndarray, np.ndarray]:
    wanted = 3 * skeleton.num_keypoints
    for row in rows:
        if len(row["keypoints"]) != wanted:
            raise ValueError(
                f"{name}: annotation {row['id']} has {len(row['keypoints']) / 3:g} keypoints, "
                f"skeleton {skeleton.name!r} has {skeleton.num_keypoints}"
            )
    flat = _numbers(rows, "keypoints", name).reshape(-1, skeleton.num_keypoints, 3)
    return flat[..., :2], np.clip(np.nan_to_num(flat[..., 2]), 0, 1)


def _boxes(rows, sizes: np.ndarray, name: str) -> np.ndarray:
    boxes = _numbers(rows, "bbox", name).reshape(-1, 4)
    last = np.tile(sizes - 1, 2)
    return np.clip(xywh_to_xyxy(boxes), 0, last).astype(np.float32)


def _numbers(rows, key: str, name: str) -> np.ndarray:
    try:
        return np.array([row[key] for row in rows], np.float32)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name}: `{key}` of every annotation must be a list of numbers of one length"
        ) from None


def _column(rows, key: str, default: np.ndarray) -> np.ndarray:
    return np.array([row.get(key, value) for row, value in zip(rows, default, strict=True)])


def _images(table, image_ids: list, folder: Path, name: str) -> tuple[list[str], np.ndarray]:
    """Path and (width, height) of the image of every row."""
    found = {}
    for image_id in dict.fromkeys(image_ids):
        image = table[image_id]
        if not image.get("file_name"):
            raise ValueError(f"{name}: image {image_id} has no `file_name`")
        path = folder / image["file_name"]
        size = (image.get("width"), image.get("height"))
        if not all(size):  # some tools leave the size out
            size = read_image(path).shape[1::-1]
        found[image_id] = (str(path), size)
    sizes = np.array([found[i][1] for i in image_ids], np.int32).reshape(-1, 2)
    return [found[i][0] for i in image_ids], sizes
