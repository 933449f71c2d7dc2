"""Coordinates written in another form than COCO's absolute pixels x, y and boxes x, y, w, h.

Each form is a row: how numbers in it become COCO's. Read the right way, the labelled keypoints of
an object fill its box and lie inside the image; read the wrong way, they do not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_pose.datasets.doctor.contents import Contents, Found

# Share of the boxes that must hold their keypoints; of coco_people's own 89 % do.
_HELD = 0.8

Arrays = tuple[np.ndarray, np.ndarray]  # points (N, K, 2) and boxes (N, 4) xywh


@dataclass(frozen=True)
class Form:
    """A way to write coordinates; `read(points, boxes, sizes)` gives COCO's."""

    words: str
    read: Callable[[np.ndarray, np.ndarray, np.ndarray], Arrays]


def _corners(points, boxes, sizes) -> Arrays:
    return points, np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _centres(points, boxes, sizes) -> Arrays:
    return points, np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def _rows_first(points, boxes, sizes) -> Arrays:
    return points[..., ::-1], boxes


def _all_rows_first(points, boxes, sizes) -> Arrays:
    return points[..., ::-1], boxes[:, [1, 0, 3, 2]]


def _box_rows_first(points, boxes, sizes) -> Arrays:
    return points, boxes[:, [1, 0, 3, 2]]


def _in_box(points, boxes, sizes) -> Arrays:
    return points + boxes[:, None, :2], boxes


def _points_0_to_1(points, boxes, sizes) -> Arrays:
    return points * sizes[:, None], boxes


def _points_0_to_1_of_box(points, boxes, sizes) -> Arrays:
    return points * boxes[:, None, 2:] + boxes[:, None, :2], boxes


def _boxes_0_to_1(points, boxes, sizes) -> Arrays:
    return points, boxes * np.tile(sizes, 2)


def _all_0_to_1(points, boxes, sizes) -> Arrays:
    return points * sizes[:, None], boxes * np.tile(sizes, 2)


def _all_0_to_1_centres(points, boxes, sizes) -> Arrays:
    return _centres(*_all_0_to_1(points, boxes, sizes), sizes)


FORMS = (
    Form("keypoints and boxes are fractions 0..1 of the image", _all_0_to_1),
    Form(
        "keypoints and boxes are fractions 0..1 of the image, boxes centre x, y, width, height",
        _all_0_to_1_centres,
    ),
    Form("keypoints are fractions 0..1 of the image, boxes are pixels", _points_0_to_1),
    Form("keypoints are fractions 0..1 of the box", _points_0_to_1_of_box),
    Form("boxes are fractions 0..1 of the image, keypoints are pixels", _boxes_0_to_1),
    Form("boxes are corners x1, y1, x2, y2 instead of x, y, width, height", _corners),
    Form("boxes are centre x, y, width, height instead of left, top, width, height", _centres),
    Form("keypoints are y, x instead of x, y (or boxes are)", _rows_first),
    Form("keypoints and boxes have x and y exchanged", _all_rows_first),
    Form("boxes are y, x, height, width, keypoints x, y", _box_rows_first),
    Form("keypoints count from the corner of the box instead of the image", _in_box),
)


def coordinate_form(contents: Contents) -> Found | None:
    """Another form than COCO's that explains nearly all objects where COCO's does not.

    Per object, the fit is the overlap (intersection over union) of the box and the extent of the
    labelled keypoints, 0 where most of them or the box lie outside the image, or all in one dot.
    Another form is reported if its median fit is at least 1.5 times and 0.1 above COCO's and at
    least 8 in 10 of its boxes hold their keypoints.
    """
    objects = contents.objects
    usable = (objects.seen.sum(axis=1) >= 2) & np.isfinite(objects.boxes).all(axis=1)
    usable &= np.isfinite(objects.sizes).all(axis=1) & ~objects.crowd
    rows = np.flatnonzero(usable)
    if not len(rows):
        return None
    seen, sizes = objects.seen[rows], objects.sizes[rows]
    points, boxes = np.where(seen[..., None], objects.points[rows], 0), objects.boxes[rows]
    fit, _ = _fit(points, boxes, seen, sizes)
    best = None
    for form in FORMS:
        read_points, read_boxes = form.read(points, boxes, sizes)
        other, held = _fit(read_points, read_boxes, seen, sizes)
        # What looks the same in both forms (a box that is the whole image) says nothing.
        differs = (np.abs(read_boxes - boxes).max(axis=1) > 2) | (
            np.abs(read_points - points).max(axis=(1, 2)) > 2
        )
        if differs.sum() < max(1, 0.2 * len(rows)) or np.mean(held[differs]) < _HELD:
            continue
        theirs, ours = np.median(other[differs]), np.median(fit[differs])
        if theirs > 1.5 * ours and theirs > ours + 0.1 and (best is None or theirs > best[0]):
            best = theirs, ours, form, rows[differs]
    if best is None:
        return None
    theirs, ours, form, which = best
    return contents.in_objects(
        which,
        f"It looks as if {form.words}: read so, keypoints and boxes of the median object overlap "
        f"by {theirs:.2f}, read as COCO's pixels by {ours:.2f}.",
        lambda r: f"bbox {[round(float(v), 3) for v in objects.boxes[r]]}",
    )


def _fit(points, boxes, seen, sizes) -> tuple[np.ndarray, np.ndarray]:
    """Overlap of box and keypoints' extent `(N,)`, and whether the box holds the keypoints."""
    low = np.where(seen[..., None], points, np.inf).min(axis=1)
    high = np.where(seen[..., None], points, -np.inf).max(axis=1)
    corners = boxes[:, :2] + boxes[:, 2:]
    positive = (boxes[:, 2:] > 0).all(axis=1)
    common = np.maximum(np.minimum(high, corners) - np.maximum(low, boxes[:, :2]), 0).prod(axis=1)
    union = (high - low).prod(axis=1) + boxes[:, 2:].prod(axis=1) - common
    overlap = np.where(positive & (union > 0), common / np.where(union > 0, union, 1), 0)
    slack = 0.02 * sizes[:, None]
    inside = ((points >= -slack) & (points <= sizes[:, None] + slack)).all(axis=-1)
    middle = (boxes[:, :2] + corners) / 2
    placed = ((middle >= 0) & (middle <= sizes)).all(axis=1)
    placed &= (inside & seen).sum(axis=1) > 0.5 * seen.sum(axis=1)
    # Nothing smaller than two pixels was ever labelled; fractions read as pixels are.
    placed &= (high - low).max(axis=1) >= 2
    margin = np.maximum(2, 0.1 * boxes[:, 2:])[:, None]
    within = (points >= boxes[:, None, :2] - margin) & (points <= corners[:, None] + margin)
    within = (within.all(axis=-1) & seen).sum(axis=1) >= 0.9 * seen.sum(axis=1)
    return np.where(placed, overlap, 0), within & placed & positive
