"""Metrics of all people of the images: COCO's average precision and its relatives, by name."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.evaluation.coco import coco_engine, table_ap
from keras_pose.evaluation.coco_records import BOX_TO_AREA, GroundTruthTable, ResultTable
from keras_pose.evaluation.coco_variants import crowdpose_ap, wholebody_ap
from keras_pose.evaluation.posetrack import posetrack18_ap


class InstanceMetric:
    """One of `INSTANCE_METRICS` for one data set; the annotations are read once.

    Args:
        name: key of `INSTANCE_METRICS`.
        dataset: KeypointDataset; all objects of its images count, see `annotations` there.
        engine: see `coco_engine`; only "ap" has a choice.
        use_area: whether people have the annotated area, else 0.53 of the box; only "ap" has a
            choice.

    Attributes:
        truth: GroundTruthTable of the people who could be found.
        names: of the numbers that `measure` gives.

    Raises:
        ValueError: if the data lack what the metric needs; the message says what.
    """

    def __init__(
        self, name: str, dataset: KeypointDataset, engine: str = "auto", use_area: bool = True
    ):
        rule = INSTANCE_METRICS[name]
        if name != "ap" and not use_area:
            raise ValueError(f"metric {name!r} has its own rule for areas: leave out use_area")
        if dataset.skeleton.sigmas is None and rule.needs_sigmas:
            raise ValueError(
                f"{rule.label} needs sigmas, which skeleton {dataset.skeleton.name!r} lacks: give "
                "a skeleton with them, or measure pck or epe"
            )
        self.dataset = dataset
        self.engine = coco_engine(engine) if name == "ap" else coco_engine()
        self._measure = rule.measure
        self.categories = dict(
            zip(dataset.ids.tolist(), dataset.category_ids.tolist(), strict=True)
        )
        self.truth = GroundTruthTable.from_coco(
            dataset.annotations,
            use_area=use_area,
            name=f"ground truth of {dataset.name}",
            category_ids=self.categories.values(),
        )
        self.description = rule.description or _areas(self.truth)
        # float32 to the decimal number that it stands for
        sigmas = dataset.skeleton.sigmas
        self.sigmas = None if sigmas is None else [float(str(sigma)) for sigma in sigmas]
        self.names = list(self.measure([]))

    def measure(self, results: list[dict]) -> dict[str, float]:
        """The numbers of COCO results."""
        return dict(self._measure(self, results))


def _areas(truth: GroundTruthTable) -> str | None:
    """What a protocol says of areas that were made of the boxes, because none are annotated."""
    counted = ~truth.ignored
    sides = truth.boxes[counted, 2] * truth.boxes[counted, 3]
    made = np.isclose(truth.areas[counted], np.maximum(1, BOX_TO_AREA * sides), rtol=1e-6).sum()
    if not made:
        return None
    whose = "" if made == len(sides) else f" of {made} of {len(sides)} objects"
    return f"areas{whose}: {BOX_TO_AREA:g} of the boxes"


def _coco(metric: InstanceMetric, results: list[dict]) -> Mapping:
    detections = ResultTable.from_coco(results, metric.truth, "predictions")
    return table_ap(metric.truth, detections, metric.sigmas, engine=metric.engine)


def _crowdpose(metric: InstanceMetric, results: list[dict]) -> Mapping:
    return crowdpose_ap(metric.dataset.annotations, results, metric.sigmas)


def _wholebody(metric: InstanceMetric, results: list[dict]) -> Mapping:
    found = wholebody_ap(metric.dataset.annotations, results, metric.sigmas)
    values = found.pop("wholebody")
    for part, numbers in found.items():
        values |= {f"{part}/{name}": numbers[name] for name in ("AP", "AR")}
    return values


def _posetrack(metric: InstanceMetric, results: list[dict]) -> Mapping:
    return posetrack18_ap(metric.dataset.annotations, results)


class InstanceRule(NamedTuple):
    """What an instance metric is called, needs, says in a protocol, and how it is measured."""

    label: str
    needs_sigmas: bool
    description: str | None
    measure: Callable[[InstanceMetric, list[dict]], Mapping[str, Any]]


INSTANCE_METRICS = {
    "ap": InstanceRule("AP", True, None, _coco),
    "crowdpose": InstanceRule("CrowdPose's AP", True, "CrowdPose's rules", _crowdpose),
    "wholebody": InstanceRule(
        "COCO-WholeBody's AP", True, "COCO-WholeBody's rules, parts by themselves", _wholebody
    ),
    "posetrack18": InstanceRule(
        "PoseTrack18's AP", False, "PoseTrack18's rules: PCKh 0.5 by joint, percent", _posetrack
    ),
}
