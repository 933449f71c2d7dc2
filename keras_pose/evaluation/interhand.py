"""Metrics of two interacting hands in space, as InterHand2.6M is reported."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.evaluation.output_accuracy import label_accuracy
from keras_pose.evaluation.pck_metrics import check_keypoints

_JOINTS, _HAND = 42, 21
# The wrists: the right hand comes first.
_RIGHT_ROOT, _LEFT_ROOT = 20, 41
_MODES = ("MPJPE", "MRRPE", "HandednessAcc")


def pixels_to_camera(points: np.ndarray, focal: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Points of (x, y in pixels, depth) in camera space, in the unit of the depth.

    Args:
        points: `(N, K, 3)`.
        focal, center: `(N, 2)`, pixels.
    """
    depth = points[..., 2:]
    flat = (points[..., :2] - center[:, None]) / focal[:, None] * depth
    return np.concatenate([flat, depth], axis=-1)


@keras.saving.register_keras_serializable(package="keras_pose")
class InterHandMetric(KeypointMetric):
    """MPJPE of joints relative to their wrist, MRRPE between the wrists, accuracy of handedness.

    Predictions are (x, y in pixels, depth from the hand's wrist), the ground truth is in camera
    space. A sample with both hands counts as interacting, every other one as single; MRRPE is
    measured where both hands are there and both wrists annotated. The columns, `(N, ...)`:
    `absolute_depth` (N, 2), the wrists' depths (right, left); `focal`, `center` (N, 2) of the
    camera; `hand_type` (N, 2), which hands are there (right, left); for MRRPE
    `predicted_root_depth` (N,), the left wrist's depth from the right one; for the handedness
    `predicted_hand_type` (N, 2) and `hand_type_valid` (N,). Poses of a data set are in pixels:
    there the depths are in `predicted_depths` (N, 42), the ground truth in `keypoints_3d`
    (N, 42, 3) and the wrists' depths in `wrist_depths` (N, 2), as `read_interhand(depth=True)`
    gives them.
    Source: Moon et al., InterHand2.6M (https://arxiv.org/abs/2008.09309).

    Args:
        modes: of "MPJPE", "MRRPE" and "HandednessAcc".
    """

    def __init__(self, modes: Sequence[str] = _MODES):
        unknown = set(modes) - set(_MODES)
        if unknown or not modes:
            raise ValueError(f"modes must be some of {list(_MODES)}, got {list(modes)}")
        self.modes = list(modes)
        self.description = "joints relative to the wrist of their hand, in the annotations' unit"

    def measure(self, poses: Poses) -> Measurement:
        check_keypoints(poses, "InterHand's metrics", _JOINTS)
        poses = _in_space(poses)
        columns = {
            name: poses.column(name, "InterHand's metrics").astype(np.float64).reshape(-1, 2)
            for name in ("hand_type", "absolute_depth", "focal", "center")
        }
        both = (columns["hand_type"] > 0).all(1)
        values, per_keypoint = {}, {}
        if "MPJPE" in self.modes:
            errors = self._joint_errors(poses, columns)
            for name, rows in (("all", both | True), ("single", ~both), ("interacting", both)):
                values[f"MPJPE_{name}"] = _mean(errors[poses.visible & rows[:, None]])
            per_keypoint["MPJPE_all"] = np.array(
                [
                    _mean(column[seen], empty=-1.0)
                    for column, seen in zip(errors.T, poses.visible.T, strict=True)
                ]
            )
        if "MRRPE" in self.modes:
            values["MRRPE"] = self._root_error(poses, columns, both)
        if "HandednessAcc" in self.modes:
            values["HandednessAcc"] = label_accuracy(
                poses.column("predicted_hand_type", "HandednessAcc").reshape(-1, 2),
                columns["hand_type"],
                poses.column("hand_type_valid", "HandednessAcc"),
            )
        return Measurement(values, per_keypoint)

    def get_config(self) -> dict[str, Any]:
        return {"modes": self.modes}

    def _joint_errors(self, poses, columns) -> np.ndarray:
        points = poses.predictions.astype(np.float64)
        points[..., 2] += np.repeat(columns["absolute_depth"], _HAND, axis=1)
        points = pixels_to_camera(points, columns["focal"], columns["center"])
        return np.linalg.norm(_from_wrists(points) - _from_wrists(poses.ground_truth), axis=-1)

    def _root_error(self, poses, columns, both) -> float:
        roots = [_LEFT_ROOT, _RIGHT_ROOT]
        counted = both & poses.visible[:, roots].all(1)
        shift = poses.column("predicted_root_depth", "MRRPE").reshape(-1)
        points = poses.predictions[:, roots].astype(np.float64)
        points[..., 2] += columns["absolute_depth"][:, :1]
        points[:, 0, 2] += shift
        points = pixels_to_camera(points, columns["focal"], columns["center"])
        truth = poses.ground_truth[:, roots].astype(np.float64)
        errors = np.linalg.norm(
            (points[:, 0] - points[:, 1]) - (truth[:, 0] - truth[:, 1]), axis=-1
        )
        return _mean(errors[counted])


def _in_space(poses: Poses) -> Poses:
    """Poses of a data set, in pixels, with their depths beside camera space."""
    if poses.ground_truth.shape[-1] == 3:
        return poses
    needed = ("predicted_depths", "keypoints_3d", "wrist_depths")
    depths, truth, wrists = (poses.column(name, "InterHand's metrics") for name in needed)
    return replace(
        poses,
        predictions=np.concatenate([poses.predictions, depths[..., None]], axis=-1),
        ground_truth=truth,
        columns={"absolute_depth": wrists, **poses.columns},
    )


def _from_wrists(points: np.ndarray) -> np.ndarray:
    wrists = points[:, [_RIGHT_ROOT, _LEFT_ROOT]].astype(np.float64)
    return points - np.repeat(wrists, _HAND, axis=1)


def _mean(errors: np.ndarray, empty: float = 0.0) -> float:
    return float(errors.mean()) if errors.size else empty
