"""Metrics, how they were measured, and the callback that measures while a model trains."""

from keras_pose.evaluation.callback import KeypointEvaluation
from keras_pose.evaluation.coco import coco_engine, coco_keypoint_ap
from keras_pose.evaluation.pck import keypoint_distances, keypoint_error, pck
from keras_pose.evaluation.protocol import EvaluationResult, Protocol
from keras_pose.evaluation.topdown import evaluate_topdown

__all__ = [
    "EvaluationResult",
    "KeypointEvaluation",
    "Protocol",
    "coco_engine",
    "coco_keypoint_ap",
    "evaluate_topdown",
    "keypoint_distances",
    "keypoint_error",
    "pck",
]
