"""Affine maps between the network's input and the image, and the one warp that follows them.

An affine is a `(2, 3)` matrix; the one that travels with a crop maps **input to image** pixels.
Pixel centres lie at integers. Two conventions for crops exist (both as in MMPose 1.3.2): *plain*
puts the rectangle's centre at `(w/2, h/2)` and maps its width to `w` pixels; *UDP* puts the
rectangle's corners at `(0, 0)` and `(w-1, h-1)`.
"""

import numpy as np

from keras_pose.geometry.boxes import match_aspect, xyxy_to_center_scale


def center_scale_affine(
    centers: np.ndarray,
    scales: np.ndarray,
    input_size: tuple[int, int],
    rotation: float | np.ndarray = 0.0,
    udp: bool = False,
) -> np.ndarray:
    """Maps from the input to rotated rectangles of the image.

    Args:
        centers: array `(..., 2)`, the rectangles' centres in image pixels.
        scales: array `(..., 2)`, their widths and heights in image pixels.
        input_size: (width, height) of the network's input.
        rotation: float or array `(...)`, degrees by which the rectangle is turned clockwise (as
            seen on the screen); its content turns counter-clockwise in the input. The same sense
            for both conventions, whereas the reference turns the other way for UDP.
        udp: bool, UDP instead of plain.

    Returns:
        float32 array `(..., 2, 3)`, input to image.
    """
    centers, scales = np.asarray(centers, np.float64), np.asarray(scales, np.float64)
    size = np.asarray(input_size, np.float64) - (1.0 if udp else 0.0)
    angle = np.deg2rad(np.broadcast_to(rotation, centers.shape[:-1]))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    linear = turn * (scales / size)[..., None, :]
    shift = centers - np.einsum("...ij,j->...i", linear, size / 2)
    return np.concatenate([linear, shift[..., None]], -1).astype(np.float32)


def crop_affine(
    boxes: np.ndarray,
    input_size: tuple[int, int],
    padding: float = 1.25,
    rotation: float | np.ndarray = 0.0,
    udp: bool = False,
    fix_aspect: bool = True,
) -> np.ndarray:
    """Maps from the input to the padded crops of boxes.

    Args:
        boxes: array `(..., 4)`, xyxy in image pixels.
        input_size: (width, height) of the network's input.
        padding: float, factor on the box's sides. Default 1.25.
        rotation: float or array `(...)`, degrees, see `center_scale_affine`.
        udp: bool, the UDP convention instead of the plain one.
        fix_aspect: bool, enlarge the shorter side to the shape of the input (default), or stretch.

    Returns:
        float32 array `(..., 2, 3)`, input to image.

    Example:
    >>> affine = crop_affine([[100, 50, 200, 250]], (192, 256))
    >>> apply_affine(affine, [[[96, 128]]])  # the middle of the input is the middle of the box
    array([[[150., 150.]]])
    """
    centers, scales = xyxy_to_center_scale(np.asarray(boxes, np.float64), padding)
    if fix_aspect:
        scales = match_aspect(scales, input_size)
    return center_scale_affine(centers, scales, input_size, rotation, udp)


def flip_affine(
    image_size: tuple[int, int] | np.ndarray, direction: str = "horizontal"
) -> np.ndarray:
    """The mirror of an image onto itself, `x -> width - 1 - x` and/or `y -> height - 1 - y`.

    Args:
        image_size: (width, height), or array `(..., 2)` of many.
        direction: "horizontal", "vertical" or "diagonal" (both).

    Returns:
        float32 array `(..., 2, 3)`; it is its own inverse.
    """
    directions = {"horizontal": (True, False), "vertical": (False, True), "diagonal": (True, True)}
    if direction not in directions:
        raise ValueError(f"direction must be one of {[*directions]}, got {direction!r}")
    sizes = np.asarray(image_size)
    affine = np.zeros((*sizes.shape[:-1], 2, 3), np.float32)
    for axis, mirrored in enumerate(directions[direction]):
        affine[..., axis, axis] = -1 if mirrored else 1
        affine[..., axis, 2] = sizes[..., axis] - 1 if mirrored else 0
    return affine


def apply_affine(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Moves points by affine maps.

    Args:
        affine: array `(..., 2, 3)`.
        points: array `(..., P, 2)`.

    Returns:
        Array `(..., P, 2)` of the points' floating dtype (float64 for integers).
    """
    affine, points = np.asarray(affine, np.float64), np.asarray(points)
    moved = points @ np.swapaxes(affine[..., :2], -1, -2) + affine[..., None, :, 2]
    return moved.astype(points.dtype) if points.dtype.kind == "f" else moved


def invert_affine(affine: np.ndarray) -> np.ndarray:
    """The inverse of `(..., 2, 3)` maps: input to image becomes image to input."""
    affine = np.asarray(affine)
    linear = np.linalg.inv(affine[..., :2].astype(np.float64))
    shift = -np.einsum("...ij,...j->...i", linear, affine[..., 2])
    return np.concatenate([linear, shift[..., None]], -1).astype(affine.dtype)


def compose_affine(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The map that applies `inner` first and `outer` next, `(..., 2, 3)` of float32."""
    outer, inner = np.asarray(outer, np.float64), np.asarray(inner, np.float64)
    linear = outer[..., :2] @ inner[..., :2]
    shift = np.einsum("...ij,...j->...i", outer[..., :2], inner[..., 2]) + outer[..., 2]
    return np.concatenate([linear, shift[..., None]], -1).astype(np.float32)


def warp(
    image: np.ndarray,
    affine: np.ndarray,
    input_size: tuple[int, int],
    fill: float | tuple[float, ...] = 0,
) -> np.ndarray:
    """Cuts one crop out of an image: bilinear, one colour outside the image.

    Args:
        image: array `(H, W, C)` or `(H, W)`, uint8 or float32.
        affine: array `(2, 3)`, input to image.
        input_size: (width, height) of the crop.
        fill: number or one a channel, what lies outside the image. Default 0.

    Returns:
        Array `(height, width, C)` of the image's dtype.
    """
    import cv2

    return cv2.warpAffine(
        image,
        np.asarray(affine, np.float64),
        (int(input_size[0]), int(input_size[1])),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=fill if isinstance(fill, tuple) else (fill,) * 4,
    )
