"""Mean per-joint position error of poses in space, plain or after aligning them."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import keras
import numpy as np

from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses

# Prefix of the metric's name, and what the protocol says.
_ALIGNMENTS = {
    "none": ("", "not aligned"),
    "procrustes": ("P-", "each pose rotated, scaled and moved onto the annotated one"),
    "scale": ("N-", "each pose scaled to the annotated one"),
}


def similarity_align(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Poses rotated, scaled and moved so that they are nearest to others (Procrustes).

    A mirrored pose stays mirrored: rotations are proper ones. Source: Umeyama, Least-squares
    estimation of transformation parameters (https://doi.org/10.1109/34.88573).

    Args:
        source, target: `(..., K, D)`.

    Returns:
        `(..., K, D)` float64, the source in its new place.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    target_mean = target.mean(-2, keepdims=True)
    a, b = source - source.mean(-2, keepdims=True), target - target_mean
    u, singular, vt = np.linalg.svd(np.swapaxes(a, -1, -2) @ b)
    signs = np.ones_like(singular)
    signs[..., -1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * signs[..., None, :]) @ vt
    spread = (a**2).sum((-1, -2))
    scale = (singular * signs).sum(-1) / np.where(spread > 0, spread, 1)
    return scale[..., None, None] * (a @ rotation) + target_mean


def position_errors(
    predictions: np.ndarray, ground_truth: np.ndarray, alignment: str = "none"
) -> np.ndarray:
    """Distances of every joint `(..., K)`, in the coordinates' unit, float64.

    Args:
        predictions, ground_truth: `(..., K, D)`.
        alignment: "none"; "procrustes", see `similarity_align`; or "scale", the factor that brings
            a pose nearest to the other one, without moving it. All joints are aligned, also those
            that are not annotated. The errors of a pose that is not finite are NaN.

    Raises:
        ValueError: for another alignment.
    """
    if alignment not in _ALIGNMENTS:
        raise ValueError(f"alignment must be one of {list(_ALIGNMENTS)}, got {alignment!r}")
    predictions = np.asarray(predictions, np.float64)
    ground_truth = np.asarray(ground_truth, np.float64)
    lost = ~np.isfinite(predictions).all((-1, -2))
    if lost.any():
        errors = position_errors(
            np.where(lost[..., None, None], 0, predictions), ground_truth, alignment
        )
        return np.where(lost[..., None], np.nan, errors)
    if alignment == "procrustes":
        predictions = similarity_align(predictions, ground_truth)
    elif alignment == "scale":
        own = (predictions**2).sum((-1, -2))
        factors = (predictions * ground_truth).sum((-1, -2)) / np.where(own > 0, own, 1)
        predictions = factors[..., None, None] * predictions
    return np.linalg.norm(predictions - ground_truth, axis=-1)


def mpjpe(
    predictions: np.ndarray, ground_truth: np.ndarray, visible: np.ndarray, alignment: str = "none"
) -> float:
    """Mean per-joint position error of the annotated joints.

    Args:
        predictions, ground_truth: `(N, K, D)`.
        visible: `(N, K)`, above 0 where annotated.
        alignment: see `position_errors`.

    Raises:
        ValueError: if no joint is annotated.
    """
    visible = np.asarray(visible) > 0
    if not visible.any():
        raise ValueError("no joint is annotated: there is nothing to measure")
    return float(position_errors(predictions, ground_truth, alignment)[visible].mean())


def action_of(name: str) -> str:
    """Kind of action of a picture of Human3.6M: "S9_SittingDown_2.5411_01.jpg" is "SittingDown"."""
    _, found, rest = PurePath(name).name.partition("_")
    if not found or "." not in rest:
        raise ValueError(f"{name!r} is not named as <subject>_<action>.<...>, as in Human3.6M")
    return rest.split(".", 1)[0].split("_")[0]


@keras.saving.register_keras_serializable(package="keras_pose")
class MPJPE(KeypointMetric):
    """MPJPE, P-MPJPE (Procrustes) or N-MPJPE (scale), of all poses and of each action.

    Source: Ionescu et al., Human3.6M (https://doi.org/10.1109/TPAMI.2013.248); actions and left out
    films as in MMPose 1.3.2.

    Args:
        alignment: "none", "procrustes" or "scale", see `position_errors`.
        actions: also report each action ("MPJPE_Walking"), read from the column `image_names`.
        skip: films that are not counted, such as "S9_SittingDown_1": the beginning of the file
            name up to the first dot.
    """

    def __init__(self, alignment: str = "none", actions: bool = False, skip: Sequence[str] = ()):
        if alignment not in _ALIGNMENTS:
            raise ValueError(f"alignment must be one of {list(_ALIGNMENTS)}, got {alignment!r}")
        self.alignment, self.actions, self.skip = alignment, actions, list(skip)
        prefix, how = _ALIGNMENTS[alignment]
        self.name = f"{prefix}MPJPE"
        self.description = f"{self.name}: {how}, in the unit of the annotations"
        if skip:
            self.description += f", without {len(self.skip)} films"

    def measure(self, poses: Poses) -> Measurement:
        errors = position_errors(poses.predictions, poses.ground_truth, self.alignment)
        counted, names = poses.visible, None
        if self.actions or self.skip:
            names = [str(name) for name in poses.column("image_names", self.name).tolist()]
        if self.skip:
            skipped = [PurePath(name).name.split(".")[0] in self.skip for name in names]
            counted = counted & ~np.array(skipped)[:, None]
        if not counted.any():
            raise ValueError(f"{poses.name} has no annotated joint that counts for {self.name}")
        values = {self.name: float(errors[counted].mean())}
        if self.actions:
            kinds = np.array([action_of(name) for name in names])
            for kind in sorted(set(kinds)):
                rows = (kinds == kind)[:, None] & counted
                if rows.any():
                    values[f"{self.name}_{kind}"] = float(errors[rows].mean())
        counts = counted.sum(0)
        means = np.where(counted, errors, 0).sum(0) / np.maximum(counts, 1)
        return Measurement(values, {self.name: np.where(counts > 0, means, -1.0)})

    def get_config(self) -> dict[str, Any]:
        return {"alignment": self.alignment, "actions": self.actions, "skip": self.skip}
