"""Judging a network that finds all people of a photo by itself."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.dataset_evaluation import DatasetEvaluation
from keras_pose.evaluation.keypoint_metrics import MetricLike
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.evaluation.protocol import EvaluationResult
from keras_pose.evaluation.topdown import image_paths

_IMAGES_AT_A_TIME = 64


def evaluate_bottomup(
    estimator: Any,
    dataset: KeypointDataset,
    flip_test: bool = False,
    batch_size: int = 8,
    score: str = "bbox",
    *,
    nms: str = "none",
    nms_threshold: float = 0.9,
    threshold: float = 0.0,
    engine: str = "auto",
    split: str | None = None,
    metrics: Sequence[MetricLike] | None = None,
    observe: Callable[[PosePredictions], None] | None = None,
) -> EvaluationResult:
    """Judges a bottom-up or one-stage estimator on all images of a data set, without boxes.

    Args:
        estimator: BottomupEstimator.
        dataset: KeypointDataset with the annotated objects; images without objects count too.
        flip_test: whether to average with the mirrored images; twice the time.
        batch_size: images a batch.
        score: how poses are ranked, see `PoseSelection`; default "bbox": the network's score of
            each instance.
        nms, nms_threshold: suppression of double poses with the areas of their extents, see
            `PoseSelection`.
        threshold: instances of a lower score are left out. Default 0: all, as AP wants them.
        engine: see `coco_engine`.
        split: part of the data set, for the protocol.
        metrics: names of `INSTANCE_METRICS`. Default: "ap".
        observe: called with the predictions before they are measured.

    Returns:
        `EvaluationResult`.

    Raises:
        ValueError: for unusable input, or data that lack what a metric needs.

    Example:
        >>> estimator = BottomupEstimator.from_preset("movenet_multipose_coco")
        >>> print(evaluate_bottomup(estimator, people))
    """
    selection = PoseSelection(score, nms, nms_threshold)
    evaluation = DatasetEvaluation(dataset, engine, split, metrics)
    evaluation.need_known_objects(False)
    paths = image_paths(dataset)
    ids = list(paths)
    columns = {"image_ids": [], "keypoints": [], "scores": [], "box_scores": []}
    for start in range(0, len(ids), _IMAGES_AT_A_TIME):
        chunk = ids[start : start + _IMAGES_AT_A_TIME]
        found = estimator.predict_poses(
            [paths[image] for image in chunk],
            threshold=threshold,
            flip_test=flip_test,
            batch_size=batch_size,
        )
        for image, poses in zip(chunk, found, strict=True):
            columns["image_ids"].append(np.full(len(poses), image))
            columns["keypoints"].append(poses.keypoints[..., :2])
            columns["scores"].append(poses.scores)
            columns["box_scores"].append(poses.box_scores)
    predictions = PosePredictions(**{name: np.concatenate(rows) for name, rows in columns.items()})
    if observe is not None:
        observe(predictions)
    width, height = estimator.input_size
    boxes = f"none, whole images at {width}x{height}"
    if threshold:
        boxes += f" (score >= {threshold:g})"
    return evaluation.measure(
        predictions, selection, boxes=boxes, flip_test=flip_test, instance="instance"
    )
