"""Judging a top-down estimator on a data set."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.datasets.batches import plain_errors
from keras_pose.evaluation.coco import coco_engine, table_ap
from keras_pose.evaluation.coco_records import GroundTruthTable, ResultTable, read_records
from keras_pose.evaluation.distance_metrics import EPE
from keras_pose.evaluation.keypoint_metrics import (
    MetricLike,
    by_keypoint_name,
    keypoint_metric,
    measure,
    without_prediction,
)
from keras_pose.evaluation.metric import Measurement, Poses
from keras_pose.evaluation.protocol import EvaluationResult, Protocol
from keras_pose.geometry import apply_affine, xywh_to_xyxy
from keras_pose.predictor import PosePredictor

GROUND_TRUTH = "ground truth"
AVERAGE_PRECISION = "ap"
# What is measured where the skeleton has no sigmas.
DISTANCES = ("pck", EPE("error_px"))
_IMAGES_AT_A_TIME = 64


@dataclass(frozen=True)
class ScoreRule:
    """How a pose is ranked: its name in a protocol, and (keypoint scores, box scores) -> score."""

    description: str
    rule: Callable[[np.ndarray, np.ndarray], np.ndarray]


SCORES = {
    "keypoint": ScoreRule("mean keypoint score", lambda keypoint, box: keypoint.mean(1)),
    "box_keypoint": ScoreRule(
        "box score x mean keypoint score", lambda keypoint, box: box * keypoint.mean(1)
    ),
}


@dataclass(frozen=True)
class TopdownPredictions:
    """Poses of many images as columns, a row a pose.

    Attributes:
        image_ids: `(M,)` int64.
        keypoints: `(M, K, 2)` image pixels.
        scores: `(M, K)` keypoint scores.
        box_scores: `(M,)`, 1 for annotated boxes.
        ids: `(M,)` ids of the annotations whose boxes were used, None for other boxes.
    """

    image_ids: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    box_scores: np.ndarray
    ids: np.ndarray | None = None

    @property
    def finite(self) -> np.ndarray:
        """`(M,)` bool: rows without NaN and infinity."""
        columns = (self.keypoints, self.scores, self.box_scores)
        return np.all([np.isfinite(c.reshape(len(c), -1)).all(1) for c in columns], axis=0)

    def to_coco(self, score: str, category: Any, categories: Mapping[int, Any]) -> list[dict]:
        """COCO keypoint results; poses with numbers that are not finite are left out.

        Args:
            score: key of `SCORES`.
            category: category id of poses in boxes that are no annotation's.
            categories: annotation id to category id, for the others.
        """
        ranks = SCORES[score].rule(self.scores, self.box_scores)
        flat = np.concatenate([self.keypoints, self.scores[:, :, None]], axis=-1)
        flat = flat.reshape(len(flat), -1).astype(np.float64)
        ids = None if self.ids is None else self.ids.tolist()
        return [
            {
                "image_id": int(self.image_ids[row]),
                "category_id": category if ids is None else categories[ids[row]],
                "keypoints": flat[row].tolist(),
                "score": float(ranks[row]),
            }
            for row in np.flatnonzero(self.finite)
        ]


class TopdownEvaluation:
    """Measures predictions against one data set; what does not change between epochs is kept.

    Args:
        dataset: KeypointDataset with the annotated objects.
        engine: see `coco_engine`.
        split: part of the data set, for the protocol.
        metrics: "ap" (COCO AP of all people of the images) and metrics as `keypoint_metric` takes
            them. Default: AP where the skeleton has sigmas, else PCK relative to the longer box
            side and the mean distance in image pixels.

    Raises:
        ValueError: for unknown metrics, or AP without sigmas.
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
            metrics = DISTANCES if dataset.skeleton.sigmas is None else (AVERAGE_PRECISION,)
        elif isinstance(metrics, str | Mapping) or not metrics:
            raise ValueError(f"metrics must be a list with at least one metric, got {metrics!r}")
        others = [one for one in metrics if str(one).lower() != AVERAGE_PRECISION]
        self.uses_ap = len(others) < len(metrics)
        self.metrics = [keypoint_metric(one) for one in others]
        if self.uses_ap and dataset.skeleton.sigmas is None:
            raise ValueError(f"AP needs sigmas, which skeleton {dataset.skeleton.name!r} lacks")
        self.engine = coco_engine(engine) if self.uses_ap else None
        self._rows = {number: row for row, number in enumerate(dataset.ids.tolist())}
        if self.uses_ap:
            self._categories = dict(
                zip(dataset.ids.tolist(), dataset.category_ids.tolist(), strict=True)
            )
            self.truth = GroundTruthTable.from_coco(
                dataset.annotations,
                name=f"ground truth of {dataset.name}",
                category_ids=self._categories.values(),
            )
            # float32 to the decimal number that it stands for
            self._sigmas = [float(str(sigma)) for sigma in dataset.skeleton.sigmas]

    def measure(
        self,
        predictions: TopdownPredictions,
        score: str = "keypoint",
        boxes: str = GROUND_TRUTH,
        box_padding: float | None = None,
        flip_test: bool = False,
    ) -> EvaluationResult:
        """Metrics of predictions; the other arguments go into the protocol."""
        ids = () if predictions.ids is None else predictions.ids.tolist()
        for unknown in set(ids) - self._rows.keys():
            raise ValueError(f"batches have an object with id {unknown}, {self.dataset.name} not")
        lost = int((~predictions.finite).sum())
        values = self._average_precision(predictions, score) if self.uses_ap else {}
        found, per_keypoint = self._measured(predictions) if self.metrics else (Measurement({}), {})
        protocol = Protocol(
            dataset=self.dataset.name,
            images=len(self.truth.image_ids) if self.uses_ap else len(set(predictions.image_ids)),
            people=int((~self.truth.ignored).sum()) if self.uses_ap else len(predictions.ids),
            boxes=boxes,
            score=SCORES[score].description if self.uses_ap else "not used",
            split=self.split,
            box_padding=box_padding,
            flip_test=flip_test,
            measure="; ".join(one.description for one in self.metrics) or None,
            engine=self.engine,
        )
        note = f"{lost} of {len(predictions.scores)} predictions are not finite and count as missed"
        notes = ((note,) if lost else ()) + found.notes
        if self.metrics:
            notes += without_prediction(len(set(ids)), self.dataset)
        return EvaluationResult(values | found.values, protocol, notes, per_keypoint)

    def _average_precision(self, predictions, score):
        kinds = self.truth.category_ids
        if predictions.ids is None and len(kinds) > 1:
            raise ValueError(
                f"{self.dataset.name} has objects of categories {kinds}, so that poses can only be "
                f"judged with boxes={GROUND_TRUTH!r}"
            )
        results = predictions.to_coco(score, kinds[0] if kinds else None, self._categories)
        detections = ResultTable.from_coco(results, self.truth, "predictions")
        return table_ap(self.truth, detections, self._sigmas, engine=self.engine)

    def _measured(self, predictions) -> tuple[Measurement, dict[str, dict[str, float]]]:
        self.need_annotated_boxes(predictions.ids is not None)
        rows = [self._rows[number] for number in predictions.ids.tolist()]
        columns = {"scores": predictions.scores, "box_scores": predictions.box_scores}
        poses = Poses.of(self.dataset, predictions.keypoints, rows, columns)
        found = measure(self.metrics, poses)
        return found, by_keypoint_name(found, poses)

    def need_annotated_boxes(self, annotated: bool) -> None:
        """Raises ValueError if boxes are not annotated ones and a metric needs to know whose."""
        if self.metrics and not annotated:
            skeleton = self.dataset.skeleton
            hint = (
                ""
                if skeleton.sigmas is not None
                else f" (skeleton {skeleton.name!r} has no sigmas)"
            )
            raise ValueError(
                f"{self.metrics[0].description} can only be measured with boxes={GROUND_TRUTH!r}; "
                f"other boxes are for AP{hint}"
            )


