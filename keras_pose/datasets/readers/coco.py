"""Reading COCO keypoint files (absolute pixels, `keypoints` flat as x, y, v)."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.readers.categories import (
    check_same_keypoints,
    chosen_categories,
    skeleton_of,
)
from keras_pose.datasets.readers.image_sizes import image_size
from keras_pose.datasets.readers.records import (
    by_id,
    check_lists,
    integers,
    is_id,
    joined,
    load_json,
    scalars,
    shortened,
    vectors,
)
from keras_pose.geometry import xywh_to_xyxy
from keras_pose.skeleton import Skeleton

# As in MMPose 1.3.2: the pixels that one unit of MPII's, 300W's, ... `scale` stands for.
SCALE_UNIT = 200.0

# Corners and sides beyond this many pixels are mistakes; the area still fits float32.
LARGEST_BOX = 1e9

BOX_RULES = ("clip", "keep", "center_scale")


def read_coco(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping | None = None,
    category: str | int | None = None,
    drop_unlabelled: bool = True,
    name: str | None = None,
    *,
    sample_interval: int = 1,
    keypoint_fields: Sequence[str] = ("keypoints",),
    count_field: str | None = "num_keypoints",
    area_field: str | None = "area",
    box: str | Sequence[float] = "clip",
    origin: int = 0,
    whole_visibility: bool = False,
    extras: Mapping[str, str | Sequence] | None = None,
    sort_by_id: bool = False,
    check_names: bool = True,
    skip_bad_boxes: bool = False,
) -> dict[str, Any]:
    """Reads a COCO keypoint file as arguments of `KeypointDataset`.

    Order, clipping and filters are those of MMPose 1.3.2: images in file order, the objects of an
    image in file order, boxes clipped to `[0, width - 1]` and `[0, height - 1]`, visibility
    `min(1, v)`. What follows `name` describes formats that depart from COCO's.

    Args:
        annotations, images, skeleton, category, drop_unlabelled, name: see
            `KeypointDataset.from_coco`.
        sample_interval: int, read only images whose id it divides.
        keypoint_fields: fields of an annotation whose points, in this order, are the skeleton's.
        count_field: field with the number of labelled keypoints. Default `"num_keypoints"`; where
            it is missing, or `None`: those with a coordinate above 0, as in the reference.
        area_field: field with the area. Where it is missing, or `None`: 0.53 of the box's.
        box: `"clip"` (default), `bbox` inside the image; `"keep"`, `bbox` as it is;
            `"center_scale"`, `center` -/+ 100 `scale`; or four numbers, xyxy, every object's box.
        origin: int, coordinates of the first pixel in the file.
        whole_visibility: bool, visibility is 1 wherever v is above 0.
        extras: dict from a column of `KeypointDataset.extras` to the field of an annotation, or
            with `image.` before it of the image, that holds its number, or to [field, length] for
            a list of numbers; NaN where it is missing.
        sort_by_id: bool, objects in the order of their ids instead.
        check_names: bool, compare the names in `categories` with the skeleton's.
        skip_bad_boxes: bool, leave out objects whose boxes have negative sides or are no numbers
            (a warning counts them), rather than refuse the file.

    Returns:
        A dict of the arguments of `KeypointDataset`.
    """
    data, name = load_json(annotations, name)
    check_lists(data, ("images", "annotations"), name)
    folder = Path(images)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no image folder {folder}")
    categories = chosen_categories(data, category, name)
    skeleton = _skeleton(skeleton, categories if check_names else {}, name)
    every_image = by_id(data["images"], "image", name)
    table = {n: image for n, image in every_image.items() if n % sample_interval == 0}
    every_object = by_id(data["annotations"], "annotation", name)
    needed = (*keypoint_fields, *_fields_of(box))
    objects: dict[int, list] = {image_id: [] for image_id in table}
    for annotation in every_object.values():
        image_id = annotation.get("image_id")
        if not is_id(image_id) or image_id not in every_image:
            raise ValueError(
                f"{name}: annotation {annotation['id']} belongs to image {shortened(image_id)}, "
                "which is not among `images`; correct its image_id or add the image"
            )
        wanted = category is None or annotation.get("category_id") in categories
        if wanted and image_id in table and all(annotation.get(key) for key in needed):
            objects[image_id].append(annotation)
    rows = [annotation for image_id in objects for annotation in objects[image_id]]
    if sort_by_id:
        rows.sort(key=lambda row: row["id"])
    image_ids = np.array([row["image_id"] for row in rows], np.int64)
    image_table = _images(table, set(image_ids.tolist()), folder, name)
    of_row = image_table.rows(image_ids)
    sizes = image_table.sizes[of_row]
    points = _points(rows, keypoint_fields, skeleton, name)
    points[..., :2] -= origin
    keypoints, visible = _visible(points, whole_visibility)
    _check_finite(rows, keypoints, visible, name)
    boxes, faulty = _boxes(rows, sizes, box, origin, name, skip_bad_boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = np.maximum(1.0, 0.53 * sides.prod(axis=-1))
    # as in the reference: a keypoint without a count is one whose larger coordinate is not zero
    counts = (np.nan_to_num(keypoints).max(axis=-1) != 0).sum(axis=-1)
    fields = {
        "image_paths": image_table.paths[of_row],
        "image_ids": image_ids,
        "image_sizes": sizes,
        "boxes": boxes,
        "keypoints": keypoints,
        "visible": visible,
        "areas": areas if area_field is None else scalars(rows, area_field, areas, name),
        "ids": np.array([row["id"] for row in rows], np.int64),
        "iscrowd": scalars(rows, "iscrowd", 0, name).astype(bool),
        "num_keypoints": counts
        if count_field is None
        else scalars(rows, count_field, counts, name),
        "category_ids": integers(rows, "category_id", 1, name),
    }
    labelled = (sides > 0).all(axis=-1) & ~fields["iscrowd"] & (fields["num_keypoints"] > 0)
    labelled &= np.nan_to_num(keypoints).max(axis=(1, 2), initial=0) > 0
    kept = labelled if drop_unlabelled else (sides > 0).all(axis=-1)
    # whose boxes or positions are not the file's own gets a ground truth made of the arrays
    own = box == "clip" and origin == 0
    return {
        "skeleton": skeleton,
        **{field: values[kept & ~faulty] for field, values in fields.items()},
        "extras": {
            column: _extra(rows, table, field, name)[kept & ~faulty]
            for column, field in (extras or {}).items()
        },
        "images": image_table,
        "ignored": _ignored(rows, labelled, name),
        "name": name,
        "annotations": _truth(data, table, keypoint_fields, name) if own else None,
    }


def complete_coco(
    annotations: Iterable[Mapping[str, Any]], name: str = "annotations"
) -> list[dict[str, Any]]:
    """Annotations with everything that COCO evaluators read.

    Missing are filled in: `area` by 0.53 of the box's (at least 1), `iscrowd` by 0,
    `num_keypoints` by the count of v > 0. `[x, y, v]` in `keypoints` are joined to a flat list.

    Raises:
        ValueError: for an annotation whose box or keypoints are no numbers.
    """
    complete = []
    for annotation in annotations:
        annotation = dict(annotation)
        try:
            if annotation.get("area") is None and annotation.get("bbox"):
                _, _, width, height = annotation["bbox"]
                annotation["area"] = max(1.0, 0.53 * width * height)
            annotation.setdefault("iscrowd", 0)
            flat = annotation.get("keypoints") or []
            if flat and isinstance(flat[0], list):
                flat = annotation["keypoints"] = joined(flat)
            if annotation.get("num_keypoints") is None:
                annotation["num_keypoints"] = sum(v is not None and v > 0 for v in flat[2::3])
        except (TypeError, ValueError, KeyError):
            raise ValueError(
                f"{name}: `bbox` or `keypoints` of annotation {annotation.get('id')} are no "
                "lists of numbers; correct them or leave the annotation out"
            ) from None
        complete.append(annotation)
    return complete


def _skeleton(skeleton, categories: Mapping[int, Mapping], name: str) -> Skeleton:
    if skeleton is None:
        return skeleton_of(categories, name)
    skeleton = Skeleton.resolve(skeleton)
    for keypoints in {tuple(entry.get("keypoints") or ()) for entry in categories.values()} - {()}:
        check_same_keypoints(skeleton.keypoints, f"skeleton {skeleton.name!r}", keypoints, name)
    return skeleton


def _fields_of(box: str | Sequence[float]) -> tuple[str, ...]:
    """The fields without which an object has no box."""
    if not isinstance(box, str):
        return ()
    if box not in BOX_RULES:
        raise ValueError(f"box must be one of {', '.join(BOX_RULES)} or xyxy, got {box!r}")
    return ("center", "scale") if box == "center_scale" else ("bbox",)


def _points(rows, fields: Sequence[str], skeleton: Skeleton, name: str) -> np.ndarray:
    """x, y, v of every keypoint, float32 `(M, K, 3)`."""
    for row in rows:
        found = sum(_length(row[field]) for field in fields)
        if found != 3 * skeleton.num_keypoints:
            raise ValueError(
                f"{name}: annotation {row['id']} has {found / 3:g} keypoints, "
                f"skeleton {skeleton.name!r} has {skeleton.num_keypoints}; "
                "correct it or give the skeleton= that fits"
            )
    lengths = {field: _length(rows[0][field]) if rows else 0 for field in fields}
    if len(fields) == 1:
        lengths = {fields[0]: 3 * skeleton.num_keypoints}
    parts = [vectors(rows, field, length, name) for field, length in lengths.items()]
    return np.concatenate(parts, axis=1).reshape(len(rows), skeleton.num_keypoints, 3)


def _length(value: Any) -> int:
    """How many numbers a list has, `[x, y, v, ...]` or `[[x, y, v], ...]`."""
    if not isinstance(value, list) or not value:
        return 0
    if not isinstance(value[0], list):
        return len(value)
    return sum(len(part) if isinstance(part, list) else 1 for part in value)


def _visible(points: np.ndarray, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    visible = np.nan_to_num(points[..., 2])
    visible = (visible > 0).astype(np.float32) if whole else np.clip(visible, 0, 1)
    return points[..., :2], visible


def _check_finite(rows, keypoints: np.ndarray, visible: np.ndarray, name: str) -> None:
    wrong = ((visible > 0) & ~np.isfinite(keypoints).all(axis=-1)).any(axis=-1)
    if wrong.any():
        raise ValueError(
            f"{name}: annotation {rows[int(wrong.argmax())]['id']} has a visible keypoint whose "
            "position is no number; set its v to 0 or correct it"
        )


def _boxes(
    rows, sizes: np.ndarray, rule, origin: int, name: str, skip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes xyxy, float32 `(M, 4)`, and bools `(M,)`: objects to leave out."""
    if not isinstance(rule, str):
        return np.tile(np.float32(rule), (len(rows), 1)), np.zeros(len(rows), bool)
    if rule == "center_scale":
        sides = SCALE_UNIT * scalars(rows, "scale", 0, name).astype(np.float32)[:, None]
        centers = vectors(rows, "center", 2, name)
        boxes = np.concatenate([centers - sides / 2, np.tile(sides, 2)], axis=1)
    else:
        boxes = vectors(rows, "bbox", 4, name)
    faulty = ~(np.abs(boxes) < LARGEST_BOX).all(axis=-1) | (boxes[:, 2:] < 0).any(axis=-1)
    if faulty.any() and not skip:
        first = int(faulty.argmax())
        raise ValueError(
            f"{name}: the box of annotation {rows[first]['id']} must be finite (x, y, width, "
            f"height) with sides not below 0, got {boxes[first].tolist()}; correct it, or leave "
            "such objects out with skip_bad_boxes"
        )
    if faulty.any():
        warnings.warn(
            f"{name}: {faulty.sum()} of {len(rows)} objects have boxes with negative sides or "
            "without numbers; they are left out",
            stacklevel=3,
        )
    boxes[:, :2] -= origin
    boxes = xywh_to_xyxy(np.where(faulty[:, None], 0, boxes))
    if rule == "clip":
        boxes = np.clip(boxes, 0, np.tile(sizes - 1, 2))
    return boxes.astype(np.float32), faulty


