"""Greedy suppression of boxes on the device, with fixed numbers of candidates and survivors."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.decoding import constant, rows_at


def best_boxes(
    boxes,
    scores,
    score_threshold: float,
    iou_threshold: float = 0.65,
    candidates: int = 512,
    slots: int = 64,
):
    """The surest boxes that do not overlap a surer one: non-maximum suppression.

    The result is that of the sequential algorithm: the best box is taken, those that overlap it
    are dropped, and so on. There are no loops with an open end, so that every format of export can
    hold it; PyTorch, which exports nothing, runs the sequential algorithm. Of equal scores either
    may come first.

    Args:
        boxes: `(B, P, 4)` xyxy; boxes are not told apart by classes.
        scores: `(B, P)`, 0..1.
        score_threshold: float, at least 0; boxes whose score is not above it are left out.
        iou_threshold: float, boxes with a larger intersection over union are dropped.
        candidates: int, at most so many boxes of an image enter, those with the best scores.
            Default 512: every person is found several times, so that this suffices for about a
            hundred of them.
        slots: int, survivors per image; of more the weakest are dropped. Each slot is a handful
            of operations in compiled programs. Default 64.

    Returns:
        Indices `(B, S)` int32 into the boxes, best first, and scores `(B, S)`, 0 in empty slots,
        whose index is that of any box.

    Raises:
        ValueError: `candidates` or `slots` is less than 1, or `score_threshold` below 0.
    """
    if min(candidates, slots) < 1:
        raise ValueError(f"candidates and slots must be at least 1, got {candidates} and {slots}")
    if score_threshold < 0:
        raise ValueError(f"score_threshold must be at least 0, got {score_threshold}")
    known = boxes.shape[1]
    count = candidates if known is None else min(candidates, known)
    scores = ops.where(scores > score_threshold, scores, 0.0)
    scores, place = ops.top_k(scores, count)
    candidates = rows_at(boxes, place)
    if keras.backend.backend() == "torch":
        from keras_pose.codecs.suppression_torch import remaining_boxes

        ranks = remaining_boxes(candidates, scores, iou_threshold, slots)
    else:
        ranks = _remaining(candidates, scores, iou_threshold, slots)
    found = ranks < count
    ranks = ops.minimum(ranks, float(count - 1))
    known = ops.stack([scores, ops.cast(place, "float32")], axis=-1)
    known = rows_at(known, ranks)
    return ops.cast(known[..., 1], "int32"), ops.where(found, known[..., 0], 0.0)


def _remaining(boxes, scores, iou_threshold: float, slots: int):
    """Ranks `(B, S)` float32 of the survivors among boxes `(B, C, 4)`, C in empty slots."""
    count = boxes.shape[1]
    # A rank of `count` means that a candidate is gone.
    drops = _overlapping(boxes, iou_threshold) * float(count)
    rank = ops.where(scores > 0, constant(np.arange(count)[None]), float(count))
    # As `rows_at`, of which all that stays the same is done once.
    drops = ops.reshape(drops, (-1, count))
    first = ops.cast(ops.arange(ops.shape(scores)[0]) * count, "float32")
    ranks = []
    for _ in range(slots):
        best = ops.min(rank, axis=1)
        ranks.append(best)
        row = ops.cast(ops.minimum(best, float(count - 1)) + first, "int32")
        rank = ops.maximum(rank, ops.take(drops, row, axis=0))
    return ops.stack(ranks, axis=1)


def _overlapping(boxes, threshold: float):
    """Which of the boxes `(B, C, 4)` overlap, and every one itself: `(B, C, C)`, 1 or 0."""
    overlap, areas = _overlaps(boxes, boxes)
    itself = constant(np.eye(boxes.shape[1])[None])
    # Intersection over union, without a division.
    similar = overlap * (1.0 + 1.0 / threshold) > areas if threshold > 0 else overlap > 0
    return ops.maximum(itself, ops.cast(similar, "float32"))


def pairwise_iou(first, second):
    """Intersection over union of every box with every other.

    Args:
        first: `(B, N, 4)` xyxy.
        second: `(B, M, 4)` xyxy.

    Returns:
        `(B, N, M)`; the union counts at least 1e-6.
    """
    overlap, areas = _overlaps(first, second)
    return overlap / ops.maximum(areas - overlap, 1e-6)


def _overlaps(first, second):
    """The intersections of every box with every other, and the sums of both areas."""
    left, top, right, bottom = (first[:, :, None, i] for i in range(4))
    left2, top2, right2, bottom2 = (second[:, None, :, i] for i in range(4))
    width = ops.minimum(right, right2) - ops.maximum(left, left2)
    height = ops.minimum(bottom, bottom2) - ops.maximum(top, top2)
    overlap = ops.maximum(width, 0.0) * ops.maximum(height, 0.0)
    return overlap, (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