@plain_errors()
def predict_batches(
    estimator: Any, batches: Iterable, flip_test: bool = False
) -> TopdownPredictions:
    """Runs an estimator over batches of crops and maps the keypoints into the images.

    Args:
        estimator: anything with `predict_on_batch(images)` that gives `keypoints` `(B, 1, K, 2)` in
            input pixels and `scores` `(B, 1, K)`.
        batches: `(images, labels)` with `affine` `(B, 2, 3)`, `ids` and `image_ids` `(B,)`, as
            `topdown_dataset` gives them with `training=False`.
        flip_test: whether to average with the mirrored crops.
    """
    options = {"flip_test": True} if flip_test else {}
    columns = {"image_ids": [], "keypoints": [], "scores": [], "ids": []}
    full = 0
    for images, labels in batches:
        missing = {"affine", "ids", "image_ids"} - set(labels)
        if missing:
            raise ValueError(
                f"batches must have the labels affine, ids and image_ids, {sorted(missing)} are "
                "missing; topdown_dataset(..., training=False) gives them"
            )
        images = np.asarray(images)
        count = len(images)
        full = max(full, count)
        # A last batch of another size would be compiled anew.
        padding = np.zeros((full - count, *images.shape[1:]), images.dtype)
        outputs = estimator.predict_on_batch(np.concatenate([images, padding]), **options)
        keypoints = np.asarray(outputs["keypoints"], np.float32)[:count, 0, :, :2]
        columns["keypoints"].append(apply_affine(np.asarray(labels["affine"]), keypoints))
        columns["scores"].append(np.asarray(outputs["scores"], np.float32)[:count, 0])
        columns["ids"].append(np.asarray(labels["ids"]))
        columns["image_ids"].append(np.asarray(labels["image_ids"]))
    if not full:
        raise ValueError("batches are empty: there is nothing to evaluate")
    columns = {name: np.concatenate(parts) for name, parts in columns.items()}
    return TopdownPredictions(box_scores=np.ones(len(columns["ids"]), np.float32), **columns)


