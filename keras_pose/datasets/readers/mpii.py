"""Reading MPII's JSON list: one entry a person, with centre, scale and joints."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.readers.coco import SCALE_UNIT, read_coco
from keras_pose.datasets.readers.records import load_json, scalars, shortened, vectors
from keras_pose.skeleton import Skeleton

# As in MMPose 1.3.2: centres lie too high on the body, and count pixels from 1.
CENTER_DROP = 15.0
FIRST_PIXEL = 1.0
# PCKh's head size is this part of the head box's diagonal.
HEAD_SIZE = 0.6


def read_mpii(
    annotations: str | os.PathLike | list,
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping = "mpii",
    name: str | None = None,
    head_boxes: str | os.PathLike | None = None,
    drop_unlabelled: bool = True,
    sample_interval: int = 1,
) -> dict[str, Any]:
    """Reads MPII annotations as arguments of `KeypointDataset`.

    A person's box is the square of 200 `scale` pixels around `center`, 15 `scale` pixels lower
    (unless its x is -1), and one pixel to the upper left. Joints are taken as they are.

    Args:
        annotations: path of the JSON file, or its content: a list of `{"image", "center": [x, y],
            "scale", "joints": 16 [x, y], "joints_vis": 16 numbers}`.
        images, skeleton, name, drop_unlabelled: see `KeypointDataset.from_coco`.
        head_boxes: path of MPII's `.mat` file with `headboxes_src` `(2, 2, N)`, a box per entry;
            gives the extra column `head_sizes`, 0.6 of the box's diagonal, for PCKh.
        sample_interval: int, see `read_coco`.

    Returns:
        A dict of the arguments of `KeypointDataset`. An image's id is the number that it is named
        after; ids count entries from 1.
    """
    entries, name = load_json(annotations, name)
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise ValueError(
            f"{name} must be a JSON list of people (image, center, scale, joints, joints_vis), "
            f"got {shortened(entries)}"
        )
    rows = [{**entry, "id": number} for number, entry in enumerate(entries, start=1)]
    for key in ("image", "center", "scale", "joints", "joints_vis"):
        lacking = next((row["id"] for row in rows if not row.get(key)), None)
        if lacking is not None:
            raise ValueError(f"{name}: entry {lacking} (counted from 1) has no `{key}`")
    skeleton = Skeleton.resolve(skeleton)
    points = skeleton.num_keypoints
    joints = vectors(rows, "joints", 2 * points, name).reshape(-1, points, 2)
    visible = vectors(rows, "joints_vis", points, name)
    scales = scalars(rows, "scale", 0, name)
    centers = vectors(rows, "center", 2, name).astype(np.float64)
    centers[:, 1] += np.where(centers[:, 0] == -1, 0, CENTER_DROP * scales)
    corners = centers - FIRST_PIXEL - SCALE_UNIT * scales[:, None] / 2
    numbers = [_number(row, name) for row in rows]
    fields = read_coco(
        {
            "images": [
                {"id": number, "file_name": row["image"]}
                for number, row in dict(zip(numbers, rows, strict=True)).items()
            ],
            "annotations": [
                {"id": row["id"], "image_id": number, "keypoints": flat, "bbox": box}
                for row, number, flat, box in zip(
                    rows,
                    numbers,
                    np.concatenate([joints, visible[..., None]], axis=-1).tolist(),
                    np.column_stack([corners, SCALE_UNIT * np.tile(scales[:, None], 2)]).tolist(),
                    strict=True,
                )
            ],
        },
        images,
        skeleton,
        name=name,
        box="keep",
        drop_unlabelled=drop_unlabelled,
        sample_interval=sample_interval,
    )
    if head_boxes is not None:
        sizes = _head_sizes(head_boxes, len(rows))
        fields["extras"] = {"head_sizes": sizes[fields["ids"] - 1]}
    return fields


def _number(row: Mapping[str, Any], name: str) -> int:
    stem = Path(row["image"]).stem if isinstance(row["image"], str) else ""
    if not stem.isdecimal() or len(stem) > 18:
        raise ValueError(
            f"{name}: `image` of entry {row['id']} (counted from 1) must be named after a number, "
            f"such as 005808361.jpg, got {shortened(row['image'])}"
        )
    return int(stem)


def _head_sizes(path: str | os.PathLike, entries: int) -> np.ndarray:
    """Float64 `(N,)`, pixels."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file of head boxes {path}")
    try:
        from scipy.io import loadmat
    except ImportError:
        raise ImportError("head boxes of MPII need SciPy to be read: pip install scipy") from None
    try:
        boxes = np.asarray(loadmat(path)["headboxes_src"], np.float64)
    except Exception as error:  # SciPy raises many kinds
        raise ValueError(f"{path} is no .mat file with `headboxes_src`: {error}") from None
    if boxes.shape != (2, 2, entries):
        raise ValueError(
            f"{path}: `headboxes_src` must have shape (2, 2, {entries}), one box an annotation, "
            f"got {boxes.shape}"
        )
    return HEAD_SIZE * np.linalg.norm(boxes[1] - boxes[0], axis=0)
