"""Judging a top-down estimator on a data set."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.datasets.batches import plain_errors
from keras_pose.evaluation.coco_records import read_records
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.dataset_evaluation import GROUND_TRUTH, DatasetEvaluation
from keras_pose.evaluation.keypoint_metrics import MetricLike
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.evaluation.protocol import EvaluationResult
from keras_pose.geometry import apply_affine, match_aspect, xywh_to_xyxy, xyxy_to_center_scale
from keras_pose.predictor import PosePredictor

_IMAGES_AT_A_TIME = 64


@plain_errors()
def predict_batches(estimator: Any, batches: Iterable, flip_test: bool = False) -> PosePredictions:
    """Runs an estimator over batches of crops and maps the keypoints into the images.

    Args:
        estimator: anything with `predict_on_batch(images)` that gives `keypoints` `(B, 1, K, 2)` in
            input pixels and `scores` `(B, 1, K)`; depths, and of hands `root_depth` `(B, 1)` and
            `hand_type` `(B, 2)`, are kept for metrics that read them.
        batches: `(images, labels)` with `affine` `(B, 2, 3)`, `ids` and `image_ids` `(B,)`, as
            `topdown_dataset` gives them with `training=False`.
        flip_test: whether to average with the mirrored crops.
    """
    options = {"flip_test": True} if flip_test else {}
    columns = {"image_ids": [], "keypoints": [], "scores": [], "ids": [], "crop_areas": []}
    extras: dict[str, list] = {}
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
        for name, values in _in_depth(outputs).items():
            extras.setdefault(name, []).append(values[:count])
        affine = np.asarray(labels["affine"])
        # The unbiased warp maps the first pixel's centre to the first, the last one's to the last.
        sides = np.array(images.shape[1:3]) - bool(getattr(estimator, "udp", False))
        columns["crop_areas"].append(np.abs(np.linalg.det(affine[:, :, :2])) * sides.prod())
        columns["keypoints"].append(apply_affine(affine, keypoints))
        columns["scores"].append(np.asarray(outputs["scores"], np.float32)[:count, 0])
        columns["ids"].append(np.asarray(labels["ids"]))
        columns["image_ids"].append(np.asarray(labels["image_ids"]))
    if not full:
        raise ValueError("batches are empty: there is nothing to evaluate")
    columns = {name: np.concatenate(parts) for name, parts in columns.items()}
    columns["extras"] = {name: np.concatenate(parts) for name, parts in extras.items()}
    return PosePredictions(box_scores=np.ones(len(columns["ids"]), np.float32), **columns)


def _in_depth(outputs) -> dict[str, np.ndarray]:
    """What a network says beyond the picture, as `PosePredictions.extras` has it."""
    found = {}
    points = np.asarray(outputs["keypoints"], np.float32)
    if points.shape[-1] == 3:
        found["predicted_depths"] = points[:, 0, :, 2]
    if "hand_type" in outputs:
        found["predicted_root_depth"] = np.asarray(outputs["root_depth"], np.float32)[:, 0]
        found["predicted_hand_type"] = np.asarray(outputs["hand_type"], np.float32)
    return found


def evaluate_topdown(
    estimator: Any,
    dataset: KeypointDataset,
    flip_test: bool = False,
    batch_size: int = 32,
    boxes: Any = GROUND_TRUTH,
    score: str = "keypoint",
    *,
    nms: str = "none",
    nms_threshold: float = 0.9,
    boxes_name: str | None = None,
    detection_threshold: float = 0.1,
    iou_threshold: float = 0.5,
    engine: str = "auto",
    split: str | None = None,
    metrics: Sequence[MetricLike] | None = None,
    observe: Callable[[PosePredictions], None] | None = None,
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
        score: how poses are ranked: "keypoint", "bbox", "bbox_keypoint" or "bbox_rle", see
            `PoseSelection`; annotated boxes have score 1. Published COCO results of top-down models
            are of "bbox_keypoint" with `nms="oks_nms"`.
        nms: suppression of double poses: "none", "oks_nms" or "soft_oks_nms", with the areas of the
            padded boxes.
        nms_threshold: OKS above which a pose is double.
        boxes_name: what the protocol calls the boxes; default made of the argument.
        detection_threshold: boxes of a lower score are left out.
        iou_threshold: of two boxes of a detector that overlap more only the better is kept.
        engine: see `coco_engine`.
        split: part of the data set, for the protocol.
        metrics: list of "ap", "crowdpose", "wholebody" or "posetrack18" (all people of the images)
            and of metrics as `keypoint_metric` takes them, e.g. `["ap", "pckh"]`; the latter need
            annotated boxes.
        observe: called with the predictions before they are measured, e.g. to draw them.

    Returns:
        `EvaluationResult`: print it to see the metrics with their protocol.

    Raises:
        ValueError: for unusable input, or data that lack what a metric needs.
        ImportError: if no COCO evaluation library is installed.
    """
    selection = PoseSelection(score, nms, nms_threshold)
    evaluation = DatasetEvaluation(dataset, engine, split, metrics)
    if isinstance(boxes, str) and boxes == GROUND_TRUTH:
        batches = topdown_dataset(dataset, estimator, batch_size, training=False)
        predictions = predict_batches(estimator, batches, flip_test)
        description = GROUND_TRUTH
    else:
        evaluation.need_known_objects(False)
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
        selection,
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


def _predict_images(estimator, dataset, boxes, threshold, **options) -> PosePredictions:
    """Poses in the boxes of a detector, in all images of the ground truth."""
    paths = image_paths(dataset)
    given = isinstance(boxes, str | os.PathLike | Sequence)
    by_image = _boxes_by_image(boxes, paths, threshold) if given else None
    detector = None if given else boxes
    predictor = PosePredictor(estimator, detector, threshold=threshold, **options)
    columns = {
        name: [] for name in ("image_ids", "keypoints", "scores", "box_scores", "crop_areas")
    }
    size, padding = estimator.input_size, estimator.box_padding
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
            sides = match_aspect(xyxy_to_center_scale(poses.boxes, padding)[1], size)
            columns["crop_areas"].append(sides.prod(1))
    return PosePredictions(**{name: np.concatenate(rows) for name, rows in columns.items()})


def image_paths(dataset) -> dict[int, str]:
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
            box = np.array(box, np.float32).reshape(4)
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"boxes[{position}] must be a dict with image_id, bbox (x, y, width, height) and "
                f"score, got {record!r:.200}"
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
