"""Judging results that somebody wrote to a file: no network is needed."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.evaluation.coco_records import read_records
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.dataset_evaluation import DatasetEvaluation
from keras_pose.evaluation.keypoint_metrics import MetricLike
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.evaluation.protocol import EvaluationResult


def evaluate_results(
    results: Sequence[Mapping] | str | os.PathLike,
    dataset: KeypointDataset,
    score: str = "bbox",
    *,
    nms: str = "none",
    nms_threshold: float = 0.9,
    engine: str = "auto",
    split: str | None = None,
    metrics: Sequence[MetricLike] | None = None,
    observe: Callable[[PosePredictions], None] | None = None,
) -> EvaluationResult:
    """Judges COCO keypoint results.

    Args:
        results: list of COCO keypoint results, or path of its JSON file (also gzipped, also what
            `keras-pose evaluate --out` wrote). With `annotation_id` in all of them, the id of the
            annotated object that a pose is of, metrics of keypoints can be measured too.
        dataset: KeypointDataset with the annotated objects.
        score: how poses are ranked, see `PoseSelection`; default "bbox": by the `score` of the
            results.
        nms, nms_threshold: suppression of double poses, see `PoseSelection`. Default: none, since
            results are mostly suppressed already.
        engine: see `coco_engine`.
        split: part of the data set, for the protocol.
        metrics: see `evaluate_topdown`.
        observe: called with the poses before they are measured.

    Returns:
        `EvaluationResult`; its notes count and name what the results lack.

    Raises:
        ValueError: for results that are not what they should be, or of images or objects that the
            data set does not have, or data that lack what a metric needs.
    """
    selection = PoseSelection(score, nms, nms_threshold)
    evaluation = DatasetEvaluation(dataset, engine, split, metrics)
    predictions = read_predictions(results, dataset)
    evaluation.need_known_objects(predictions.ids is not None)
    if observe is not None:
        observe(predictions)
    name = Path(results).name if isinstance(results, str | os.PathLike) else "given results"
    return evaluation.measure(
        predictions, selection, boxes=f"those of {name}", instance="result's own"
    )


def read_predictions(
    results: Sequence[Mapping] | str | os.PathLike, dataset: KeypointDataset
) -> PosePredictions:
    """COCO keypoint results as columns; see `evaluate_results`."""
    if isinstance(results, os.PathLike):
        results = Path(results)
    records = read_records(results, "results")
    if isinstance(records, Mapping):
        records = records.get("poses")
    if isinstance(records, str) or not isinstance(records, Sequence):
        raise ValueError(
            "results must be a list of COCO keypoint results, or a dict with them as 'poses', got "
            f"{type(records).__name__}"
        )
    images = {image["id"] for image in dataset.annotations["images"]}
    size = 3 * dataset.skeleton.num_keypoints
    for position, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise ValueError(
                f"results[{position}] must be a dict with image_id, keypoints and score, got "
                f"{record!r:.200}"
            )
        lacking = {"image_id", "keypoints", "score"} - set(record)
        if lacking:
            raise ValueError(f"results[{position}] has no {sorted(lacking)[0]!r}")
        if record["image_id"] not in images:
            raise ValueError(
                f"results[{position}] is of image {record['image_id']!r}, which {dataset.name} "
                "does not have"
            )
        found = np.size(record["keypoints"])
        if found != size:
            raise ValueError(
                f"results[{position}] has {found} keypoint numbers, skeleton "
                f"{dataset.skeleton.name!r} has {size}"
            )
    points = _numbers(records, "keypoints")
    points = points.reshape(len(records), dataset.skeleton.num_keypoints, 3)
    return PosePredictions(
        np.array([record["image_id"] for record in records]),
        points[..., :2],
        points[..., 2],
        _numbers(records, "score").reshape(len(records)),
        ids=_column(records, "annotation_id", "it must be known which object each pose is of"),
        category_ids=_column(records, "category_id", "poses are judged by category"),
        result_boxes=_column(records, "bbox", "AP_M and AP_L depend on it"),
    )


def _numbers(records: Sequence[Mapping], key: str) -> np.ndarray:
    """A field of all results as float64 rows."""
    rows = []
    for position, record in enumerate(records):
        try:
            rows.append(np.ravel(record[key]).astype(np.float64))
        except (TypeError, ValueError):
            raise ValueError(
                f"results[{position}] has a {key!r} that is no number: {record[key]!r:.200}"
            ) from None
    return np.array(rows)


def _column(records: Sequence[Mapping], key: str, why: str) -> np.ndarray | None:
    """A field that all results have, or none."""
    given = [record[key] for record in records if record.get(key) is not None]
    if len(given) not in (0, len(records)):
        raise ValueError(
            f"results must all have {key!r} or none, because {why}, got {len(given)} of "
            f"{len(records)}"
        )
    return np.array(given) if given else None
