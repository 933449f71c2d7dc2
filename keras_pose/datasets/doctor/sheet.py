"""A picture of some objects of a data set, those that a check complained of first."""

from pathlib import Path

import numpy as np

from keras_pose.datasets.doctor.contents import Contents
from keras_pose.datasets.doctor.report import Report
from keras_pose.images import read_image
from keras_pose.skeleton import Skeleton
from keras_pose.visualization import contact_sheet, draw_poses

_CELL = (320, 320)
_OF_ONE_FINDING = 2


def draw_sheet(contents: Contents, report: Report, count: int = 16) -> np.ndarray:
    """Draws objects with their skeleton and box, each with the finding's name above.

    Args:
        contents: what was checked.
        report: what was found.
        count: int, most pictures. Default 16; objects without a finding fill what is left.

    Returns:
        uint8 RGB array.

    Raises:
        ValueError: there is no object that can be drawn.
    """
    row_of = {place: row for row, place in enumerate(contents.objects.places.tolist())}
    chosen: dict[int, str] = {}
    for finding in report.findings:
        rows = [row_of[place] for place in finding.annotations if place in row_of]
        new = [row for row in rows if row not in chosen and contents.objects.images[row] >= 0]
        chosen |= dict.fromkeys(new[:_OF_ONE_FINDING], finding.check)
    labelled = np.flatnonzero(
        contents.objects.seen.any(axis=1) & (contents.objects.images >= 0) & ~contents.objects.crowd
    )
    for row in np.random.default_rng(0).permutation(labelled)[:count].tolist():
        chosen.setdefault(row, "")
    if not chosen:
        raise ValueError(f"{contents.name} has no object that could be drawn")
    rows = list(chosen)[:count]
    cells = [_cell(contents, row) for row in rows]
    return contact_sheet(cells, cell_size=_CELL, titles=[chosen[row] for row in rows])


def _cell(contents: Contents, row: int) -> np.ndarray:
    """The part of the image around one object, drawn in the size of a cell."""
    import cv2

    objects = contents.objects
    image = _image(contents, int(objects.images[row]))
    height, width = image.shape[:2]
    box, seen = objects.boxes[row], objects.seen[row]
    corners = [objects.points[row, seen]]
    if np.isfinite(box).all():
        corners.append(np.array([box[:2], box[:2] + box[2:]]))
    corners = np.clip(np.concatenate(corners), 0, (width, height))
    if not len(corners):
        corners = np.array([[0, 0], [width, height]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    side = max(1.3 * (high - low).max(), 32)
    low = np.clip((low + high - side) / 2, 0, None).astype(int)
    high = np.minimum(np.ceil(low + side).astype(int), (width, height))
    low = np.minimum(low, np.maximum(high - 8, 0))
    part = image[low[1] : high[1], low[0] : high[0]]
    factor = min(_CELL[0] / part.shape[1], _CELL[1] / part.shape[0])
    size = [max(1, round(side * factor)) for side in part.shape[1::-1]]
    part = cv2.resize(part, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    xyxy = np.concatenate([box[:2], box[:2] + box[2:]])
    boxes = (xyxy - np.tile(low, 2))[None] * factor if np.isfinite(xyxy).all() else None
    return draw_poses(
        part,
        np.where(seen[:, None], objects.points[row] - low, 0)[None] * factor,
        np.where(seen, 1.0, 0.0)[None],
        contents.skeleton or _nameless(contents.num_keypoints),
        boxes=boxes,
    )


def _image(contents: Contents, place: int) -> np.ndarray:
    """The image upright, or a grey one of its size where it cannot be read."""
    entry, row = contents.images[place], np.flatnonzero(contents.objects.images == place)[0]
    if contents.folder is not None and isinstance(entry.get("file_name"), str):
        try:
            return read_image(Path(contents.folder) / entry["file_name"])
        except (OSError, ValueError):
            pass
    size = contents.objects.sizes[row]
    reach = np.nan_to_num(contents.objects.points[row]).max(axis=0) + 20
    width, height = np.where(np.isfinite(size), size, reach).clip(32, 8192).astype(int)
    return np.full((height, width, 3), 90, np.uint8)


def _nameless(count: int) -> Skeleton:
    return Skeleton("nameless", [f"keypoint_{i}" for i in range(max(count, 1))], swaps=())
