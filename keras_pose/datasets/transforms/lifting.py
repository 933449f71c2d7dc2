"""Mirroring poses about a vertical axis, for lifters that learn 3D poses from 2D ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_pose.datasets.transforms.draws import Draws
from keras_pose.skeleton import Skeleton


def flip_pose(
    keypoints: np.ndarray,
    visible: np.ndarray,
    flip_indices: np.ndarray,
    axis_x: float | np.ndarray = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors poses about `x = axis_x`; left and right keypoints change places.

    Args:
        keypoints: array `(..., K, D)`, D >= 2.
        visible: array `(..., K)`, or `(..., K, 2)` with a weight beside it.
        flip_indices: ints `(K,)`.
        axis_x: float, or array that broadcasts with `(..., K)`, such as `root_x` gives it.

    Returns:
        Mirrored keypoints and visibility, of the same shapes and dtypes.
    """
    keypoints, visible = np.asarray(keypoints), np.asarray(visible)
    mirrored = keypoints[..., flip_indices, :].copy()
    mirrored[..., 0] = 2 * np.asarray(axis_x) - mirrored[..., 0]
    axis = keypoints.ndim - 2
    return mirrored, np.take(visible, flip_indices, axis=axis)


def root_x(keypoints: np.ndarray, root: int | Sequence[int] = 0) -> np.ndarray:
    """The x of every pose's root, `(..., 1)`: of one keypoint, or the mean of several."""
    x = np.asarray(keypoints)[..., np.atleast_1d(root), 0]
    return x.mean(axis=-1, keepdims=True)


@dataclass(frozen=True)
class RandomPoseFlip:
    """Mirrors windows of poses, 2D and 3D alike.

    The 2D poses of a window share an axis, and so do its targets; the camera's principal point is
    mirrored with the picture.

    Args:
        prob: float, how often. Default 0.5.
        axis_x: float, pixels: the 2D axis; or "center" (default), the middle of the camera's image
            (of its principal point where the size is not known); or "root", each pose's own root.
        target_axis_x: float (default 0, the camera's axis) or "root", of the 3D poses.
        root: int or ints, the keypoints that "root" means.
    """

    prob: float = 0.5
    axis_x: float | str = "center"
    target_axis_x: float | str = 0.0
    root: int | tuple[int, ...] = 0

    def __post_init__(self):
        for name, words in (("axis_x", ("center", "root")), ("target_axis_x", ("root",))):
            value = getattr(self, name)
            if value not in words and not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number or one of {words}, got {value!r}")

    def __call__(
        self,
        inputs: np.ndarray,
        labels: Mapping[str, np.ndarray],
        skeleton: Skeleton,
        draws: Draws,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Mirrors some of the windows of a batch as `PoseSequences.batch` makes it."""
        return self.mirrored(inputs, labels, skeleton, draws.uniform("pose flip") < self.prob)

    def mirrored(
        self,
        inputs: np.ndarray,
        labels: Mapping[str, np.ndarray],
        skeleton: Skeleton,
        flipped: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Mirrors the windows where `flipped` `(B,)` is true."""
        labels, flips = dict(labels), skeleton.flip_indices
        axis = self._axis(inputs, labels)
        target = labels["keypoints_3d"]
        target_axis = (
            root_x(target, self.root) if self.target_axis_x == "root" else self.target_axis_x
        )
        seen, visible = flip_pose(inputs, labels["visible"], flips, axis)
        target, target_visible = flip_pose(target, labels["visible_3d"], flips, target_axis)
        where = flipped[:, None, None, None]
        labels["visible"] = np.where(where[..., 0], visible, labels["visible"])
        labels["visible_3d"] = np.where(where[..., 0], target_visible, labels["visible_3d"])
        labels["keypoints_3d"] = np.where(where, target, labels["keypoints_3d"])
        if "center" in labels and self.axis_x != "root":
            center = labels["center"].copy()
            middle = np.broadcast_to(np.reshape(axis, -1), len(center))
            center[flipped, 0] = 2 * middle[flipped] - center[flipped, 0]
            labels["center"] = center
            if "distortion" in labels:
                distortion = labels["distortion"].copy()
                distortion[flipped, 3] *= -1  # p2, which goes with x
                labels["distortion"] = distortion
        return np.where(where, seen, inputs), labels

    def _axis(self, inputs: np.ndarray, labels: Mapping[str, np.ndarray]) -> float | np.ndarray:
        if self.axis_x == "root":
            return root_x(inputs, self.root)
        if self.axis_x != "center":
            return np.float32(self.axis_x)
        if "center" not in labels:
            raise ValueError(
                'RandomPoseFlip(axis_x="center") needs sequences with cameras; say axis_x in '
                'pixels, or "root"'
            )
        width = labels["image_size"][:, 0]
        middle = np.where(width > 0, (width - 1) / 2, labels["center"][:, 0])
        return middle[:, None, None].astype(np.float32)
