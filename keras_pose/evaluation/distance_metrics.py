"""AUC, EPE and NME: metrics made of distances of keypoints."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.evaluation.pck import (
    keypoint_distances,
    mean_distance,
    mean_distances,
    mean_share,
    shares_within,
)
from keras_pose.evaluation.pck_metrics import box_lengths, left_out

# Keypoints whose distance is 1, by the skeleton's name: outer eye corners of faces (as MMPose 1.3.2
# has them; 300W-LP has the points of 300W), nose and eye of horses.
NME_KEYPOINTS = {
    "300w": (36, 45),
    "300wlp": (36, 45),
    "300vw": (36, 45),
    "coco_wholebody_face": (36, 45),
    "cofw": (8, 9),
    "wflw": (60, 72),
    "lapa": (66, 79),
    "horse10": (0, 1),
}


@keras.saving.register_keras_serializable(package="keras_pose")
class AUC(KeypointMetric):
    """Area under the curve of PCK over thresholds from 0 to a length in pixels.

    The mean of PCK at `i / steps` of the length, i = 0 ... steps - 1, as in MMPose 1.3.2; nothing
    is nearer than 0, so that it never exceeds `(steps - 1) / steps`.

    Args:
        length: pixels, the largest threshold.
        steps: int, number of thresholds.
    """

    def __init__(self, length: float = 30.0, steps: int = 20):
        if length <= 0 or steps < 1:
            raise ValueError(f"AUC needs a positive length and steps, got {length} and {steps}")
        self.length, self.steps = length, steps
        self.description = f"AUC of PCK up to {length:g} px in {steps} steps"

    def measure(self, poses: Poses) -> Measurement:
        distances = keypoint_distances(
            poses.predictions, poses.ground_truth, poses.visible, self.length
        )
        shares = [shares_within(distances, step / self.steps) for step in range(self.steps)]
        value = float(np.mean([mean_share(share) for share in shares]))
        return Measurement({"AUC": value}, {"AUC": np.mean(shares, axis=0)})

    def get_config(self) -> dict[str, Any]:
        return {"length": self.length, "steps": self.steps}


@keras.saving.register_keras_serializable(package="keras_pose")
class EPE(KeypointMetric):
    """End-point error: mean distance of all annotated keypoints, in the coordinates' unit.

    Args:
        name: str, what the number is called.
    """

    def __init__(self, name: str = "EPE"):
        self.name = name
        self.description = f"{name} in image pixels"

    def measure(self, poses: Poses) -> Measurement:
        distances = keypoint_distances(poses.predictions, poses.ground_truth, poses.visible, 1.0)
        return Measurement(
            {self.name: mean_distance(distances)}, {self.name: mean_distances(distances)}
        )

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


@keras.saving.register_keras_serializable(package="keras_pose")
class NME(KeypointMetric):
    """Normalised mean error: mean distance relative to a length of the instance.

    Args:
        norm: what counts as 1: two keypoints by name or index, whose annotated distance it is;
            "box" for the longer box side; the name of a column of the data with lengths `(N,)`,
            such as "box_sizes"; or "keypoints" (default), the two that are usual for the skeleton
            (`NME_KEYPOINTS`).
        labelled: leave out instances in which one of the two keypoints is not annotated; False
            measures whatever is there, as MMPose 1.3.2 does.

    Example:
        >>> NME((36, 45))(predicted, annotated, visible)
        {'NME': 0.0352}
    """

    def __init__(self, norm: str | Sequence[int | str] = "keypoints", labelled: bool = True):
        if not isinstance(norm, str) and len(norm) != 2:
            raise ValueError(f"norm of NME must be a name or two keypoints, got {norm!r}")
        self.norm = norm if isinstance(norm, str) else tuple(norm)
        self.labelled = labelled
        named = {"box": "the longer box side", "keypoints": "the distance of two keypoints"}
        self.description = "NME of " + (
            named.get(norm, f"column {norm}")
            if isinstance(norm, str)
            else f"the distance of keypoints {norm[0]} and {norm[1]}"
        )

    def lengths(self, poses: Poses) -> np.ndarray:
        """The length `(N,)` that counts as 1, 0 for instances that are left out."""
        poses = poses.complete
        if self.norm == "box":
            return box_lengths(poses, "NME")
        if isinstance(self.norm, str) and self.norm != "keypoints":
            return poses.column(self.norm, "NME").reshape(len(poses.predictions))
        first, second = self._keypoints(poses)
        truth = poses.ground_truth
        lengths = np.linalg.norm(truth[:, first] - truth[:, second], axis=-1)
        if self.labelled:
            lengths = lengths * poses.visible[:, [first, second]].all(1)
        return lengths

    def measure(self, poses: Poses) -> Measurement:
        lengths = self.lengths(poses)
        distances = keypoint_distances(
            poses.predictions, poses.ground_truth, poses.visible, lengths
        )
        return Measurement(
            {"NME": mean_distance(distances)},
            {"NME": mean_distances(distances)},
            left_out("NME", lengths),
        )

    def _keypoints(self, poses: Poses) -> Sequence[int]:
        if self.norm != "keypoints":
            return poses.indices(self.norm, "NME")
        name = None if poses.skeleton is None else poses.skeleton.name
        if name not in NME_KEYPOINTS:
            raise ValueError(
                f"NME has no usual pair of keypoints for skeleton {name!r}; give norm=(first, "
                "second), norm='box' or the name of a column with lengths"
            )
        return poses.indices(NME_KEYPOINTS[name], "NME")

    def get_config(self) -> dict[str, Any]:
        return {
            "norm": self.norm if isinstance(self.norm, str) else list(self.norm),
            "labelled": self.labelled,
        }
