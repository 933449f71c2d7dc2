"""Boxes: formats, checks, clipping and overlaps.

Everywhere in the package a box is `xyxy` in image pixels: left, top, right, bottom as floats,
width = right - left. COCO files hold `xywh`; crops are described by the centre and the size
(`scale`) of the rectangle they cover.
"""

import numpy as np


def xywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """Turns `(..., 4)` boxes of left, top, width, height into left, top, right, bottom."""
    boxes = np.asarray(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:4]], axis=-1)


def xyxy_to_xywh(boxes: np.ndarray) -> np.ndarray:
    """Turns `(..., 4)` boxes of left, top, right, bottom into left, top, width, height."""
    boxes = np.asarray(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., 2:4] - boxes[..., :2]], axis=-1)


def xyxy_to_center_scale(boxes: np.ndarray, padding: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Centres and padded sizes of boxes.

    Args:
        boxes: array `(..., 4)`, xyxy.
        padding: float, factor on both sides. Default 1.0; published top-down models use 1.25.

    Returns:
        Centres `(..., 2)` and scales `(..., 2)` (width, height).
    """
    boxes = np.asarray(boxes)
    return (boxes[..., :2] + boxes[..., 2:4]) * 0.5, (boxes[..., 2:4] - boxes[..., :2]) * padding


def center_scale_to_xyxy(
    centers: np.ndarray, scales: np.ndarray, padding: float = 1.0
) -> np.ndarray:
    """Boxes `(..., 4)` xyxy of centres and sizes; sizes are divided by `padding`."""
    centers, half = np.asarray(centers), np.asarray(scales) / (2.0 * padding)
    return np.concatenate([centers - half, centers + half], axis=-1)


def match_aspect(scales: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges the shorter side of `(..., 2)` scales until they have the shape of `size` (w, h)."""
    scales = np.asarray(scales)
    width, height = scales[..., 0], scales[..., 1]
    ratio = size[0] / size[1]
    return np.stack([np.maximum(width, height * ratio), np.maximum(height, width / ratio)], -1)


def clip_boxes(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Clips `(..., 4)` xyxy boxes to the image, x to `[0, width]` and y to `[0, height]`."""
    width, height = image_size
    boxes = np.asarray(boxes)
    return np.clip(boxes, 0, np.array([width, height, width, height])).astype(boxes.dtype)


def points_to_xyxy(points: np.ndarray) -> np.ndarray:
    """The smallest upright boxes `(..., 4)` xyxy around points `(..., P, 2)`, such as corners."""
    points = np.asarray(points)
    return np.concatenate([points.min(axis=-2), points.max(axis=-2)], axis=-1)


def box_overlaps(
    a: np.ndarray, b: np.ndarray, kind: str = "iou", aligned: bool = False
) -> np.ndarray:
    """How much boxes overlap.

    Args:
        a: array `(..., N, 4)`, xyxy.
        b: array `(..., M, 4)`, xyxy.
        kind: "iou" (intersection over union), "iof" (over the area of `a`'s box) or "giou"
            (generalised IoU of arXiv 1902.09630: less than 0 for boxes far from each other).
        aligned: bool, compare the boxes of the same position (`N` equals `M`) instead of all pairs.

    Returns:
        Array `(..., N, M)`, or `(..., N)` if aligned; 0 where the divisor is 0.
    """
    if kind not in ("iou", "iof", "giou"):
        raise ValueError(f'kind must be "iou", "iof" or "giou", got {kind!r}')
    a, b = np.asarray(a), np.asarray(b)
    if not aligned:
        a, b = a[..., :, None, :], b[..., None, :, :]
    sides = np.minimum(a[..., 2:4], b[..., 2:4]) - np.maximum(a[..., :2], b[..., :2])
    intersection = np.prod(np.clip(sides, 0, None), axis=-1)
    area_a = np.prod(a[..., 2:4] - a[..., :2], axis=-1)
    if kind == "iof":
        return intersection / np.maximum(area_a, 1e-6)
    area_b = np.prod(b[..., 2:4] - b[..., :2], axis=-1)
    union = np.maximum(area_a + area_b - intersection, 1e-6)
    if kind == "iou":
        return intersection / union
    sides = np.maximum(a[..., 2:4], b[..., 2:4]) - np.minimum(a[..., :2], b[..., :2])
    hull = np.maximum(np.prod(np.clip(sides, 0, None), axis=-1), 1e-6)
    return intersection / union - (hull - union) / hull


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of `a` with every box of `b`.

    Args:
        a: array `(N, 4)`, xyxy.
        b: array `(M, 4)`, xyxy.

    Returns:
        Array `(N, M)`; 0 where the union is empty.
    """
    return box_overlaps(a, b)


def validate_boxes(
    boxes: np.ndarray, name: str = "boxes", image_size: tuple[int, int] | None = None
) -> np.ndarray:
    """Checks boxes that come from outside and returns them as float32.

    Args:
        boxes: array-like `(N, 4)`, xyxy in image pixels; an empty list is no box.
        name: str, what the caller calls them; messages begin with it.
        image_size: optional (width, height); boxes that do not touch the image are then errors.

    Returns:
        float32 array `(N, 4)`.

    Raises:
        ValueError: for another shape, values that are not finite numbers, boxes without area,
            boxes outside the image.
    """
    try:
        boxes = np.asarray(boxes, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be numbers of shape (N, 4), xyxy in image pixels, got {boxes!r:.80}"
        ) from None
    if boxes.shape == (0,):
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name} must be (N, 4) xyxy in image pixels, got shape {boxes.shape}")

    def refuse(bad: np.ndarray, what: str):
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"{name}[{row}] {what}, got {boxes[row].tolist()}")

    refuse(~np.isfinite(boxes).all(axis=1), "must be finite numbers (no NaN or infinity)")
    refuse(
        (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]),
        "is empty: xyxy needs right > left and bottom > top",
    )
    if image_size is not None:
        width, height = image_size
        outside = (boxes[:, 0] >= width) | (boxes[:, 1] >= height)
        outside |= (boxes[:, 2] <= 0) | (boxes[:, 3] <= 0)
        refuse(outside, f"lies outside the image of {width}x{height} pixels")
    return boxes
