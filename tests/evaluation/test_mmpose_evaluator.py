"""Every evaluator of a published config is understood, with the settings that it has."""

import json
from pathlib import Path

import pytest

from keras_pose.evaluation import keypoint_metric
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.instance_metrics import INSTANCE_METRICS
from keras_pose.evaluation.mmpose_evaluator import evaluation_from_mmpose
from keras_pose.evaluation.pck_metrics import PCK

INDEX = Path(__file__).resolve().parents[3] / "shared/golden/metrics/published_evaluators.json"
PUBLISHED = json.loads(INDEX.read_text("utf-8")) if INDEX.is_file() else []

BOXES = {"score": "bbox_keypoint", "nms": "oks_nms", "nms_threshold": 0.9}
# Type and settings in the order of the config -> what is measured; from the configs' README.
EXPECTED = {
    "CocoMetric": {"metrics": ["ap"], **BOXES},
    "CocoMetric nms_mode=none": {"metrics": ["ap"], **BOXES, "nms": "none"},
    "CocoMetric score_mode=bbox_rle": {"metrics": ["ap"], **BOXES, "score": "bbox_rle"},
    "CocoMetric nms_mode=none score_mode=bbox": {
        "metrics": ["ap"], **BOXES, "score": "bbox", "nms": "none",
    },
    "CocoMetric nms_mode=none score_mode=keypoint": {
        "metrics": ["ap"], **BOXES, "score": "keypoint", "nms": "none",
    },
    "CocoMetric nms_thr=0.8 score_mode=keypoint": {
        "metrics": ["ap"], **BOXES, "score": "keypoint", "nms_threshold": 0.8,
    },
    "CocoMetric use_area=False": {"metrics": [{"name": "ap", "use_area": False}], **BOXES},
    "CocoMetric iou_type=keypoints_crowd use_area=False": {"metrics": ["crowdpose"], **BOXES},
    "CocoMetric iou_type=keypoints_crowd nms_mode=none score_mode=bbox use_area=False": {
        "metrics": ["crowdpose"], **BOXES, "score": "bbox", "nms": "none",
    },
    "CocoMetric iou_type=keypoints_crowd nms_mode=none score_mode=keypoint use_area=False": {
        "metrics": ["crowdpose"], **BOXES, "score": "keypoint", "nms": "none",
    },
    "CocoWholeBodyMetric": {"metrics": ["wholebody"], **BOXES},
    "PoseTrack18Metric": {"metrics": ["posetrack18"], **BOXES},
    "MpiiPCKAccuracy": {"metrics": [{"name": "mpii", "threshold": 0.5}]},
    "NME norm_mode=keypoint_distance": {"metrics": ["nme"]},
    "NME norm_item=bbox_size norm_mode=use_norm_item": {"metrics": ["nme_box"]},
}  # fmt: skip


def _called(entry):
    words = [f"{key}={value}" for key, value in entry.items() if key not in ("type", "prefix")]
    return " ".join([entry["type"], *words])


@pytest.mark.parametrize(
    "number",
    range(len(PUBLISHED)) or ["missing"],
    ids=lambda number: f"metrics/published_evaluators/{number}",
)
def test_published_evaluators(number, golden):
    evaluator = PUBLISHED[number]["evaluator"]
    found = evaluation_from_mmpose(evaluator)
    metrics = [one for one in found["metrics"] if _name(one) not in INSTANCE_METRICS]
    if len(metrics) < len(found["metrics"]):
        PoseSelection(found["score"], found["nms"], found["nms_threshold"])
    built = [keypoint_metric(metric) for metric in metrics]
    if isinstance(evaluator, dict):
        assert found == EXPECTED[_called(evaluator)]
        return
    assert len(built) == len(evaluator)
    for metric, entry in zip(built, evaluator, strict=True):
        names = {"PCKAccuracy": "PCK", "JhmdbPCKAccuracy": "JhmdbPCK"}
        assert type(metric).__name__ == names.get(entry["type"], entry["type"])
        if isinstance(metric, PCK):
            assert (metric.norm, metric.thresholds) == ("box", [entry["thr"]])
        if entry["type"] == "JhmdbPCKAccuracy":
            assert (metric.norms, metric.threshold) == (["box", "torso"], 0.2)
        if entry["type"] == "AUC":
            assert (metric.length, metric.steps) == (30, 20)
        if entry["type"] == "MPJPE":
            kinds = {"mpjpe": "MPJPE", "p-mpjpe": "P-MPJPE", "n-mpjpe": "N-MPJPE"}
            assert metric.name == kinds[entry["mode"]]
            assert metric.skip == entry.get("skip_list", [])
        if entry["type"] == "InterHandMetric":
            assert metric.modes == entry["modes"]


def _name(metric):
    return metric["name"] if isinstance(metric, dict) else metric


@pytest.mark.parametrize(
    ("evaluator", "message"),
    [
        ({"type": "PCC"}, "'PCC' is not known; known are CocoMetric"),
        ({"type": "EPE", "thr": 1}, r"EPE's settings \['thr'\] have no equal"),
        ({"type": "CocoMetric", "keypoint_score_thr": 0.3}, "no equal here but 0.2"),
        ({"type": "CocoMetric", "iou_type": "keypoints_crowd"}, "always use_area=False"),
    ],
)
def test_what_has_no_equal_is_refused(evaluator, message):
    with pytest.raises(ValueError, match=message):
        evaluation_from_mmpose(evaluator)