def _extra(rows, table: Mapping[int, Mapping], field: str | Sequence, name: str) -> np.ndarray:
    """A further column, float32 `(M,)` or `(M, length)`."""
    field, length = (field, None) if isinstance(field, str) else field
    of_image, field = field.startswith("image."), field.removeprefix("image.")
    values = [(table[row["image_id"]] if of_image else row).get(field) for row in rows]
    if length is not None:
        values = [[np.nan] * length if value is None else value for value in values]
    records = [{"id": row["id"], field: value} for row, value in zip(rows, values, strict=True)]
    if length is not None:
        return vectors(records, field, length, name)
    return scalars(records, field, np.nan, name).astype(np.float32)


def _images(table: Mapping[int, Mapping], used: set[int], folder: Path, name: str) -> ImageTable:
    """Paths, ids and sizes of all images; a size that is missing comes from the file if needed."""
    paths, sizes = [], []
    for number, image in table.items():
        file_name = image.get("file_name")
        if not isinstance(file_name, str) or not file_name:
            raise ValueError(
                f"{name}: image {number} has no `file_name` that is a text, "
                f"got {shortened(file_name)}; name the picture, relative to the image folder"
            )
        paths.append(os.path.join(folder, file_name))
        size = [image.get("width"), image.get("height")]
        if not all(size):  # some tools leave the size out
            size = image_size(paths[-1]) if number in used else (0, 0)
        elif not all(isinstance(side, int | float) and 1 <= side < 2**31 for side in size):
            raise ValueError(
                f"{name}: image {number} must have `width` and `height` of at least 1 pixel, "
                f"got {shortened(size[0])} and {shortened(size[1])}; correct them or leave them out"
            )
        sizes.append(size)
    return ImageTable(paths, list(table), sizes)


