"""InterHand2.6M: pictures of one or two hands with cameras and 3D joints in files of their own."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.readers.records import (
    by_id,
    check_lists,
    integers,
    is_id,
    load_json,
    shortened,
    vectors,
)
from keras_pose.geometry import xywh_to_xyxy
from keras_pose.skeleton import Skeleton

HAND_TYPES = {"right": (1, 0), "left": (0, 1), "interacting": (1, 1)}


def read_interhand(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping = "interhand3d",
    *,
    cameras: str | os.PathLike | Mapping,
    joints: str | os.PathLike | Mapping,
    root_depths: str | os.PathLike | list | None = None,
    depth: bool = False,
    sample_interval: int = 1,
    name: str | None = None,
) -> dict[str, Any]:
    """Reads InterHand2.6M as arguments of `KeypointDataset`.

    Joints of the world are moved into the camera of every picture and projected. A hand whose wrist
    is not valid has no visible joint. Only the first annotation of a picture is read, as it has no
    more.

    Args:
        annotations: path of the COCO-like JSON file, or its content.
        images: folder that `file_name` is relative to.
        skeleton: of the 42 joints, those of the right hand first.
        cameras: path of the JSON file of `campos`, `camrot`, `focal` and `princpt` of every capture
            and camera, or its content.
        joints: path of the JSON file of `world_coord` of every capture and frame, or its content.
        root_depths: path of a JSON list of `{"annot_id", "bbox", "abs_depth"}`, as RootNet
            estimates boxes and wrist depths (right, left), or its content. Default: the labelled
            ones.
        depth: bool, add the columns of depths that 3D training needs. Default off.
        sample_interval: int, read every so many pictures.
        name: str, for messages. Default: the file's name.

    Returns:
        A dict of the arguments of `KeypointDataset`. `extras` are `hand_type` `(M, 2)`, right and
        left, and `hand_type_valid` `(M,)`; with `depth` also `keypoints_3d` `(M, 42, 3)`, camera
        space, mm; `joint_depths` `(M, 42)`, mm behind the wrist of the joint's hand;
        `wrist_depths` `(M, 2)`, right and left; `root_depth` `(M,)`, the left wrist's less the
        right one's, and `root_depth_valid`; `focal` and `center` `(M, 2)`.

    Raises:
        FileNotFoundError: for a missing file or folder.
        ValueError: for a file that is not what it should be.
    """
    data, name = load_json(annotations, name)
    check_lists(data, ("images", "annotations"), name)
    if not Path(images).is_dir():
        raise FileNotFoundError(f"there is no image folder {images}")
    cameras, _ = load_json(cameras, None, "camera")
    joints, _ = load_json(joints, None, "joint")
    skeleton = Skeleton.resolve(skeleton)
    count = skeleton.num_keypoints
    wrists = [count // 2 - 1, count - 1]
    table = dict(list(by_id(data["images"], "image", name).items())[::sample_interval])
    first: dict[int, Mapping] = {}
    for annotation in by_id(data["annotations"], "annotation", name).values():
        if is_id(annotation.get("image_id")):
            first.setdefault(annotation["image_id"], annotation)
    rows = [first[image_id] for image_id in table if image_id in first]
    pictures = [table[row["image_id"]] for row in rows]
    visible = vectors(rows, "joint_valid", count, name)
    halves = visible.reshape(len(rows), 2, -1)
    visible = (halves * visible[:, wrists, None]).reshape(visible.shape)
    world = [_world(joints, picture, count, name) for picture in pictures]
    lenses = [_lens(cameras, picture, name) for picture in pictures]
    rotation, position, focal, center = (
        np.array([lens[key] for lens in lenses], np.float32).reshape(len(rows), *shape)
        for key, shape in _LENS.items()
    )
    points = np.einsum(
        "mij,mkj->mki",
        rotation,
        np.array(world, np.float32).reshape(-1, count, 3) - position[:, None],
    )
    flat = points[..., :2] / (points[..., 2:] + 1e-8) * focal[:, None] + center[:, None]
    boxes = vectors(rows, "bbox", 4, name)
    wrist_depths = points[:, wrists, 2]
    if root_depths is not None:
        boxes, wrist_depths = _estimates(root_depths, rows)
    images_table = ImageTable(
        [os.path.join(images, str(picture.get("file_name"))) for picture in table.values()],
        list(table),
        [_size(picture, name) for picture in table.values()],
    )
    of_row = images_table.rows(np.array([row["image_id"] for row in rows], np.int64))
    hand_type = np.array([_hand_type(row, name) for row in rows], np.float32).reshape(-1, 2)
    extras = {
        "hand_type": hand_type,
        "hand_type_valid": integers(rows, "hand_type_valid", 1, name),
    }
    if depth:
        own_wrist = np.repeat(points[:, wrists, 2], count // 2, axis=1)
        extras |= {
            "keypoints_3d": points,
            "joint_depths": points[..., 2] - own_wrist,
            "wrist_depths": wrist_depths,
            "root_depth": wrist_depths[:, 1] - wrist_depths[:, 0],
            "root_depth_valid": visible[:, wrists].prod(axis=-1),
            "focal": focal,
            "center": center,
        }
    return {
        "skeleton": skeleton,
        "image_paths": images_table.paths[of_row],
        "image_ids": images_table.ids[of_row],
        "image_sizes": images_table.sizes[of_row],
        "boxes": xywh_to_xyxy(boxes),
        "keypoints": flat,
        "visible": visible,
        "ids": [row["id"] for row in rows],
        "iscrowd": [bool(row.get("iscrowd", 0)) for row in rows],
        "num_keypoints": [count] * len(rows),
        "extras": extras,
        "images": images_table,
        "name": name,
    }


# What a camera file says of a camera, and its shape.
_LENS = {"camrot": (3, 3), "campos": (3,), "focal": (2,), "princpt": (2,)}


def _world(joints: Any, picture: Mapping, count: int, name: str) -> np.ndarray:
    """The joints of a picture's frame in the world, mm."""
    capture, frame = str(picture.get("capture")), str(picture.get("frame_idx"))
    try:
        return np.array(joints[capture][frame]["world_coord"], np.float32).reshape(count, 3)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{name}: the joint file has no `world_coord` ({count}, 3) of capture {capture}, frame "
            f"{frame}, which image {picture.get('id')} shows"
        ) from None