def evaluate_topdown(
    estimator: Any,
    dataset: KeypointDataset,
    flip_test: bool = False,
    batch_size: int = 32,
    boxes: Any = GROUND_TRUTH,
    score: str = "keypoint",
    *,
    boxes_name: str | None = None,
    detection_threshold: float = 0.1,
    iou_threshold: float = 0.5,
    engine: str = "auto",
    split: str | None = None,
    metrics: Sequence[MetricLike] | None = None,
    observe: Callable[[TopdownPredictions], None] | None = None,
) -> EvaluationResult:
    """Judges a top-down estimator: COCO AP, or PCK and pixel error for skeletons without sigmas.

    Args:
        estimator: TopdownEstimator.
        dataset: KeypointDataset with the annotated objects.
        flip_test: whether to average with the mirrored crops; twice the time.
        batch_size: crops a batch.
        boxes: whose boxes are cropped: "ground truth"; a list of COCO detection results
            (`image_id`, `bbox` xywh, `score`) or the path of its JSON file; or a detector, see
            `PosePredictor`.
        score: how poses are ranked, "keypoint" (mean keypoint score) or "box_keypoint" (box score
            times mean keypoint score; annotated boxes have score 1).
        boxes_name: what the protocol calls the boxes; default made of the argument.
        detection_threshold: boxes of a lower score are left out.
        iou_threshold: of two boxes of a detector that overlap more only the better is kept.
        engine: see `coco_engine`.
        split: part of the data set, for the protocol.
        metrics: list of "ap" and of metrics as `keypoint_metric` takes them, e.g. `["ap", "pckh"]`;
            all but AP need annotated boxes.
        observe: called with the predictions before they are measured, e.g. to draw them.

    Returns:
        `EvaluationResult`: print it to see the metrics with their protocol.

    Raises:
        ValueError: for unusable input.
        ImportError: if no COCO evaluation library is installed.
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {list(SCORES)}, got {score!r}")
    evaluation = TopdownEvaluation(dataset, engine, split, metrics)
    if isinstance(boxes, str) and boxes == GROUND_TRUTH:
        batches = topdown_dataset(dataset, estimator, batch_size, training=False)
        predictions = predict_batches(estimator, batches, flip_test)
        description = GROUND_TRUTH
    else:
        evaluation.need_annotated_boxes(False)
        limits = f"score >= {detection_threshold:g}"
        if hasattr(boxes, "detect"):  # others decide about overlaps themselves
            limits += f", box NMS {iou_threshold:g}"
        description = f"{_boxes_name(boxes, boxes_name)} ({limits})"
        predictions = _predict_images(
            estimator,
            dataset,
            boxes,
            threshold=detection_threshold,
            iou_threshold=iou_threshold,
            batch_size=batch_size,
            flip_test=flip_test,
        )
    if observe is not None:
        observe(predictions)
    return evaluation.measure(
        predictions,
        score,
        boxes=description,
        box_padding=getattr(estimator, "box_padding", None),
        flip_test=flip_test,
    )


def _boxes_name(boxes, name) -> str:
    if name is not None:
        return name
    if isinstance(boxes, str | os.PathLike):
        return Path(boxes).name
    if isinstance(boxes, Sequence):
        return "given boxes"
    return getattr(boxes, "name", None) or type(boxes).__name__


def _predict_images(estimator, dataset, boxes, threshold, **options) -> TopdownPredictions:
    """Poses in the boxes of a detector, in all images of the ground truth."""
    paths = _image_paths(dataset)
    given = isinstance(boxes, str | os.PathLike | Sequence)
    by_image = _boxes_by_image(boxes, paths, threshold) if given else None
    detector = None if given else boxes
    predictor = PosePredictor(estimator, detector, threshold=threshold, **options)
    columns = {"image_ids": [], "keypoints": [], "scores": [], "box_scores": []}
    ids = list(paths)
    for start in range(0, len(ids), _IMAGES_AT_A_TIME):
        chunk = ids[start : start + _IMAGES_AT_A_TIME]
        own = {}
        if given:
            own = {
                "boxes": [by_image[image][0] for image in chunk],
                "box_scores": [by_image[image][1] for image in chunk],
            }
        found = predictor.predict([paths[image] for image in chunk], **own)
        for image, poses in zip(chunk, found, strict=True):
            columns["image_ids"].append(np.full(len(poses), image))
            columns["keypoints"].append(poses.keypoints[..., :2])
            columns["scores"].append(poses.scores)
            scores = np.ones(len(poses)) if poses.box_scores is None else poses.box_scores
            columns["box_scores"].append(scores)
    return TopdownPredictions(**{name: np.concatenate(rows) for name, rows in columns.items()})


def _image_paths(dataset) -> dict[int, str]:
    """Path of every annotated image, also of those without objects in the data set's arrays."""
    known = dict(zip(dataset.image_ids.tolist(), dataset.image_paths, strict=True))
    names = {image["id"]: image.get("file_name") for image in dataset.annotations["images"]}
    folders = {
        path.removesuffix(names[image])
        for image, path in known.items()
        if names.get(image) and path.endswith(names[image])
    }
    if names.keys() - known.keys() and len(folders) != 1:
        raise ValueError(f"{dataset.name}: the folder of the images without objects is not known")
    folder = next(iter(folders), "")
    return {image: known.get(image) or folder + name for image, name in names.items()}


def _boxes_by_image(source, paths, threshold) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    records = read_records(source, "boxes")
    by_image = {image: ([], []) for image in paths}
    for position, record in enumerate(records):
        try:
            image, box, score = record["image_id"], record["bbox"], float(record["score"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"boxes[{position}] must be a dict with image_id, bbox (xywh) and score"
            ) from None
        if image not in by_image:
            raise ValueError(f"boxes[{position}] is of image {image!r}, which the data set lacks")
        if score >= threshold:
            by_image[image][0].append(box)
            by_image[image][1].append(score)
    return {
        image: (
            xywh_to_xyxy(np.array(rows, np.float32).reshape(-1, 4)),
            np.array(scores, np.float32),
        )
        for image, (rows, scores) in by_image.items()
    }
