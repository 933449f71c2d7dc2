"""Metrics, how they were measured, and the callback that measures while a model trains."""

from keras_pose.evaluation.average_precision import AveragePrecision
from keras_pose.evaluation.bottomup import evaluate_bottomup
from keras_pose.evaluation.callback import KeypointEvaluation
from keras_pose.evaluation.coco import coco_engine, coco_keypoint_ap
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.coco_variants import crowdpose_ap, wholebody_ap
from keras_pose.evaluation.distance_metrics import AUC, EPE, NME
from keras_pose.evaluation.interhand import InterHandMetric
from keras_pose.evaluation.keypoint_metrics import METRICS, evaluate, keypoint_metric
from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.evaluation.mpjpe import MPJPE
from keras_pose.evaluation.partition import PartitionMetric
from keras_pose.evaluation.pck import keypoint_distances, keypoint_error, pck
from keras_pose.evaluation.pck_metrics import PCK, JhmdbPCK, MpiiPCK
from keras_pose.evaluation.posetrack import posetrack18_ap
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.evaluation.protocol import EvaluationResult, Protocol
from keras_pose.evaluation.results_file import evaluate_results
from keras_pose.evaluation.topdown import evaluate_topdown

__all__ = [
    "AUC",
    "EPE",
    "METRICS",
    "MPJPE",
    "NME",
    "PCK",
    "AveragePrecision",
    "EvaluationResult",
    "InterHandMetric",
    "JhmdbPCK",
    "KeypointEvaluation",
    "KeypointMetric",
    "Measurement",
    "MpiiPCK",
    "PartitionMetric",
    "PosePredictions",
    "PoseSelection",
    "Poses",
    "Protocol",
    "coco_engine",
    "coco_keypoint_ap",
    "crowdpose_ap",
    "evaluate",
    "evaluate_bottomup",
    "evaluate_results",
    "evaluate_topdown",
    "keypoint_distances",
    "keypoint_error",
    "keypoint_metric",
    "pck",
    "posetrack18_ap",
    "wholebody_ap",
]
