"""Films of 3D poses: Human3.6M and H3WB, as arguments of `PoseSequences`.

Both are published as pickles, which are read without executing anything.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.checkpoints.pickled_arrays import read_npz, read_pickle
from keras_pose.datasets.windows import sliding_windows
from keras_pose.geometry import Camera
from keras_pose.skeleton import Skeleton


def read_h36m(
    annotations: str | os.PathLike | Mapping[str, np.ndarray],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping = "h36m",
    *,
    windows: Mapping[str, Any] | None = None,
    keypoints_2d: str | os.PathLike | np.ndarray | None = None,
    cameras: str | os.PathLike | Mapping | None = None,
    factors: str | os.PathLike | np.ndarray | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Reads Human3.6M in the form that MMPose's scripts give it.

    Frames belong to the film that their image's name says,
    `S<subject>_<action>.<camera>_<frame>.jpg`, and stand in it in the order of the file.

    Args:
        annotations: path of an `.npz` file of `imgname` `(F,)`, `S` `(F, K, 4)` (3D and
            visibility, metres), `part` `(F, K, 3)` (pixels and visibility), `center` `(F, 2)` and
            `scale` `(F,)`; or its arrays. What is missing becomes 0 and invisible.
        images: folder that image names are relative to.
        skeleton: of the `K` keypoints.
        windows: arguments of `sliding_windows`. Default: a window for every frame.
        keypoints_2d: path of an `.npy` file of detected keypoints `(F, K, 3)` (x, y, score), or the
            array, instead of the labelled ones.
        cameras: path of a `.pkl` file of (subject, camera) -> parameters as `Camera.from_dict`
            reads them, of a JSON file with keys `"subject|camera"`, or its content.
        factors: path of an `.npy` file of factors `(F,)` from pixels to metres, or the array.
            Default: 0.
        name: str, for messages. Default: the file's name.

    Returns:
        The arguments of `PoseSequences`; `extras` are `centers` `(F, 2)`, `scales` `(F,)` and
        `factors` `(F,)`.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: for a file that is not what it should be.
    """
    data, name = _arrays(annotations, name)
    skeleton = Skeleton.resolve(skeleton)
    if "imgname" not in data or np.ndim(data["imgname"]) != 1:
        raise ValueError(f"{name} needs an array `imgname` of image names, got {sorted(data)}")
    paths = [str(path) for path in data["imgname"]]
    count, k = len(paths), skeleton.num_keypoints
    films = [_film(path, name) for path in paths]
    spatial = _array(data, "S", (count, k, 4), name)
    seen = _array(data, "part", (count, k, 3), name)
    points, visible = seen[..., :2], np.minimum(seen[..., 2], 1)
    if keypoints_2d is not None:
        detected = _npy(keypoints_2d, "keypoints_2d", (count, k, 3), name)
        points, visible = detected[..., :2], detected[..., 2]
    table = {} if cameras is None else _cameras(cameras, name)
    keys = [(subject, camera) for subject, _, camera in films]
    places = {key: i for i, key in enumerate(sorted(set(keys)))} if table else {}
    for key in places:
        if key not in table:
            raise ValueError(f"{name}: `cameras` has no camera {key[1]} of subject {key[0]}")
    return {
        "skeleton": skeleton,
        "keypoints": points,
        "visible": visible,
        "keypoints_3d": spatial[..., :3],
        "visible_3d": np.minimum(spatial[..., 3], 1),
        "windows": sliding_windows(films, **windows or {}),
        "image_paths": [os.path.join(images, path) for path in paths],
        "cameras": [table[key] for key in places],
        "camera_ids": [places.get(key, -1) for key in keys],
        "extras": {
            "centers": _array(data, "center", (count, 2), name),
            "scales": _array(data, "scale", (count,), name),
            "factors": np.zeros(count, np.float32)
            if factors is None
            else _npy(factors, "factors", (count,), name),
        },
        "name": name,
    }


