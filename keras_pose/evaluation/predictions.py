"""Predicted poses of many images as columns, whoever predicted them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_pose.evaluation.coco_selection import PoseSelection


@dataclass(frozen=True, eq=False)
class PosePredictions:
    """Poses of many images, a row a pose.

    Attributes:
        image_ids: `(M,)` int64.
        keypoints: `(M, K, 2)` image pixels.
        scores: `(M, K)` keypoint scores.
        box_scores: `(M,)`, of the boxes or of the instances; 1 for annotated boxes.
        ids: `(M,)` ids of the annotations that they are of, None where that is not known.
        crop_areas: `(M,)` square pixels of the padded boxes, None for networks without boxes.
        category_ids: `(M,)`, None where it is the annotation's or the only one.
        result_boxes: `(M, 4)` xywh that results carry, None without; they only decide what counts
            for medium and large people.
        extras: further columns `(M, ...)` for keypoint metrics, such as `predicted_depths` `(M, K)`
            of networks that see depth, in the unit of their codec.
    """

    image_ids: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    box_scores: np.ndarray
    ids: np.ndarray | None = None
    crop_areas: np.ndarray | None = None
    category_ids: np.ndarray | None = None
    result_boxes: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def finite(self) -> np.ndarray:
        """`(M,)` bool: rows without NaN and infinity."""
        columns = (self.keypoints, self.scores, self.box_scores)
        finite = [np.isfinite(c).all(axis=tuple(range(1, c.ndim))) for c in columns]
        return np.all(finite, axis=0)

    def selected(self, selection: PoseSelection, sigmas) -> tuple[np.ndarray, np.ndarray]:
        """Rows that remain, without those that are not finite, and the scores of all rows.

        Args:
            selection: how poses are ranked and suppressed.
            sigmas: `(K,)`; only suppression looks at them.
        """
        scores = selection.scores(self.scores, self.box_scores)
        rows = np.flatnonzero(self.finite)
        if selection.nms != "none":
            areas = None if self.crop_areas is None else self.crop_areas[rows]
            columns = (column[rows] for column in (self.image_ids, self.keypoints, self.scores))
            rows = rows[selection.rows(*columns, scores[rows], sigmas, areas)]
        return rows, scores

    def to_coco(
        self,
        selection: PoseSelection,
        sigmas: np.ndarray | None = None,
        category: Any = 1,
        categories: Mapping[int, Any] | None = None,
    ) -> list[dict]:
        """COCO keypoint results; poses with numbers that are not finite are left out.

        Args:
            selection: how poses are ranked and suppressed.
            sigmas: `(K,)`, for suppression.
            category: category id of poses of which nothing else is known.
            categories: annotation id to category id, for poses that are of annotations.

        Returns:
            A dict a pose; `annotation_id` is the object that it is of, where that is known.
        """
        rows, ranks = self.selected(selection, sigmas)
        points = np.concatenate([self.keypoints, self.scores[:, :, None]], axis=-1)
        points = points.astype(np.float64)
        results = []
        for row in rows.tolist():
            result = {
                "image_id": int(self.image_ids[row]),
                "category_id": category,
                "keypoints": points[row].ravel().tolist(),
                "score": float(ranks[row]),
            }
            if self.ids is not None:
                result["annotation_id"] = int(self.ids[row])
                if categories is not None:
                    result["category_id"] = categories[result["annotation_id"]]
            if self.category_ids is not None:
                result["category_id"] = int(self.category_ids[row])
            if self.result_boxes is not None:
                result["bbox"] = self.result_boxes[row].tolist()
            results.append(result)
        return results
