"""Keypoint metrics by name, and measuring predictions for a data set with them."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.evaluation.average_precision import AveragePrecision
from keras_pose.evaluation.distance_metrics import AUC, EPE, NME
from keras_pose.evaluation.interhand import InterHandMetric
from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.evaluation.missing import objects_without_results
from keras_pose.evaluation.mpjpe import MPJPE
from keras_pose.evaluation.pck_metrics import PCK, JhmdbPCK, MpiiPCK
from keras_pose.evaluation.protocol import EvaluationResult, Protocol

MetricLike = KeypointMetric | str | Mapping[str, Any]

# Name: class and the settings that the name stands for.
METRICS = {
    "ap": (AveragePrecision, {}),
    "pck": (PCK, {}),
    "pckh": (PCK, {"norm": "head", "thresholds": [0.5]}),
    "pckt": (PCK, {"norm": "torso", "thresholds": [0.2]}),
    "mpii": (MpiiPCK, {}),
    "jhmdb": (JhmdbPCK, {}),
    "auc": (AUC, {}),
    "epe": (EPE, {}),
    "nme": (NME, {}),
    "nme_box": (NME, {"norm": "box"}),
    "mpjpe": (MPJPE, {}),
    "p-mpjpe": (MPJPE, {"alignment": "procrustes"}),
    "n-mpjpe": (MPJPE, {"alignment": "scale"}),
    "interhand": (InterHandMetric, {}),
}


def keypoint_metric(metric: MetricLike, **settings: Any) -> KeypointMetric:
    """The metric that is meant by an instance, a name or a dict.

    Args:
        metric: KeypointMetric; a key of `METRICS`; a dict of `name` and settings, such as
            `{"name": "pck", "thresholds": [0.1]}`; or a dict as Keras serialises the object.
        settings: arguments of the metric's class, with a name.

    Raises:
        ValueError: for an unknown name (the nearest are named) or unknown settings.

    Example:
        >>> keypoint_metric("pckt", thresholds=[0.1, 0.2])
    """
    if isinstance(metric, Mapping) and "class_name" in metric:
        metric = keras.saving.deserialize_keras_object(dict(metric))
    elif isinstance(metric, Mapping) and "name" in metric:
        settings = {key: value for key, value in metric.items() if key != "name"} | settings
        metric = metric["name"]
    if isinstance(metric, KeypointMetric):
        if settings:
            raise ValueError(f"settings {sorted(settings)} need a metric's name, got {metric!r}")
        return metric
    if not isinstance(metric, str) or metric.lower() not in METRICS:
        near = difflib.get_close_matches(str(metric).lower(), METRICS, n=3, cutoff=0.4)
        raise ValueError(
            f"unknown metric {metric!r}; {'did you mean ' + ', '.join(near) if near else 'known'}"
            f"{'' if near else ' are ' + ', '.join(METRICS)}"
        )
    kind, own = METRICS[metric.lower()]
    try:
        return kind(**(own | settings))
    except TypeError as error:
        raise ValueError(f"metric {metric!r} has other settings: {error}") from None


def measure(metrics: Iterable[KeypointMetric], poses: Poses) -> Measurement:
    """Several metrics of the same poses as one.

    Raises:
        ValueError: if two of them give a number of the same name.
    """
    values, per_keypoint, notes = {}, {}, ()
    for metric in metrics:
        found = metric.measure(poses)
        for twice in values.keys() & found.values.keys():
            raise ValueError(f"two metrics are called {twice!r}; measure them one by one")
        values |= found.values
        per_keypoint |= found.per_keypoint
        notes += tuple(note for note in found.notes if note not in notes)
    return Measurement(values, per_keypoint, notes)


def by_keypoint_name(found: Measurement, poses: Poses) -> dict[str, dict[str, float]]:
    """A measurement's numbers a keypoint as metric -> keypoint name -> number."""
    names = (
        poses.skeleton.keypoints
        if poses.skeleton is not None
        else [str(number) for number in range(poses.num_keypoints)]
    )
    return {
        metric: dict(zip(names, np.asarray(numbers, float).tolist(), strict=True))
        for metric, numbers in found.per_keypoint.items()
    }


def evaluate(
    predictions: np.ndarray,
    dataset: KeypointDataset,
    metric: MetricLike | Sequence[MetricLike] = "pck",
    *,
    rows: Sequence[int] | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    boxes: str = "ground truth",
    box_padding: float | None = None,
    flip_test: bool = False,
    split: str | None = None,
) -> EvaluationResult:
    """Judges predicted keypoints with metrics of keypoints (COCO AP: `coco_keypoint_ap`).

    Args:
        predictions: `(M, K, 2)` image pixels.
        dataset: KeypointDataset with the annotated objects.
        metric: one or several, see `keypoint_metric`.
        rows: ints `(M,)`, rows of the data set that they belong to. Default: all, in order.
        columns: further arrays `(M, ...)` that a metric asks for, such as `head_sizes`.
        boxes, box_padding, flip_test, split: for the protocol.

    Returns:
        `EvaluationResult`: print it to see the metrics with their protocol; `per_keypoint` has
        those of each keypoint.

    Raises:
        ValueError: for arrays that do not fit, or data that lack what the metric needs.

    Example:
        >>> print(evaluate(found, people, "pckh"))
        PCKh@0.5 0.8597
        on mpii val: ...
    """
    several = not isinstance(metric, str | Mapping | KeypointMetric)
    metrics = [keypoint_metric(one) for one in (metric if several else [metric])]
    poses = Poses.of(dataset, predictions, rows, columns)
    found = measure(metrics, poses)
    protocol = Protocol(
        dataset=dataset.name,
        images=len(set(dataset.image_ids[slice(None) if rows is None else list(rows)].tolist())),
        people=len(poses.predictions),
        boxes=boxes,
        score="not used",
        split=split,
        box_padding=box_padding,
        flip_test=flip_test,
        measure="; ".join(one.description for one in metrics),
    )
    lost = int((~np.isfinite(poses.predictions).reshape(len(poses.predictions), -1).all(1)).sum())
    notes = (f"{lost} of {len(poses.predictions)} predictions are not finite",) if lost else ()
    if rows is not None:
        notes += objects_without_results(dataset.ids, dataset.ids[list(rows)])
    return EvaluationResult(
        found.values, protocol, notes + found.notes, by_keypoint_name(found, poses)
    )
