"""What a lifter reads: 2D poses of a person over frames, of its own skeleton and without gaps."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton

# {(skeleton of the 2D poses, the lifter's): {keypoint: those whose mean it is}}. A picture shows no
# spine, and the keypoints of faces stand for neck and head, as in MMPose 1.3.2's demo.
_COCO_TO_H36M = {
    "root": ("left_hip", "right_hip"),
    "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "neck_base": ("nose",),
    "head": ("left_eye", "right_eye"),
    "left_foot": ("left_ankle",),
    "right_foot": ("right_ankle",),
}
MAPPINGS = {("coco", "h36m"): _COCO_TO_H36M}


def mapped(
    keypoints: np.ndarray,
    visible: np.ndarray,
    source: Skeleton,
    target: Skeleton,
    mapping: Mapping[str, str | Sequence[str]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses of one skeleton as those of another.

    Args:
        keypoints: `(..., S, 2)`; visible: `(..., S)`.
        source, target: their skeletons.
        mapping: {keypoint of `target`: one of `source` or several, whose mean it is}; keypoints
            that it does not name come from where `MAPPINGS` says, else from those of the same
            name.

    Returns:
        `(..., K, 2)` and `(..., K)`; a keypoint is as visible as the least visible one it comes
        from.

    Raises:
        ValueError: if a keypoint comes from nowhere; it says which mapping is needed. Or for a
            mapping of keypoints that there are not.
    """
    if source.keypoints == target.keypoints and not mapping:
        return keypoints, visible
    mapping = {**MAPPINGS.get((source.name, target.name), {}), **_checked_mapping(mapping)}
    for name in mapping:
        target.index(name)
    names = [mapping.get(name, name) for name in target.keypoints]
    sources = [(name,) if isinstance(name, str) else tuple(name) for name in names]
    lost = [
        name
        for name, given in zip(target.keypoints, sources, strict=True)
        if name not in mapping and given[0] not in source.keypoints
    ]
    if lost:
        raise ValueError(
            f"the lifter was trained for the skeleton {target.name!r}, the poses are of "
            f"{source.name!r}: say where its keypoints come from as "
            f"mapping={{{', '.join(f'{name!r}: (...)' for name in lost)}}}"
        )
    indices = [[source.index(name) for name in given] for given in sources]
    points = np.stack([keypoints[..., each, :].mean(-2) for each in indices], -2)
    shown = np.stack([visible[..., each].min(-1) for each in indices], -1)
    return points.astype(np.float32), shown.astype(np.float32)


def _checked_mapping(mapping) -> Mapping:
    mapping = {} if mapping is None else mapping
    given = mapping.values() if isinstance(mapping, Mapping) else [()]
    for names in given:
        several = [names] if isinstance(names, str) else names
        fits = isinstance(several, Sequence) and len(several) > 0
        if not fits or not all(isinstance(name, str) for name in several):
            raise ValueError(
                "mapping must be {keypoint of the lifter: keypoint, or several whose mean it is}, "
                f"got {mapping!r:.200}"
            )
    return mapping


def checked_track(keypoints, visible, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints `(F, K, 2)` and their visibility `(F, K)` as float32.

    Args:
        keypoints: where something is not finite, the keypoint is missing.
        visible: default 1; what is not finite counts as 0.
        count: int, K.

    Raises:
        ValueError: for other shapes, or what is no number.
    """
    points = _numbers("keypoints", keypoints)
    if points.ndim != 3 or points.shape[1:] != (count, 2):
        raise ValueError(
            f"keypoints must be (F, {count}, 2), one person over F frames, got shape {points.shape}"
        )
    if visible is None:
        return points, np.ones(points.shape[:2], np.float32)
    shown = np.nan_to_num(_numbers("visible", visible), nan=0.0, posinf=0.0, neginf=0.0)
    if shown.shape != points.shape[:2]:
        raise ValueError(f"visible must be {points.shape[:2]}, got shape {shown.shape}")
    return points, shown


def track_places(poses: Sequence[PoseResult]) -> dict[int, list[tuple[int, int]]]:
    """Of each track the places (frame, row) of its poses; poses of nobody (-1) are left out.

    Args:
        poses: one result a frame.

    Raises:
        ValueError: for what are no results, of different skeletons, or where it is not known who
            is who.
    """
    if isinstance(poses, PoseResult):
        raise ValueError("poses must be a list of PoseResult, one a frame, got a single one")
    tracks: dict[int, list[tuple[int, int]]] = {}
    for frame, result in enumerate(poses):
        if not isinstance(result, PoseResult):
            raise ValueError(
                f"poses[{frame}] must be a PoseResult, of frames without people an empty one, got "
                f"{type(result).__name__}"
            )
        if result.skeleton.keypoints != poses[0].skeleton.keypoints:
            raise ValueError(
                f"the poses of frame {frame} are of the skeleton {result.skeleton.name!r}, those "
                f"of frame 0 of {poses[0].skeleton.name!r}"
            )
        numbers = _track_ids(result, frame).tolist()
        twice = {number for number in numbers if number >= 0 and numbers.count(number) > 1}
        if twice:
            raise ValueError(
                f"frame {frame} has the track {min(twice)} {numbers.count(min(twice))} times: a "
                "person can be there once"
            )
        for row, number in enumerate(numbers):
            if number >= 0:
                tracks.setdefault(number, []).append((frame, row))
    return tracks


def _track_ids(result: PoseResult, frame: int) -> np.ndarray:
    if result.track_ids is not None:
        return result.track_ids
    if len(result) > 1:
        raise ValueError(
            f"frame {frame} has {len(result)} people and no track_ids: a lifter must know who is "
            "who"
        )
    return np.zeros(len(result), int)


def _numbers(name: str, values) -> np.ndarray:
    try:
        return np.array(values, np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers, got {values!r:.80}") from None


def without_gaps(keypoints: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fills what is missing: between two frames in even steps, else with the nearest frame's.

    Args:
        keypoints: `(F, K, 2)`, where NaN is missing.
        visible: `(F, K)`.

    Returns:
        Keypoints without NaN, and their visibility, 0 where something was filled in.

    Raises:
        ValueError: if a keypoint is missing in all frames.
    """
    present = np.isfinite(keypoints).all(-1)
    if present.all():
        return keypoints, visible
    never = ~present.any(0)
    if never.any():
        raise ValueError(
            f"keypoint {int(never.argmax())} is missing in all {len(keypoints)} frames; a lifter "
            "needs every keypoint at least once"
        )
    frames, filled = np.arange(len(keypoints)), keypoints.copy()
    for k in np.flatnonzero(~present.all(0)):
        known = present[:, k]
        for axis in range(2):
            filled[:, k, axis] = np.interp(frames, frames[known], keypoints[known, k, axis])
    return filled, np.where(present, visible, 0.0).astype(np.float32)
