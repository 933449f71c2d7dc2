"""Keypoints: mirrored, and tested for being inside an image."""

from collections.abc import Sequence

import numpy as np

from keras_pose.geometry.affine import apply_affine, flip_affine


def flip_keypoints(
    keypoints: np.ndarray,
    visible: np.ndarray,
    flip_indices: np.ndarray,
    image_size: tuple[int, int],
    direction: str = "horizontal",
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors keypoints with their image; left and right ones change places.

    Args:
        keypoints: array `(..., K, D)`, x and y in image pixels first; the rest stays.
        visible: array `(..., K)`, or with more axes behind, such as weights `(..., K, 2)`.
        flip_indices: ints `(K,)`, the keypoint that each becomes in a mirror.
        image_size: (width, height).
        direction: "horizontal", "vertical" or "diagonal", which is a rotation by 180 degrees and
            leaves left and right where they are.

    Returns:
        Keypoints and visible, of the same shapes.
    """
    keypoints, visible = np.array(keypoints), np.asarray(visible)
    keypoints[..., :2] = apply_affine(flip_affine(image_size, direction), keypoints[..., :2])
    if direction == "diagonal":
        return keypoints, visible
    return _swap(keypoints, visible, flip_indices)


def flip_keypoints_about(
    keypoints: np.ndarray,
    visible: np.ndarray,
    flip_indices: np.ndarray,
    center: float | Sequence[int] = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors poses about an upright axis of their own; left and right keypoints change places.

    Args:
        keypoints: array `(..., K, D)`, x first.
        visible: array `(..., K)`, or with more axes behind, such as weights `(..., K, 2)`.
        flip_indices: ints `(K,)`, the keypoint that each becomes in a mirror.
        center: float, the axis' x; or ints, the keypoints whose mean x it is in every pose.

    Returns:
        Keypoints and visible, of the same shapes.
    """
    keypoints = np.array(keypoints)
    if isinstance(center, float | int):
        axis = center
    else:
        axis = keypoints[..., list(center), 0].mean(-1, keepdims=True)
    keypoints[..., 0] = 2 * axis - keypoints[..., 0]
    return _swap(keypoints, visible, flip_indices)


def _swap(keypoints, visible, flip_indices):
    axis = keypoints.ndim - 2
    return np.take(keypoints, flip_indices, axis), np.take(visible, flip_indices, axis)


def inside_image(keypoints: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Which keypoints `(..., K, 2)` lie in the image of (width, height): bools `(..., K)`.

    The border is inside. As in MMPose 1.3.2 the border is at 0 and at the width and height, not half a pixel before.
    """
    points = np.asarray(keypoints)[..., :2]
    return ((points >= 0) & (points <= np.asarray(image_size))).all(axis=-1)
