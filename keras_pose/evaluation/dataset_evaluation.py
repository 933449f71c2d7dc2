"""Measuring predicted poses against one data set, whoever predicted them."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.distance_metrics import EPE
from keras_pose.evaluation.instance_metrics import INSTANCE_METRICS, InstanceMetric
from keras_pose.evaluation.keypoint_metrics import (
    MetricLike,
    by_keypoint_name,
    keypoint_metric,
    measure,
)
from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.evaluation.missing import images_without_results, objects_without_results
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.evaluation.protocol import EvaluationResult, Protocol

GROUND_TRUTH = "ground truth"
# What is measured where the skeleton has no sigmas.
DISTANCES = ("pck", EPE("error_px"))


class DatasetEvaluation:
    """Measures predictions against one data set; what does not change between epochs is kept.

    Args:
        dataset: KeypointDataset with the annotated objects.
        engine: see `coco_engine`.
        split: part of the data set, for the protocol.
        metrics: names of `INSTANCE_METRICS` ("ap": COCO AP of all people of the images; also a dict
            of `name` and settings) and metrics as `keypoint_metric` takes them. Default: AP where
            the skeleton has sigmas, else PCK relative to the longer box side and the mean distance
            in image pixels.

    Raises:
        ValueError: for unknown metrics, or data that lack what one needs (sigmas, head boxes, ...):
            this is found out here and not after all has been predicted.

    Attributes:
        names: of the numbers that are measured, in the order of the metrics.
    """

    def __init__(
        self,
        dataset: KeypointDataset,
        engine: str = "auto",
        split: str | None = None,
        metrics: Sequence[MetricLike] | None = None,
    ):
        self.dataset = dataset
        self.split = split
        if metrics is None:
            metrics = DISTANCES if dataset.skeleton.sigmas is None else ("ap",)
        elif isinstance(metrics, str | Mapping) or not metrics:
            raise ValueError(f"metrics must be a list with at least one metric, got {metrics!r}")
        self.instance_metrics, self.metrics, self.names = [], [], []
        for metric in metrics:
            settings = dict(metric) if isinstance(metric, Mapping) else {"name": metric}
            name = str(settings.pop("name", "")).lower()
            if name in INSTANCE_METRICS:
                self.instance_metrics.append(_instance_metric(name, dataset, engine, settings))
                self.names += self.instance_metrics[-1].names
            else:
                self.metrics.append(keypoint_metric(metric))
                self.names += rehearse(self.metrics[-1:], dataset)
        self._rows = {number: row for row, number in enumerate(dataset.ids.tolist())}

    def measure(
        self,
        predictions: PosePredictions,
        selection: PoseSelection | str = "keypoint",
        boxes: str = GROUND_TRUTH,
        box_padding: float | None = None,
        flip_test: bool = False,
        instance: str = "box",
    ) -> EvaluationResult:
        """Metrics of predictions.

        Args:
            predictions: poses in image pixels.
            selection: how instance metrics rank and suppress poses, or the name of a score.
            boxes, box_padding, flip_test: for the protocol.
            instance: what the protocol calls the owner of `box_scores`.
        """
        if isinstance(selection, str):
            selection = PoseSelection(selection)
        ids = () if predictions.ids is None else predictions.ids.tolist()
        for unknown in set(ids) - self._rows.keys():
            raise ValueError(
                f"predictions are of object {unknown}, which {self.dataset.name} does not have"
            )
        values, per_keypoint, notes = {}, {}, _lost(predictions)
        for metric in self.instance_metrics:
            values |= self._of_instances(metric, predictions, selection)
        if self.instance_metrics:
            annotated = self.truth.images[~self.truth.ignored]
            image_ids = np.array(self.truth.image_ids, object)[annotated]
            notes += images_without_results(image_ids, predictions.image_ids)
        if self.metrics:
            found, per_keypoint = self._of_keypoints(predictions)
            for twice in values.keys() & found.values.keys():
                raise ValueError(f"two metrics are called {twice!r}; measure them one by one")
            values |= found.values
            notes += found.notes
            notes += objects_without_results(self.dataset.ids, ids)
        described = [metric.description for metric in (*self.instance_metrics, *self.metrics)]
        ranked = bool(self.instance_metrics)
        protocol = Protocol(
            dataset=self.dataset.name,
            images=len(self.truth.image_ids if ranked else set(predictions.image_ids.tolist())),
            people=int((~self.truth.ignored).sum()) if ranked else len(ids),
            boxes=boxes,
            score=selection.score_description(instance) if ranked else "not used",
            split=self.split,
            box_padding=box_padding,
            flip_test=flip_test,
            nms=selection.nms_description if ranked else "none",
            measure="; ".join(filter(None, described)) or None,
            engine=self.instance_metrics[0].engine if ranked else None,
        )
        return EvaluationResult(values, protocol, notes, per_keypoint)

    @property
    def truth(self):
        """GroundTruthTable of the first instance metric."""
        return self.instance_metrics[0].truth

    def need_known_objects(self, known: bool) -> None:
        """Raises ValueError if a metric needs to know which object each pose is of."""
        if self.metrics and not known:
            skeleton = self.dataset.skeleton
            hint = f" (skeleton {skeleton.name!r} has no sigmas)" if skeleton.sigmas is None else ""
            raise ValueError(
                f"{self.metrics[0].description} can only be measured with boxes={GROUND_TRUTH!r} "
                "(top-down models, no --boxes), or with results that have annotation_id: it must "
                f"be known which object a pose is of; without, there is ap{hint}"
            )

    def _of_instances(self, metric, predictions, selection) -> dict[str, float]:
        kinds = metric.truth.category_ids
        if predictions.ids is None and predictions.category_ids is None and len(kinds) > 1:
            raise ValueError(
                f"{self.dataset.name} has objects of categories {kinds}, so that poses can only be "
                f"judged with boxes={GROUND_TRUTH!r}"
            )
        if selection.nms != "none" and metric.sigmas is None:
            raise ValueError(
                f"nms={selection.nms!r} needs sigmas, which skeleton "
                f"{self.dataset.skeleton.name!r} lacks"
            )
        category = kinds[0] if kinds else None
        results = predictions.to_coco(selection, metric.sigmas, category, metric.categories)
        return metric.measure(results)

    def _of_keypoints(self, predictions) -> tuple[Measurement, dict[str, dict[str, float]]]:
        self.need_known_objects(predictions.ids is not None)
        rows = [self._rows[number] for number in predictions.ids.tolist()]
        columns = {
            "scores": predictions.scores,
            "box_scores": predictions.box_scores,
            **predictions.extras,
        }
        if predictions.crop_areas is not None:
            columns["crop_areas"] = predictions.crop_areas
        poses = Poses.of(self.dataset, predictions.keypoints, rows, columns)
        found = measure(self.metrics, poses)
        return found, by_keypoint_name(found, poses)


def rehearse(metrics: Sequence[KeypointMetric], dataset: KeypointDataset) -> list[str]:
    """Raises now what metrics would say after all has been predicted: what the data lack.

    The annotated pose of the first object is measured.

    Returns:
        Names of the numbers; none where there are no objects.
    """
    if not metrics or not len(dataset):
        return []
    columns = {
        "scores": np.ones((1, dataset.skeleton.num_keypoints)),
        "box_scores": np.ones(1),
        "crop_areas": np.ones(1),
        "predicted_depths": np.zeros((1, dataset.skeleton.num_keypoints)),
        "predicted_root_depth": np.zeros(1),
        "predicted_hand_type": np.zeros((1, 2)),
    }
    return list(measure(metrics, Poses.of(dataset, dataset.keypoints[:1], [0], columns)).values)


def _instance_metric(name, dataset, engine, settings) -> InstanceMetric:
    try:
        return InstanceMetric(name, dataset, engine, **settings)
    except TypeError as error:
        raise ValueError(f"metric {name!r} has other settings: {error}") from None


def _lost(predictions: PosePredictions) -> tuple[str, ...]:
    lost = int((~predictions.finite).sum())
    note = f"{lost} of {len(predictions.scores)} predictions are not finite and count as missed"
    return (note,) if lost else ()
