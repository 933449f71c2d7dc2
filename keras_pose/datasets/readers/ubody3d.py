"""UBody with 3D keypoints: COCO-like records of film frames, as arguments of `PoseSequences`."""

import os
import posixpath
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_pose.datasets.readers.records import (
    by_id,
    check_lists,
    load_json,
    shortened,
    vectors,
)
from keras_pose.datasets.windows import sliding_windows
from keras_pose.geometry import Camera, xywh_to_xyxy
from keras_pose.skeleton import Skeleton


def read_ubody3d(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping = "ubody3d",
    *,
    windows: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Reads UBody's 3D keypoints.

    A film is a folder of images and a person in it; frames stand in it in the order of the file.
    Files that lack the first keypoints of the skeleton are read as its last ones: published files
    have 133 of UBody3D's 137, from the right knee on.

    Args:
        annotations: path of the JSON file, or its content; annotations with `keypoints` `(K, 2)`,
            `keypoints_3d` `(K, 3)` (x and y in pixels, z in metres), `keypoints_valid` `(K,)`,
            `bbox` and `camera_param` of `focal` and `princpt`.
        images: folder that `file_name` is relative to.
        skeleton: Skeleton, name, path or dict.
        windows: arguments of `sliding_windows`. Default: a window for every frame. As in the
            reference, the stride of windows that are not padded is their `seq_step`.
        name: str, for messages. Default: the file's name.

    Returns:
        The arguments of `PoseSequences`; `extras` is `boxes` `(F, 4)`, xyxy.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: for a file that is not what it should be.
    """
    data, name = load_json(annotations, name)
    check_lists(data, ("images", "annotations"), name)
    table = by_id(data["images"], "image", name)
    rows = list(by_id(data["annotations"], "annotation", name).values())
    skeleton = _last_keypoints(Skeleton.resolve(skeleton), rows, name)
    k = skeleton.num_keypoints
    for row in rows:
        image = table.get(row.get("image_id"))
        if image is None or not isinstance(image.get("file_name"), str):
            raise ValueError(
                f"{name}: annotation {row['id']} needs an image with a `file_name`, its "
                f"`image_id` is {shortened(row.get('image_id'))}"
            )
    names = [table[row["image_id"]]["file_name"] for row in rows]
    valid = vectors(rows, "keypoints_valid", k, name)
    windows = dict(windows or {})
    windows.setdefault("stride", windows.get("seq_step", 1))
    size = {row["id"]: _size(table[row["image_id"]]) for row in rows}
    return {
        "skeleton": skeleton,
        "keypoints": vectors(rows, "keypoints", 2 * k, name).reshape(-1, k, 2),
        "visible": valid,
        "keypoints_3d": vectors(rows, "keypoints_3d", 3 * k, name).reshape(-1, k, 3),
        "visible_3d": valid,
        "windows": sliding_windows(
            [
                (posixpath.dirname(file), str(row.get("person_id", "")))
                for file, row in zip(names, rows, strict=True)
            ],
            **windows,
        ),
        "image_paths": [os.path.join(images, file) for file in names],
        "image_ids": [row["image_id"] for row in rows],
        "cameras": [_camera(row, size[row["id"]], name) for row in rows],
        "camera_ids": np.arange(len(rows)),
        "extras": {"boxes": xywh_to_xyxy(vectors(rows, "bbox", 4, name))},
        "unit": "x, y pixels; z m",
        "name": name,
    }


def _last_keypoints(skeleton: Skeleton, rows: list, name: str) -> Skeleton:
    """The skeleton of as many keypoints as the file has, counted from the end."""
    first = rows[0].get("keypoints") if rows else [None] * skeleton.num_keypoints
    count = len(first) if isinstance(first, list) else 0
    missing = skeleton.num_keypoints - count
    if missing not in (0, 4):
        raise ValueError(
            f"{name}: annotation {rows[0]['id']} has {count} keypoints, skeleton "
            f"{skeleton.name!r} has {skeleton.num_keypoints}"
        )
    return skeleton.select(range(missing, skeleton.num_keypoints)) if missing else skeleton


def _size(image: Mapping) -> tuple[int, int] | None:
    size = (image.get("width"), image.get("height"))
    return size if all(isinstance(side, int) and side > 0 for side in size) else None


def _camera(row: Mapping, size, name: str) -> Camera:
    parameters = row.get("camera_param")
    if not isinstance(parameters, Mapping) or not {"focal", "princpt"} <= set(parameters):
        raise ValueError(
            f"{name}: annotation {row['id']} needs `camera_param` with `focal` and `princpt`"
        )
    try:
        return Camera(parameters["focal"], parameters["princpt"], size=size)
    except ValueError as error:
        raise ValueError(f"{name}: annotation {row['id']}: {error}") from None
