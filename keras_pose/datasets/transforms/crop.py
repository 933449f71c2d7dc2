"""From a box to its crop, as pure functions of drawn numbers.

A `Crop` is a rectangle of an image that may have been mirrored; nothing moves a pixel until the
end, when everything has become one map from the input to the image as it was read.
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
class Crop:
    """A rectangle around one object. Coordinates are pixels of the image, mirrored if it is.

    Attributes:
        keypoints: float32 `(K, 2)`.
        visible: float32 `(K,)`.
        center: float32 `(2,)`, the rectangle's middle.
        scale: float32 `(2,)`, its width and height, padding included.
        rotation: float, degrees, clockwise on the screen.
        image_size: (width, height).
        mirror: float32 `(2, 3)`, from pixels of the mirrored image to those of the image as read;
            None if it is not mirrored.
    """

    keypoints: np.ndarray
    visible: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    image_size: tuple[int, int]
    rotation: float = 0.0
    mirror: np.ndarray | None = None


def crop_of_box(
    box: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    image_size: tuple[int, int],
    padding: float = 1.25,
) -> Crop:
    """The padded rectangle of a box `(4,)` xyxy."""
    center, scale = xyxy_to_center_scale(box, padding)
    return Crop(keypoints, visible, center, scale, tuple(image_size))


def flip(crop: Crop, flip_indices: np.ndarray, direction: str = "horizontal") -> Crop:
    """Mirrors the image under a crop.

    Left and right keypoints change places, except for "diagonal", which is a rotation by 180
    degrees.
    """
    mirror = flip_affine(crop.image_size, direction)
    keypoints = apply_affine(mirror, crop.keypoints)
    visible = crop.visible
    if direction != "diagonal":
        keypoints, visible = keypoints[flip_indices], visible[flip_indices]
    return replace(
        crop,
        keypoints=keypoints,
        visible=visible,
        center=apply_affine(mirror, crop.center[None])[0],
        mirror=mirror if crop.mirror is None else compose_affine(crop.mirror, mirror),
    )


def choose_half_body(
    visible: np.ndarray,
    upper_body: np.ndarray,
    lower_body: np.ndarray,
    prefer_upper: bool,
    min_total: int = 9,
    min_upper: int = 2,
    min_lower: int = 3,
) -> np.ndarray | None:
    """Keypoints of the half that a crop shall show, or None for the whole body.

    Args:
        visible: array `(K,)`.
        upper_body, lower_body: indices of the halves' keypoints.
        prefer_upper: bool, which half is taken if both have enough visible keypoints.
        min_total, min_upper, min_lower: int, fewest visible keypoints of the body and its halves.

    Returns:
        Indices of visible keypoints, or None.
    """
    if visible.sum() < min_total:
        return None
    upper, lower = upper_body[visible[upper_body] > 0], lower_body[visible[lower_body] > 0]
    enough_upper, enough_lower = len(upper) >= min_upper, len(lower) >= min_lower
    if enough_upper and (prefer_upper or not enough_lower):
        return upper
    return lower if enough_lower else None


def half_body(crop: Crop, chosen: np.ndarray, padding: float = 1.5) -> Crop:
    """A crop around the chosen keypoints only: their mean and their padded extent."""
    points = crop.keypoints[chosen]
    extent = points.max(axis=0) - points.min(axis=0)
    if not extent.all():  # all in one row or column: nothing to look at
        return crop
    return replace(crop, center=points.mean(axis=0), scale=extent * padding)


def jitter(crop: Crop, offset: np.ndarray, scale: float, rotation: float) -> Crop:
    """Shifts a crop by a fraction `(2,)` of its size, then resizes and turns it."""
    return replace(
        crop,
        center=crop.center + np.asarray(offset, np.float32) * crop.scale,
        scale=crop.scale * np.float32(scale),
        rotation=crop.rotation + rotation,
    )


def to_input(
    crop: Crop, input_size: tuple[int, int], udp: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The one map that makes the crop, and the keypoints in it.

    Args:
        crop: Crop; its shorter side is enlarged to the shape of the input.
        input_size: (width, height).
        udp: bool, see `keras_pose.geometry.center_scale_affine`.

    Returns:
        float32 `(2, 3)`, input to image as read, and float32 `(K, 2)`, input pixels.
    """
    scale = match_aspect(crop.scale, input_size)
    affine = center_scale_affine(crop.center, scale, input_size, crop.rotation, udp)
    keypoints = apply_affine(invert_affine(affine), crop.keypoints.astype(np.float32))
    if crop.mirror is not None:
        affine = compose_affine(crop.mirror, affine)
    return affine, keypoints
