"""From boxes to their crops, many at once, as pure functions of drawn numbers.

`Crops` are rectangles of images that may have been mirrored; nothing moves a pixel until the end,
when everything has become one map a crop, from the input to the image as it was read.
"""

from dataclasses import dataclass, replace

import numpy as np

from keras_pose.geometry import (
    apply_affine,
    center_scale_affine,
    compose_affine,
    flip_affine,
    invert_affine,
    match_aspect,
    xyxy_to_center_scale,
)


@dataclass(frozen=True)
class Crops:
    """Rectangles around `N` objects. Coordinates are pixels of the image, mirrored where it is.

    Attributes:
        keypoints: float32 `(N, K, 2)`.
        visible: float32 `(N, K)`, or `(N, K, 2)` with a weight beside the visibility.
        center: float32 `(N, 2)`, the rectangles' middles.
        scale: float32 `(N, 2)`, their widths and heights, padding included.
        image_sizes: ints `(N, 2)`, width and height.
        rotation: `(N,)`, degrees, clockwise on the screen; or 0 for all.
        mirror: float32 `(N, 2, 3)`, from pixels of the mirrored image to those of the image as
            read; None if none is mirrored.
    """

    keypoints: np.ndarray
    visible: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    image_sizes: np.ndarray
    rotation: np.ndarray | float = 0.0
    mirror: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.center)


def crops_of_boxes(
    boxes: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    image_sizes: np.ndarray,
    padding: float = 1.25,
) -> Crops:
    """The padded rectangles of boxes `(N, 4)` xyxy."""
    center, scale = xyxy_to_center_scale(boxes, padding)
    return Crops(keypoints, visible, center, scale, image_sizes)


def flip(
    crops: Crops,
    flip_indices: np.ndarray,
    direction: str = "horizontal",
    which: np.ndarray | None = None,
) -> Crops:
    """Mirrors the images under crops.

    Left and right keypoints change places, except for "diagonal", which is a rotation by 180
    degrees.

    Args:
        crops: Crops.
        flip_indices: ints `(K,)`, the keypoint that takes each one's place.
        direction: "horizontal", "vertical" or "diagonal".
        which: bools `(N,)`, the crops that are mirrored. Default: all.
    """
    which = np.ones(len(crops), bool) if which is None else which
    if not which.any():
        return crops
    whole = np.eye(2, 3, dtype=np.float32)
    mirror = np.where(which[:, None, None], flip_affine(crops.image_sizes, direction), whole)
    keypoints = apply_affine(mirror, crops.keypoints)
    visible = crops.visible
    if direction != "diagonal":
        keypoints = np.where(which[:, None, None], keypoints[:, flip_indices], keypoints)
        rows = which.reshape(-1, *[1] * (visible.ndim - 1))
        visible = np.where(rows, visible[:, flip_indices], visible)
    return replace(
        crops,
        keypoints=keypoints,
        visible=visible,
        center=apply_affine(mirror, crops.center[:, None])[:, 0],
        mirror=mirror if crops.mirror is None else compose_affine(crops.mirror, mirror),
    )


def choose_half_body(
    visible: np.ndarray,
    upper_body: np.ndarray,
    lower_body: np.ndarray,
    prefer_upper: np.ndarray,
    min_total: int = 9,
    min_upper: int = 2,
    min_lower: int = 3,
) -> np.ndarray:
    """Keypoints of the half that each crop shall show.

    Args:
        visible: array `(N, K)`.
        upper_body, lower_body: indices of the halves' keypoints.
        prefer_upper: bools `(N,)`, which half is taken if both have enough visible keypoints.
        min_total, min_upper, min_lower: int, fewest visible keypoints of the body and its halves.

    Returns:
        bools `(N, K)`, visible keypoints of the half; none where the whole body shall stay.
    """
    labelled = visible > 0
    upper, lower = np.zeros_like(labelled), np.zeros_like(labelled)
    upper[:, upper_body], lower[:, lower_body] = labelled[:, upper_body], labelled[:, lower_body]
    enough = visible.sum(axis=-1) >= min_total
    enough_upper = enough & (upper.sum(axis=-1) >= min_upper)
    enough_lower = enough & (lower.sum(axis=-1) >= min_lower)
    takes_upper = enough_upper & (prefer_upper | ~enough_lower)
    takes_lower = enough_lower & ~takes_upper
    return (upper & takes_upper[:, None]) | (lower & takes_lower[:, None])


def half_body(crops: Crops, chosen: np.ndarray, padding: float = 1.5) -> Crops:
    """Crops around the chosen keypoints only: their mean and their padded extent.

    Args:
        crops: Crops.
        chosen: bools `(N, K)`; a crop without any is left alone, and so is one whose chosen
            keypoints lie in one row or column of pixels.
        padding: float, factor on the extent.
    """
    count = chosen.sum(axis=-1, keepdims=True)
    if not count.any():
        return crops
    inside = chosen[..., None]
    low = np.where(inside, crops.keypoints, np.inf).min(axis=-2)
    high = np.where(inside, crops.keypoints, -np.inf).max(axis=-2)
    changes = (count > 0) & (high > low).all(axis=-1, keepdims=True)
    mean = np.where(inside, crops.keypoints, 0).sum(axis=-2) / np.maximum(count, 1)
    extent = np.where(changes, high, 0) - np.where(changes, low, 0)
    return replace(
        crops,
        center=np.where(changes, mean, crops.center),
        scale=np.where(changes, extent * padding, crops.scale),
    )


def jitter(crops: Crops, offset: np.ndarray, scale: np.ndarray, rotation: np.ndarray) -> Crops:
    """Shifts crops by fractions `(N, 2)` of their sizes, then resizes and turns them by `(N,)`."""
    return replace(
        crops,
        center=crops.center + np.asarray(offset, np.float32) * crops.scale,
        scale=crops.scale * np.asarray(scale, np.float32)[:, None],
        rotation=crops.rotation + np.asarray(rotation),
    )


def to_input(
    crops: Crops, input_size: tuple[int, int], udp: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The maps that make the crops, and the keypoints in them.

    Args:
        crops: Crops; their shorter sides are enlarged to the shape of the input.
        input_size: (width, height).
        udp: bool, see `keras_pose.geometry.center_scale_affine`.

    Returns:
        float32 `(N, 2, 3)`, input to image as read, and float32 `(N, K, 2)`, input pixels.
    """
    scale = match_aspect(crops.scale, input_size)
    affine = center_scale_affine(crops.center, scale, input_size, crops.rotation, udp)
    keypoints = apply_affine(invert_affine(affine), crops.keypoints.astype(np.float32))
    if crops.mirror is not None:
        affine = compose_affine(crops.mirror, affine)
    return affine, keypoints
