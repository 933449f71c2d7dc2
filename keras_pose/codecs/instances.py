"""Where instances are, of which only the keypoints are known."""

from keras import ops

ROOTS = ("kpt_center", "bbox_center")


def instance_boxes(points, visible):
    """The smallest boxes around keypoints.

    Args:
        points: `(B, N, K, 2)`.
        visible: `(B, N, K)`; keypoints above 0 count.

    Returns:
        `(B, N, 4)` xyxy, zeros for instances without keypoints.
    """
    counted = visible[..., None] > 0
    low = ops.min(ops.where(counted, points, float("inf")), axis=2)
    high = ops.max(ops.where(counted, points, -float("inf")), axis=2)
    known = ops.any(counted, axis=2)
    return ops.concatenate([ops.where(known, side, 0.0) for side in (low, high)], axis=-1)


def instance_diagonals(points, visible):
    """Diagonals `(B, N)` of the boxes around keypoints; see `instance_boxes`."""
    boxes = instance_boxes(points, visible)
    return ops.norm(boxes[..., 2:] - boxes[..., :2], axis=-1)


def instance_roots(points, visible, kind: str = "kpt_center"):
    """The place that stands for an instance.

    Args:
        points, visible: see `instance_boxes`.
        kind: "kpt_center" for the mean of the keypoints, "bbox_center" for the centre of their box.

    Returns:
        `(B, N, 2)`, zeros for instances without keypoints, and whether there are any, `(B, N)`.
    """
    counted = ops.cast(visible > 0, points.dtype)
    number = ops.sum(counted, axis=-1)
    if kind == "bbox_center":
        boxes = instance_boxes(points, visible)
        return (boxes[..., :2] + boxes[..., 2:]) / 2, number > 0
    total = ops.sum(points * counted[..., None], axis=2)
    return total / ops.maximum(number, 1.0)[..., None], number > 0
