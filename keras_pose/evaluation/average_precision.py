"""COCO's average precision as a metric of poses, so that it can be measured by part."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pose.evaluation.coco import coco_keypoint_ap
from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.geometry import oks_nms, xyxy_to_xywh

# Keypoints that score more count for "box_keypoint", as in MMPose 1.3.2.
SURE = 0.2


def _sure_mean(scores: np.ndarray) -> np.ndarray:
    sure = scores > SURE
    return (scores * sure).sum(1) / np.maximum(sure.sum(1), 1)


# Name: what the protocol says, and (keypoint scores, box scores) -> score.
_RANKS = {
    "keypoint": ("mean keypoint score", lambda keypoint, box: keypoint.mean(1)),
    "box": ("box score", lambda keypoint, box: box),
    "box_keypoint": (
        f"box score x mean of the keypoint scores above {SURE}",
        lambda keypoint, box: box * _sure_mean(keypoint),
    ),
}


@keras.saving.register_keras_serializable(package="keras_pose")
class AveragePrecision(KeypointMetric):
    """COCO AP and AR of poses that were each predicted for an annotated object.

    Only these objects are regarded, no ignored regions and no other people of the images: for
    numbers to compare use `evaluate_topdown` or `coco_keypoint_ap`; this is for parts of the
    skeleton. The columns are `image_ids`, `areas`, `boxes`, keypoint `scores` `(N, K)` (a part's
    scores are its own), and for some scores `box_scores`.

    Args:
        sigmas: `(K,)` constants of the whole skeleton. Default: the skeleton's.
        score: how poses are ranked: "keypoint" (mean keypoint score), "box" (box score) or
            "box_keypoint" (box score x mean of the keypoint scores above 0.2).
        nms: poses of an image with a larger OKS than this are suppressed, with the areas of the
            column `crop_areas`; None: none.
    """

    def __init__(
        self,
        sigmas: Sequence[float] | None = None,
        score: str = "keypoint",
        nms: float | None = None,
    ):
        if score not in _RANKS:
            raise ValueError(f"score must be one of {list(_RANKS)}, got {score!r}")
        self.sigmas = None if sigmas is None else [float(sigma) for sigma in sigmas]
        self.score, self.nms = score, nms
        self.description = f"AP of the given objects, ranked by {_RANKS[score][0]}, " + (
            "no pose NMS" if nms is None else f"OKS NMS {nms:g}"
        )

    def measure(self, poses: Poses) -> Measurement:
        sigmas = self._sigmas(poses)
        images, areas, boxes, scores = (
            poses.column(name, "AP") for name in ("image_ids", "areas", "boxes", "scores")
        )
        box_scores = (
            poses.column("box_scores", "AP") if self.score != "keypoint" else np.ones(len(scores))
        )
        ranks = _RANKS[self.score][1](scores, box_scores)
        rows = np.flatnonzero(np.isfinite(poses.predictions).all((1, 2)) & np.isfinite(ranks))
        if self.nms is not None:
            rows = self._unsuppressed(poses, rows, images, ranks, sigmas)
        found = coco_keypoint_ap(
            _truth(poses, images, areas, boxes),
            _results(poses.predictions, images, scores, ranks, rows),
            sigmas,
        )
        return Measurement(found)

    def get_config(self) -> dict[str, Any]:
        return {"sigmas": self.sigmas, "score": self.score, "nms": self.nms}

    def _sigmas(self, poses: Poses) -> np.ndarray:
        whole = poses.complete
        sigmas = self.sigmas
        if sigmas is None:
            sigmas = None if whole.skeleton is None else whole.skeleton.sigmas
            if sigmas is None:
                raise ValueError(
                    f"AP needs sigmas, which the skeleton of {poses.name} lacks; give sigmas=[...]"
                )
            # float32 to the decimal number that it stands for
            sigmas = [float(str(sigma)) for sigma in sigmas]
        if len(sigmas) != whole.num_keypoints:
            raise ValueError(f"AP needs {whole.num_keypoints} sigmas, got {len(sigmas)}")
        return np.array(sigmas)[slice(None) if poses.places is None else list(poses.places)]

    def _unsuppressed(self, poses, rows, images, ranks, sigmas) -> np.ndarray:
        areas = poses.column("crop_areas", "AP with pose NMS")
        kept = [
            own[oks_nms(poses.predictions[own], ranks[own], areas[own], sigmas, self.nms)]
            for own in (rows[images[rows] == image] for image in np.unique(images[rows]))
        ]
        return np.concatenate(kept) if kept else rows


def _truth(poses, images, areas, boxes) -> dict[str, list]:
    points = np.concatenate([poses.ground_truth, 2.0 * poses.visible[..., None]], axis=-1)
    flat = points.reshape(len(points), -1).astype(np.float64).tolist()
    columns = zip(images.tolist(), areas.tolist(), xyxy_to_xywh(boxes).tolist(), flat, strict=True)
    return {
        "images": [{"id": image} for image in np.unique(images).tolist()],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": 1,
                "area": area,
                "bbox": box,
                "iscrowd": 0,
                "keypoints": keypoints,
            }
            for number, (image, area, box, keypoints) in enumerate(columns, start=1)
        ],
        "categories": [{"id": 1, "name": "object"}],
    }


def _results(predictions, images, scores, ranks, rows) -> list[dict]:
    points = np.concatenate([predictions, scores[..., None]], axis=-1).astype(np.float64)
    return [
        {
            "image_id": int(images[row]),
            "category_id": 1,
            "keypoints": points[row].ravel().tolist(),
            "score": float(ranks[row]),
        }
        for row in rows.tolist()
    ]
