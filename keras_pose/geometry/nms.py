"""Non-maximum suppression of boxes and poses on the host.

Equal scores: the later index comes first (a stable ascending sort, reversed), as in MMPose 1.3.2
wherever its order is defined.
"""

import numpy as np

from keras_pose.geometry.boxes import box_iou
from keras_pose.geometry.oks import mean_similarity


def _best_first(scores: np.ndarray) -> np.ndarray:
    return np.argsort(scores, kind="stable")[::-1]


def _suppress(scores: np.ndarray, overlaps_with, threshold: float, most=None) -> np.ndarray:
    order, kept = _best_first(scores), []
    while order.size and len(kept) != most:
        best, rest = order[0], order[1:]
        kept.append(best)
        order = rest[overlaps_with(best, rest) <= threshold]
    return np.array(kept, np.int64)


def box_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float = 0.5,
    max_boxes: int | None = None,
) -> np.ndarray:
    """Drops boxes that overlap a better one.

    Args:
        boxes: array `(N, 4)`, xyxy.
        scores: array `(N,)`.
        iou_threshold: float, boxes with a larger IoU are dropped.
        max_boxes: optional int, at most so many indices are returned. Default: all.

    Returns:
        int64 array of kept indices, best first.
    """
    boxes = np.asarray(boxes)
    return _suppress(
        np.asarray(scores),
        lambda i, rest: box_iou(boxes[i : i + 1], boxes[rest])[0],
        iou_threshold,
        max_boxes,
    )


def _pose_overlaps(keypoints, areas, sigmas, visible_threshold):
    """The function (index, other indices) -> OKS of poses with the mean of the two areas."""
    keypoints, areas = np.asarray(keypoints, np.float64), np.asarray(areas, np.float64)
    if visible_threshold is not None and keypoints.shape[-1] < 3:
        raise ValueError(
            f"visible_threshold needs keypoints (N, K, 3) with a score, got shape {keypoints.shape}"
        )

    def overlaps(i, rest):
        squares = ((keypoints[rest, :, :2] - keypoints[i, :, :2]) ** 2).sum(axis=-1)
        counted = None
        if visible_threshold is not None:
            counted = np.minimum(keypoints[rest, :, 2], keypoints[i, :, 2]) > visible_threshold
        return mean_similarity(squares, sigmas, (areas[rest] + areas[i]) / 2, counted)

    return overlaps


def _instance_scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores)
    return scores.mean(axis=-1) if scores.ndim == 2 else scores


def oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray,
    threshold: float = 0.9,
    visible_threshold: float | None = None,
) -> np.ndarray:
    """Drops poses that are too similar to a better one.

    Args:
        keypoints: array `(N, K, 2)`, or `(N, K, 3)` with a score, image pixels.
        scores: array `(N,)`, or `(N, K)` whose mean counts.
        areas: array `(N,)`, square pixels.
        sigmas: array `(K,)`.
        threshold: float, poses with a larger OKS are dropped. Default 0.9.
        visible_threshold: optional float; only keypoints that score above it in both poses count.

    Returns:
        int64 array of kept indices, best first.
    """
    overlaps = _pose_overlaps(keypoints, areas, sigmas, visible_threshold)
    return _suppress(_instance_scores(scores), overlaps, threshold)


def lowered_scores(
    overlaps: np.ndarray, scores: np.ndarray, threshold: float, rule: str = "gaussian"
) -> np.ndarray:
    """Scores of candidates beside a better one, as soft NMS lowers them.

    Paper: https://arxiv.org/abs/1704.04503.

    Args:
        overlaps: array `(N,)`, 0..1, with the better candidate.
        scores: array `(N,)`.
        threshold: float, see `rule`.
        rule: "gaussian", `score * exp(-overlap^2 / threshold)`, or "linear", `score * (1 -
            overlap)` where the overlap is at least the threshold.

    Returns:
        Array `(N,)`.
    """
    if rule == "gaussian":
        return scores * np.exp(-(overlaps**2) / threshold)
    if rule != "linear":
        raise ValueError(f'rule must be "gaussian" or "linear", got {rule!r}')
    return np.where(overlaps >= threshold, scores * (1 - overlaps), scores)