def _ignored(rows, labelled: np.ndarray, name: str) -> dict[int, list]:
    """Regions of the objects that are nobody's target, by image."""
    ignored: dict[int, list] = {}
    for at in np.flatnonzero(~labelled):
        regions = rows[at].get("segmentation") or []
        if isinstance(regions, Mapping):
            regions = [regions]
        if not isinstance(regions, list) or not all(map(_is_region, regions)):
            raise ValueError(
                f"{name}: `segmentation` of annotation {rows[at]['id']} must be a list of polygons "
                "(x, y, x, y, ...) or a run-length dict with `size` and `counts`; correct it or "
                "leave it out"
            )
        if regions:
            ignored.setdefault(rows[at]["image_id"], []).extend(regions)
    return ignored


def _is_region(region: Any) -> bool:
    if isinstance(region, Mapping):
        size, counts = region.get("size"), region.get("counts")
        sized = isinstance(size, list) and len(size) == 2 and all(type(s) is int for s in size)
        return sized and isinstance(counts, str | list)
    return isinstance(region, list) and set(map(type, region)) <= {int, float}


def _truth(data, table: Mapping, keypoint_fields: Sequence[str], name: str) -> dict[str, Any]:
    """The file as ground truth; `keypoints` are those that were read."""
    annotations = data["annotations"]
    if len(table) < len(data["images"]):
        annotations = [a for a in annotations if a["image_id"] in table]
    if tuple(keypoint_fields) != ("keypoints",):
        annotations = [_with_keypoints(a, keypoint_fields) for a in annotations]
    return {
        **data,
        "images": list(table.values()),
        "annotations": complete_coco(annotations, name),
    }


def _with_keypoints(annotation: Mapping, fields: Sequence[str]) -> dict[str, Any]:
    flat = [number for field in fields for number in annotation.get(field) or ()]
    counted = {key: value for key, value in annotation.items() if key != "num_keypoints"}
    return {**counted, "keypoints": flat}
