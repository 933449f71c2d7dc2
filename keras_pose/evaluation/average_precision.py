"""COCO's average precision as a metric of poses, so that it can be measured by part."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pose.evaluation.coco import coco_keypoint_ap
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.geometry import xyxy_to_xywh


@keras.saving.register_keras_serializable(package="keras_pose")
class AveragePrecision(KeypointMetric):
    """COCO AP and AR of poses that were each predicted for an annotated object.

    Only these objects are regarded, no ignored regions and no other people of the images: for
    numbers to compare use `evaluate_topdown` or `coco_keypoint_ap`; this is for parts of the
    skeleton. The columns are `image_ids`, `areas`, `boxes`, keypoint `scores` `(N, K)` (a part's
    scores are its own), and for some scores `box_scores`.

    Args:
        sigmas: `(K,)` constants of the whole skeleton. Default: the skeleton's.
        score: how poses are ranked, see `PoseSelection`.
        nms: how double poses are suppressed, with the areas of the column `crop_areas`.
        nms_threshold: OKS above which a pose is double.
    """

    def __init__(
        self,
        sigmas: Sequence[float] | None = None,
        score: str = "keypoint",
        nms: str = "none",
        nms_threshold: float = 0.9,
    ):
        self.selection = PoseSelection(score, nms, nms_threshold)
        self.sigmas = None if sigmas is None else [float(sigma) for sigma in sigmas]
        self.description = (
            f"AP of the given objects, ranked by {self.selection.score_description()}, pose NMS: "
            f"{self.selection.nms_description}"
        )

    def measure(self, poses: Poses) -> Measurement:
        sigmas = self._sigmas(poses)
        images, areas, boxes, scores = (
            poses.column(name, "AP") for name in ("image_ids", "areas", "boxes", "scores")
        )
        uses_boxes = self.selection.score != "keypoint"
        box_scores = poses.column("box_scores", "AP") if uses_boxes else np.ones(len(scores))
        crop_areas = None
        if self.selection.nms != "none":
            crop_areas = poses.column("crop_areas", "AP with pose NMS")
        found = PosePredictions(
            images, poses.predictions, scores, box_scores, crop_areas=crop_areas
        )
        truth = _truth(poses, images, areas, boxes)
        return Measurement(coco_keypoint_ap(truth, found.to_coco(self.selection, sigmas), sigmas))

    def get_config(self) -> dict[str, Any]:
        selection = self.selection
        return {
            "sigmas": self.sigmas,
            "score": selection.score,
            "nms": selection.nms,
            "nms_threshold": selection.nms_threshold,
        }

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