def best_candidates(
    scores: np.ndarray, threshold: float, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What goes into the box NMS of one-stage networks: the surest candidates.

    Args:
        scores: array `(N, C)` of C classes; a candidate's is that of its best class.
        threshold: float, only candidates that score above it.
        count: int, at most so many.

    Returns:
        Scores, rows and classes, each `(M,)`, best first.
    """
    scores = np.asarray(scores)
    best = scores.max(axis=1)
    rows = np.flatnonzero(best > threshold)
    rows = rows[np.argsort(-best[rows], kind="stable")[:count]]
    return best[rows], rows, scores[rows].argmax(axis=1)


def soft_oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray,
    threshold: float = 0.9,
    max_poses: int = 20,
) -> np.ndarray:
    """Orders poses by scores that similar, better poses lower (Gaussian soft NMS).

    Args:
        keypoints, scores, areas, sigmas: as in `oks_nms`.
        threshold: float, scores are multiplied by `exp(-oks^2 / threshold)`. Default 0.9.
        max_poses: int, at most so many indices are returned. Default 20.

    Returns:
        int64 array of kept indices in the order in which they were picked.
    """
    overlaps = _pose_overlaps(keypoints, areas, sigmas, None)
    # float32 like the reference: similarities of about 1e-8 must not break ties
    scores = _instance_scores(scores).astype(np.float32)
    order, kept = _best_first(scores), []
    scores = scores[order]
    while order.size and len(kept) < max_poses:
        kept.append(order[0])
        similarity = overlaps(order[0], order[1:]).astype(np.float32)
        scores = lowered_scores(similarity, scores[1:], threshold)
        rank = _best_first(scores)
        order, scores = order[1:][rank], scores[rank]
    return np.array(kept, np.int64)


def nearby_joints_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    distance_threshold: float = 0.05,
    nearby_joints: int | None = None,
    max_poses: int = 30,
) -> np.ndarray:
    """Drops poses many of whose joints lie near those of a better one, as DEKR does.

    The limit of a distance depends on the pose that is visited, so the relation is not symmetric;
    poses whose keypoints all lie on one spot are near nobody (MMPose 1.3.2 raises).
    Paper: https://arxiv.org/abs/2104.02300.

    Args:
        keypoints: array `(N, K, 2)`, image pixels; further coordinates are not looked at.
        scores: array `(N,)`, or `(N, K)` whose mean counts.
        distance_threshold: float, limit in diagonals of a pose's keypoints. Default 0.05.
        nearby_joints: int, poses are near with more joints than this near. Default `K // 2`.
        max_poses: int, at most so many indices are returned; 0: all. Default 30.

    Returns:
        int64 array of kept indices in the order in which they were found.
    """
    points = np.asarray(keypoints)[..., :2]
    scores = _instance_scores(scores)
    if not len(points):
        return np.zeros(0, np.int64)
    limit = points.shape[1] // 2 if nearby_joints is None else nearby_joints
    extents = points.max(axis=1) - points.min(axis=1)
    limits = np.linalg.norm(extents, axis=-1) * distance_threshold
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    near = (distances < limits[:, None, None]).sum(axis=-1) > limit
    done, kept = np.zeros(len(points), bool), []
    for visited in _best_first(scores):
        group = np.flatnonzero(near[visited])
        if done[visited] or not group.size:
            continue
        best = group[scores[group].argmax()]
        if not done[best]:
            kept.append(best)
            done[group] = True
    kept = np.array(kept, np.int64)
    if 0 < max_poses < len(kept):
        kept = kept[_best_first(scores[kept])[:max_poses]]
    return kept