def _lens(cameras: Any, picture: Mapping, name: str) -> dict[str, np.ndarray]:
    """The parameters of the camera that took a picture."""
    capture, camera = str(picture.get("capture")), str(picture.get("camera"))
    try:
        record = cameras[capture]
        return {
            key: np.array(record[key][camera], np.float32).reshape(shape)
            for key, shape in _LENS.items()
        }
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{name}: the camera file has no camera {camera} of capture {capture} with "
            f"{', '.join(_LENS)}, which took image {picture.get('id')}"
        ) from None


def _size(picture: Mapping, name: str) -> tuple[int, int]:
    size = (picture.get("width"), picture.get("height"))
    if not all(isinstance(side, int) and 0 < side < 2**31 for side in size):
        raise ValueError(
            f"{name}: image {picture['id']} must have `width` and `height` of at least 1 pixel, "
            f"got {shortened(size[0])} and {shortened(size[1])}"
        )
    return size


def _hand_type(row: Mapping, name: str) -> tuple[int, int]:
    if not isinstance(row.get("hand_type"), str) or row["hand_type"] not in HAND_TYPES:
        raise ValueError(
            f"{name}: `hand_type` of annotation {row['id']} must be one of "
            f"{', '.join(HAND_TYPES)}, got {shortened(row.get('hand_type'))}"
        )
    return HAND_TYPES[row["hand_type"]]


def _estimates(source, rows: list) -> tuple[np.ndarray, np.ndarray]:
    """Estimated boxes xywh and wrist depths of the rows."""
    estimates, name = load_json(source, None, "root depth")
    if not isinstance(estimates, list) or not all(isinstance(e, Mapping) for e in estimates):
        raise ValueError(f'{name} must be a JSON list of {{"annot_id", "bbox", "abs_depth"}}')
    known = {e["annot_id"]: e for e in estimates if is_id(e.get("annot_id"))}
    missing = [row["id"] for row in rows if row["id"] not in known]
    if missing:
        raise ValueError(
            f"{name}: {len(missing)} of {len(rows)} annotations have no estimate, for example "
            f"{missing[0]}"
        )
    found = [{**known[row["id"]], "id": row["id"]} for row in rows]
    return vectors(found, "bbox", 4, name), vectors(found, "abs_depth", 2, name)
