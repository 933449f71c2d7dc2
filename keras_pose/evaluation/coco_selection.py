"""From a network's poses to COCO results: how poses are ranked and which double ones are dropped.

The rules are those of MMPose 1.3.2's CocoMetric, under its names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_pose.geometry.nms import oks_nms, soft_oks_nms


class ScoreRule(NamedTuple):
    """How a pose is ranked.

    Attributes:
        description: what a protocol calls it, with `{box}` for whose score the box's is.
        rule: (keypoint scores `(N, K)`, box scores `(N,)`, keypoint threshold) -> `(N,)`.
    """

    description: str
    rule: Callable[[np.ndarray, np.ndarray, float], np.ndarray]


class NmsMode(NamedTuple):
    """How double poses are suppressed: what a protocol calls it, and the function of one image."""

    description: str
    suppress: Callable[..., np.ndarray] | None


def _sure(keypoint: np.ndarray, threshold: float) -> np.ndarray:
    """Mean of the keypoint scores above a threshold, 0 where none is."""
    counted = keypoint > threshold
    total = np.where(counted, keypoint, 0).sum(1, dtype=np.float64)
    return total / np.maximum(counted.sum(1), 1)


SCORES = {
    "keypoint": ScoreRule("mean keypoint score", lambda keypoint, box, _: keypoint.mean(1)),
    "bbox": ScoreRule("{box} score", lambda keypoint, box, _: box),
    "bbox_keypoint": ScoreRule(
        "{box} score x mean of the keypoint scores above {threshold:g}",
        lambda keypoint, box, threshold: box * _sure(keypoint, threshold),
    ),
    "bbox_rle": ScoreRule(
        "{box} score + mean + highest keypoint score",
        lambda keypoint, box, _: box + keypoint.mean(1) + keypoint.max(1),
    ),
}

NMS_MODES = {
    "none": NmsMode("none", None),
    "oks_nms": NmsMode("OKS {threshold:g}", oks_nms),
    "soft_oks_nms": NmsMode("soft OKS {threshold:g}", soft_oks_nms),
}


@dataclass(frozen=True)
class PoseSelection:
    """How poses are ranked and double ones dropped.

    Args:
        score: key of `SCORES`: "keypoint" (mean keypoint score), "bbox" (score of the box, of the
            instance for networks without boxes), "bbox_keypoint" (box score times the mean of the
            keypoint scores above `keypoint_threshold`) or "bbox_rle" (box score plus mean plus
            highest keypoint score, https://arxiv.org/abs/2107.11291).
        nms: key of `NMS_MODES`: "none", "oks_nms" (poses too similar to a better one are dropped)
            or "soft_oks_nms" (the 20 best of an image are kept, poses near a better one last).
        nms_threshold: OKS above which a pose is double.
        keypoint_threshold: keypoint scores that "bbox_keypoint" counts are above it.

    Raises:
        ValueError: for unknown names, or a threshold that no OKS reaches.
    """

    score: str = "keypoint"
    nms: str = "none"
    nms_threshold: float = 0.9
    keypoint_threshold: float = 0.2

    def __post_init__(self):
        if self.score not in SCORES:
            raise ValueError(f"score must be one of {list(SCORES)}, got {self.score!r}")
        if self.nms not in NMS_MODES:
            raise ValueError(f"nms must be one of {list(NMS_MODES)}, got {self.nms!r}")
        if not 0 <= self.nms_threshold <= 1:
            raise ValueError(f"nms_threshold, an OKS, must be in 0..1, got {self.nms_threshold}")

    def score_description(self, box: str = "box") -> str:
        """What a protocol says of the score; `box` is whose score the box's is."""
        text = SCORES[self.score].description
        return text.format(box=box, threshold=self.keypoint_threshold)

    @property
    def nms_description(self) -> str:
        """What a protocol says of suppression."""
        return NMS_MODES[self.nms].description.format(threshold=self.nms_threshold)

    def scores(self, keypoint_scores: np.ndarray, box_scores: np.ndarray) -> np.ndarray:
        """Scores `(N,)` that rank poses, of those of keypoints `(N, K)` and of boxes `(N,)`."""
        rule = SCORES[self.score].rule
        return rule(np.asarray(keypoint_scores), np.asarray(box_scores), self.keypoint_threshold)

    def rows(
        self,
        image_ids: Sequence,
        keypoints: np.ndarray,
        keypoint_scores: np.ndarray,
        scores: np.ndarray,
        sigmas: np.ndarray,
        areas: np.ndarray | None = None,
        ids: Sequence | None = None,
    ) -> np.ndarray:
        """Drops poses that were given twice, and double poses of an image.

        Args:
            image_ids: `(N,)`.
            keypoints: `(N, K, 2)` image pixels.
            keypoint_scores: `(N, K)`.
            scores: `(N,)`, see `scores`.
            sigmas: `(K,)`.
            areas: `(N,)` square pixels; MMPose takes the padded boxes of top-down models. Default:
                the extents of the keypoints.
            ids: `(N,)` ids of the poses; of equal ones in an image only the first is kept, as the
                last batch of several devices may repeat samples.

        Returns:
            int64 rows that are kept: images in order of first appearance; in an image in the order
            of ids, or best first after suppression.
        """
        suppress = NMS_MODES[self.nms].suppress
        keypoints = np.asarray(keypoints)
        if areas is None:
            extent = keypoints[..., :2].max(1) - keypoints[..., :2].min(1)
            areas = extent[:, 0] * extent[:, 1]
        scored = [keypoints[..., :2], np.asarray(keypoint_scores)[..., None]]
        scored = np.concatenate(scored, axis=-1)
        by_image = {}
        for row, image in enumerate(np.asarray(image_ids).tolist()):
            by_image.setdefault(image, []).append(row)
        kept = []
        for rows in by_image.values():
            rows = np.array(rows)
            if ids is not None:
                rows = rows[np.unique(np.asarray(ids)[rows], return_index=True)[1]]
            if suppress is not None:
                own = (scored[rows], scores[rows], areas[rows], sigmas, self.nms_threshold)
                rows = rows[suppress(*own)]
            kept.append(rows)
        return np.concatenate(kept) if kept else np.zeros(0, np.int64)