def read_h3wb(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping = "h3wb",
    *,
    windows: Mapping[str, Any] | None = None,
    subjects: Sequence[str] = ("S1", "S5", "S6"),
    name: str | None = None,
) -> dict[str, Any]:
    """Reads H3WB, whole-body keypoints of Human3.6M's films.

    Args:
        annotations: path of the `.npz` file of `train_data`, `metadata` and `bbox`, or its content.
        images: folder of the subjects, `<subject>/Images/<action>.<camera>/frame_<number>.jpg`.
        skeleton: of the 133 keypoints.
        windows: arguments of `sliding_windows`. Default: a window for every frame.
        subjects: whose films are read. Default: those that MMPose trains on; it tests on S7.
        name: str, for messages. Default: the file's name.

    Returns:
        The arguments of `PoseSequences`, in metres; `extras` is `boxes` `(F, 4)`, xyxy.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: for a file that is not what it should be.
    """
    data, name = _arrays(annotations, name)
    for key in ("train_data", "metadata", "bbox"):
        if not isinstance(data.get(key), Mapping):
            raise ValueError(f"{name} is not in H3WB's form: it has no dict `{key}`")
    skeleton = Skeleton.resolve(skeleton)
    k = skeleton.num_keypoints
    # each column begins with nothing, so that a file without frames has its shape too
    columns = {
        "keypoints": [np.zeros((0, k, 2))],
        "keypoints_3d": [np.zeros((0, k, 3))],
        "boxes": [np.zeros((0, 4))],
    }
    cameras, camera_ids, films, paths = [], [], [], []
    for subject in subjects:
        for action, numbers, record in _h3wb_actions(data["train_data"], subject, name):
            for camera in sorted(key for key, value in record.items() if isinstance(value, dict)):
                film = f"{subject}, {action}, {camera}"
                columns["keypoints"].append(
                    _shaped(record[camera].get("pose_2d"), (len(numbers), k, 2), film, name)
                )
                columns["keypoints_3d"].append(
                    _shaped(record[camera].get("camera_3d"), (len(numbers), k, 3), film, name)
                    / 1000
                )
                boxes = [_box(data["bbox"], (subject, action, camera, n), name) for n in numbers]
                columns["boxes"].append(np.reshape(boxes, (-1, 4)))
                folder = os.path.join(images, subject, "Images", f"{action}.{camera}")
                paths += [os.path.join(folder, f"frame_{n}.jpg") for n in numbers]
                films += [len(cameras)] * len(numbers)
                camera_ids += [len(cameras)] * len(numbers)
                cameras.append(_h3wb_camera(data["metadata"], subject, camera, name))
    columns = {key: np.concatenate(parts) for key, parts in columns.items()}
    return {
        "skeleton": skeleton,
        "keypoints": columns["keypoints"],
        "keypoints_3d": columns["keypoints_3d"],
        "windows": sliding_windows(films, **windows or {}),
        "image_paths": paths,
        "cameras": cameras,
        "camera_ids": camera_ids,
        "extras": {"boxes": columns["boxes"].astype(np.float32)},
        "name": name,
    }


def _arrays(source, name: str | None) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, Mapping):
        return source, name or "annotations"
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            f"annotations must be the path of an .npz file, or a dict of its arrays, "
            f"got {type(source).__name__}"
        )
    return read_npz(source), name or Path(source).name


def _film(path: str, name: str) -> tuple[str, str, str]:
    """(subject, action, camera) of an image's name."""
    subject, _, rest = path.replace("\\", "/").rpartition("/")[2].partition("_")
    action, dot, rest = rest.partition(".")
    camera, line, _ = rest.partition("_")
    if not (subject and action and dot and camera and line):
        raise ValueError(
            f"{name}: image names must be like S1_Walking.54138969_000001.jpg, got {path!r:.80}"
        )
    return subject, action, camera


