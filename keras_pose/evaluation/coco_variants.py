"""Evaluations that go the way of COCO with rules of their own: CrowdPose and COCO-WholeBody."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_pose.evaluation.coco import (
    METRICS,
    CocoMetrics,
    checked_sigmas,
    summarize,
    table_ap,
)
from keras_pose.evaluation.coco_matching import curves, match
from keras_pose.evaluation.coco_records import GroundTruthTable, ResultTable, read_records

# Part -> number of keypoints and the annotation's field, https://github.com/jin-s13/COCO-WholeBody
WHOLEBODY_PARTS = {
    "body": (17, "keypoints"),
    "foot": (6, "foot_kpts"),
    "face": (68, "face_kpts"),
    "left_hand": (21, "lefthand_kpts"),
    "right_hand": (21, "righthand_kpts"),
}

# Metric -> crowd index from (inclusive) and to (exclusive), https://arxiv.org/abs/1812.00324
CROWD_LEVELS = {"AP_E": (0.0, 0.2), "AP_M": (0.2, 0.8), "AP_H": (0.8, np.inf)}
_CROWDPOSE_METRICS = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")


def crowdpose_ap(
    ground_truth: Mapping | str | Path,
    results: Sequence[Mapping] | str | Path,
    sigmas: Sequence[float],
    max_detections: int = 20,
) -> CocoMetrics:
    """CrowdPose's average precision: all images, and easy, medium and hard ones.

    People without a visible keypoint (visibility 2) are ignored; areas are 0.53 of the boxes.

    Args:
        ground_truth: CrowdPose annotation dict or file; its images have a `crowdIndex`.
        results: COCO keypoint results or their file.
        sigmas: `(K,)`.
        max_detections: results per image that count.

    Returns:
        Floats `AP`, `AP50`, `AP75`, `AR`, `AR50`, `AR75`, and `AP_E`, `AP_M`, `AP_H` for images
        with a crowd index below 0.2, below 0.8, and above; -1 without such images. As xtcocotools
        1.14.3, the last three are rounded to four digits. `notes`: see `coco_keypoint_ap`.

    Raises:
        ValueError: for malformed input, or if the images lack `crowdIndex`.
    """
    data = read_records(ground_truth, "ground_truth")
    truth = GroundTruthTable.from_coco(data, use_area=False)
    detections = ResultTable.from_coco(read_records(results, "results"), truth)
    indices = {image["id"]: image.get("crowdIndex") for image in data["images"]}
    lacking = [image for image, index in indices.items() if index is None]
    if lacking:
        raise ValueError(
            f"CrowdPose's metric needs the crowdIndex of images: {len(lacking)} of {len(indices)} "
            f"lack it, such as image {lacking[0]!r}"
        )
    sigmas = checked_sigmas(sigmas, truth.num_keypoints)
    crowding = np.array([indices[image] for image in truth.image_ids])
    values = _crowd_curves(truth, detections, sigmas, max_detections)
    metrics = {name: summarize(values, *METRICS[name][:2], "all") for name in _CROWDPOSE_METRICS}
    for name, (low, high) in CROWD_LEVELS.items():
        chosen = (crowding >= low) & (crowding < high)
        part = _of_images(truth, chosen), _of_images(detections, chosen)
        values = _crowd_curves(*part, sigmas, max_detections)
        metrics[name] = round(summarize(values, "precision", None, "all"), 4)
    return CocoMetrics(metrics, truth.without_results(detections))


def _crowd_curves(truth, detections, sigmas, max_detections):
    ignored = (truth.keypoints[:, :, 2] < 2).all(1)[None]
    everything = np.array([[0, np.inf]])
    matches = match(truth, detections, sigmas, max_detections, ignored, everything)
    return curves(truth, detections, matches, ignored)


def _of_images(table, chosen):
    """The rows of some images; positions of images stay."""
    rows = chosen[table.images]
    columns = {
        name: value[rows] for name, value in vars(table).items() if isinstance(value, np.ndarray)
    }
    return replace(table, **columns)


def wholebody_ap(
    ground_truth: Mapping | str | Path,
    results: Sequence[Mapping] | str | Path,
    sigmas: Sequence[float],
    max_detections: int = 20,
) -> CocoMetrics:
    """COCO-WholeBody's average precision, of the whole and of each part.

    Args:
        ground_truth: COCO-WholeBody annotation dict or file; parts are in fields of their own
            (`foot_kpts`, `face_kpts`, `lefthand_kpts`, `righthand_kpts`), or `keypoints` has all.
        results: COCO keypoint results with 133 keypoints, or their file. A part is ranked by the
            score of the whole.
        sigmas: `(133,)`.
        max_detections: results per image that count.

    Returns:
        Dict of "wholebody", "body", "foot", "face", "left_hand" and "right_hand" to the ten numbers
        of `coco_keypoint_ap`, with its `notes`.

    Raises:
        ValueError: for malformed input.
    """
    count = sum(count for count, _ in WHOLEBODY_PARTS.values())
    if len(sigmas) != count:
        raise ValueError(
            f"COCO-WholeBody's AP is of {count} keypoints, the sigmas are of {len(sigmas)}"
        )
    data = read_records(ground_truth, "ground_truth")
    merged = dict(data) | {"annotations": [_joined(a) for a in data["annotations"]]}
    truth = GroundTruthTable.from_coco(merged)
    detections = ResultTable.from_coco(read_records(results, "results"), truth)
    sigmas = checked_sigmas(sigmas, truth.num_keypoints)
    metrics = {"wholebody": table_ap(truth, detections, sigmas, max_detections)}
    start = 0
    for part, (count, _) in WHOLEBODY_PARTS.items():
        cut = slice(start, start := start + count)
        points = truth.keypoints[:, cut]
        of_part = replace(truth, keypoints=points, labelled=(points[:, :, 2] > 0).sum(1))
        found = replace(detections, keypoints=detections.keypoints[:, cut])
        metrics[part] = table_ap(of_part, found, sigmas[cut], max_detections)
    return CocoMetrics(metrics, truth.without_results(detections))


def _joined(annotation):
    count = sum(count for count, _ in WHOLEBODY_PARTS.values())
    whole = len(annotation.get("keypoints") or ()) == 3 * count
    if whole or not any(annotation.get(field) for _, field in WHOLEBODY_PARTS.values()):
        return annotation
    keypoints = []
    for count, field in WHOLEBODY_PARTS.values():
        keypoints += annotation.get(field) or [0] * (3 * count)
    return annotation | {"keypoints": keypoints}
