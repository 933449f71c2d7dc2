"""Pose estimation with Keras 3: pretrained models, training, evaluation and export."""

# The backend has to be settled before Keras is imported.
from keras_pose.backend import choose_backend, load_triton_first

choose_backend()
load_triton_first()

# Modules that register classes are imported here, so that `keras.saving` finds them.
from keras_pose import backbones, codecs, heads, layers, losses, necks
from keras_pose.detectors import Detections, PersonDetector
from keras_pose.estimators import BottomupEstimator, PoseEstimator, PoseLifter, TopdownEstimator
from keras_pose.preset import preset_names
from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton

__version__ = "0.1.0"

# Public names that need OpenCV, TensorFlow or drawing are imported when they are first used.
_LAZY = {
    "PosePredictor": "keras_pose.predictor",
    "PoseTracker": "keras_pose.tracking",
    "KeypointDataset": "keras_pose.datasets",
    "topdown_dataset": "keras_pose.datasets",
    "KeypointEvaluation": "keras_pose.evaluation",
    "from_mmpose": "keras_pose.estimators.mmpose",
    "from_huggingface": "keras_pose.preset.huggingface",
    "save_to_huggingface": "keras_pose.preset.huggingface",
    "export": "keras_pose.artifacts",
    "verify": "keras_pose.artifacts",
}

__all__ = [
    "BottomupEstimator",
    "Detections",
    "PersonDetector",
    "PoseEstimator",
    "PoseLifter",
    "PoseResult",
    "Skeleton",
    "TopdownEstimator",
    "backbones",
    "codecs",
    "heads",
    "layers",
    "losses",
    "necks",
    "preset_names",
    *_LAZY,
]


def __getattr__(name: str):
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'keras_pose' has no attribute {name!r}")
