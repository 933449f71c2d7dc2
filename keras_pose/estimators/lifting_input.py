"""What a lifter reads: 2D poses of a person over frames, of its own skeleton and without gaps."""

from collections.abc import Mapping, Sequence

import numpy as np

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
            that it does not name come from those of the same name. Default: of `MAPPINGS`.

    Returns:
        `(..., K, 2)` and `(..., K)`; a keypoint is as visible as the least visible one it comes
        from.

    Raises:
        ValueError: if a keypoint comes from nowhere; it says which mapping is needed.
    """
    if source.keypoints == target.keypoints:
        return keypoints, visible
    mapping = MAPPINGS.get((source.name, target.name), {}) if mapping is None else mapping
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
