"""From a network's poses to COCO results: how poses are ranked and which double ones are dropped.

The rules are those of MMPose 1.3.2's CocoMetric, under its names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_pose.geometry.nms import oks_nms, soft_oks_nms

NMS_MODES = {"none": None, "oks_nms": oks_nms, "soft_oks_nms": soft_oks_nms}


@dataclass(frozen=True)
class ScoreRule:
    """How a pose is ranked.

    Args:
        description: what a protocol calls it.
        rule: (keypoint scores `(N, K)`, box scores `(N,)`, keypoint threshold) -> `(N,)`.
    """

    description: str
    rule: Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def _sure(keypoint: np.ndarray, threshold: float) -> np.ndarray:
    """Mean of the keypoint scores above a threshold, 0 where none is."""
    counted = keypoint > threshold
    total = np.where(counted, keypoint, 0).sum(1, dtype=np.float64)
    return total / np.maximum(counted.sum(1), 1)


SCORES = {
    "keypoint": ScoreRule("mean keypoint score", lambda keypoint, box, _: keypoint.mean(1)),
    "box_keypoint": ScoreRule(
        "box score x mean keypoint score", lambda keypoint, box, _: box * keypoint.mean(1)
    ),
    "bbox": ScoreRule("box score", lambda keypoint, box, _: box),
    "bbox_keypoint": ScoreRule(
        "box score x mean of the keypoint scores above {threshold:g}",
        lambda keypoint, box, threshold: box * _sure(keypoint, threshold),
    ),
    "bbox_rle": ScoreRule(
        "box score + mean + highest keypoint score",
        lambda keypoint, box, _: box + keypoint.mean(1) + keypoint.max(1),
    ),
}


def check_selection(score: str, nms: str = "none") -> None:
    """Raises ValueError for unknown names."""
    if score not in SCORES:
        raise ValueError(f"score must be one of {list(SCORES)}, got {score!r}")
    if nms not in NMS_MODES:
        raise ValueError(f"nms must be one of {list(NMS_MODES)}, got {nms!r}")


def pose_scores(
    keypoint_scores: np.ndarray, box_scores: np.ndarray, score: str, threshold: float = 0.2
) -> np.ndarray:
    """Scores that rank poses.

    Args:
        keypoint_scores: `(N, K)`.
        box_scores: `(N,)`.
        score: key of `SCORES`.
        threshold: keypoint scores that "bbox_keypoint" counts are above it. Default 0.2.

    Returns:
        `(N,)`.
    """
    check_selection(score)
    return SCORES[score].rule(np.asarray(keypoint_scores), np.asarray(box_scores), threshold)


def select_poses(
    image_ids: Sequence,
    keypoints: np.ndarray,
    keypoint_scores: np.ndarray,
    scores: np.ndarray,
    sigmas: np.ndarray,
    nms: str = "oks_nms",
    threshold: float = 0.9,
    areas: np.ndarray | None = None,
    ids: Sequence | None = None,
) -> np.ndarray:
    """Drops poses that were given twice, and double poses of an image.

    Args:
        image_ids: `(N,)`.
        keypoints: `(N, K, 2)` image pixels.
        keypoint_scores: `(N, K)`.
        scores: `(N,)`, see `pose_scores`.
        sigmas: `(K,)`.
        nms: "oks_nms", "soft_oks_nms" (keeps the 20 best of an image, poses near a better one
            last) or "none".
        threshold: OKS above which a pose is double.
        areas: `(N,)` square pixels; MMPose takes the padded boxes of top-down models. Default: the
            extents of the keypoints.
        ids: `(N,)` ids of the poses; of equal ones in an image only the first is kept, as the
            last batch of several devices may repeat samples.

    Returns:
        int64 rows that are kept: images in order of first appearance; in an image in the order of
        ids, or best first after suppression.
    """
    check_selection("bbox", nms)
    keypoints = np.asarray(keypoints)
    if areas is None:
        extent = keypoints[..., :2].max(1) - keypoints[..., :2].min(1)
        areas = extent[:, 0] * extent[:, 1]
    scored = np.concatenate([keypoints[..., :2], np.asarray(keypoint_scores)[..., None]], axis=-1)
    by_image = {}
    for row, image in enumerate(np.asarray(image_ids).tolist()):
        by_image.setdefault(image, []).append(row)
    kept = []
    for rows in by_image.values():
        rows = np.array(rows)
        if ids is not None:
            rows = rows[np.unique(np.asarray(ids)[rows], return_index=True)[1]]
        suppress = NMS_MODES[nms]
        if suppress is not None:
            rows = rows[suppress(scored[rows], scores[rows], areas[rows], sigmas, threshold)]
        kept.append(rows)
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)