def _array(data: Mapping, key: str, shape: tuple, name: str) -> np.ndarray:
    if key not in data:
        return np.zeros(shape, np.float32)
    return _shaped(data[key], shape, f"`{key}`", name).astype(np.float32)


def _shaped(value, shape: tuple, what: str, name: str) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != shape or array.dtype.kind not in "iuf":
        raise ValueError(
            f"{name}: {what} must be numbers of shape {shape}, got {array.dtype} {array.shape}"
        )
    return array.astype(np.float64)


def _npy(source, what: str, shape: tuple, name: str) -> np.ndarray:
    if isinstance(source, str | os.PathLike):
        if not os.path.isfile(source):
            raise FileNotFoundError(f"there is no file {source}")
        try:
            source = np.load(source, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{source} is not an .npy file of numbers: {error}") from None
    return _shaped(source, shape, what, name).astype(np.float32)


def _cameras(source, name: str) -> dict[tuple[str, str], Camera]:
    """(subject, camera) -> Camera."""
    if isinstance(source, str | os.PathLike):
        if Path(source).suffix == ".json":
            try:
                source = json.loads(Path(source).read_text(encoding="utf-8"))
            except ValueError as error:
                raise ValueError(f"{source} is not a JSON file: {error}") from None
        else:
            source = read_pickle(source)
    if not isinstance(source, Mapping):
        raise ValueError(
            f"{name}: cameras must be a dict of (subject, camera), got {type(source).__name__}"
        )
    table = {}
    for key, parameters in source.items():
        key = tuple(key.split("|")) if isinstance(key, str) else tuple(key)
        if not isinstance(parameters, Mapping):
            raise ValueError(f"{name}: camera {key} must be a dict of its parameters")
        try:
            table[key] = Camera.from_dict(parameters)
        except ValueError as error:
            raise ValueError(f"{name}: camera {key}: {error}") from None
    return table


def _box(boxes: Mapping, key: tuple, name: str) -> list[float]:
    try:
        return [float(boxes[key][side]) for side in ("x_min", "y_min", "x_max", "y_max")]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{name}: `bbox` has no box with x_min, y_min, x_max and y_max of {key}"
        ) from None


def _h3wb_actions(data: Mapping, subject: str, name: str):
    """(action, numbers of its frames, its record) of a subject."""
    actions = data.get(subject, {})
    if not isinstance(actions, Mapping):
        raise ValueError(f"{name}: `train_data` of subject {subject} must be a dict of actions")
    for action, record in actions.items():
        numbers = record.get("frame_id") if isinstance(record, Mapping) else None
        if not isinstance(numbers, np.ndarray | list) or np.asarray(numbers).dtype.kind not in "iu":
            raise ValueError(
                f"{name}: `train_data` of subject {subject}, {action!r:.40} needs whole numbers "
                "`frame_id` and a dict for every camera"
            )
        yield str(action), np.ravel(numbers).tolist(), record


def _h3wb_camera(metadata: Mapping, subject: str, camera: str, name: str) -> Camera:
    """The camera, whose R and T lead from the world to the camera, and K is per 1000 pixels."""
    try:
        record = metadata[subject][camera]
        matrix = 1000 * np.reshape(record["K"], (3, 3)).astype(np.float64)
        rotation = np.reshape(record["R"], (3, 3)).astype(np.float64)
        translation = np.reshape(record["T"], 3).astype(np.float64)
        k1, k2, p1, p2, k3 = np.reshape(record["Distortion"], 5).astype(np.float64)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise ValueError(
            f"{name}: `metadata` of subject {subject}, camera {camera} must have numbers K (3, 3), "
            "R (3, 3), T (3) and Distortion (5)"
        ) from None
    return Camera(
        np.diag(matrix)[:2],
        matrix[:2, 2],
        rotation.T,
        -rotation.T @ translation,
        [k1, k2, k3],
        [p1, p2],
    )
