"""Losses that are one minus the object keypoint similarity."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import (
    CoordinateLoss,
    check_choice,
    check_reduction,
    reduced,
)

_SIMILARITY = {
    "linear": lambda s: 1 - s,
    "square": lambda s: 1 - ops.square(s),
    "log": lambda s: -ops.log(s),
}


def from_similarity(similarity, mode: str):
    """A loss from a similarity s: "linear" 1 - s, "square" 1 - s^2, "log" -log(s)."""
    return _SIMILARITY[mode](similarity)


def check_mode(mode: str) -> None:
    """Refuses a mode that does not exist."""
    check_choice("mode", mode, list(_SIMILARITY))


@dataclass(eq=False)
class _Similarity(CoordinateLoss):
    """What losses of similarities of coordinates `(B, K, 2)` with weights `(B, K)` share."""

    sigmas: Sequence[float] | None = None

    def fit(self, weights, output):
        return weights

    def _squares(self, output, target, factor):
        """Squared distances over squared sigmas, `(B, K)`."""
        squares = ops.sum(ops.square(output - target), axis=-1)
        if self.sigmas is None:
            return squares
        sigmas = ops.convert_to_tensor([float(sigma) for sigma in self.sigmas], dtype="float32")
        return squares / ops.square(factor * sigmas)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class OKSLoss(_Similarity):
    """One minus the similarity of YOLO-Pose (https://arxiv.org/abs/2204.06806).

    As in MMPose 1.3.2 the similarity is the weighted sum over keypoints divided by K, or a plain
    sum where there are no weights. Targets may hold `areas` `(B,)` in square pixels.

    Args:
        sigmas: a number a keypoint, as a skeleton holds them, or None for 1 / 2.
        mode: "linear", "square" or "log".
        norm_target_weight: bool, divide by the sum of the weights instead of by K.
        reduction: of the instances, "mean", "sum" or "none".
        eps: float, the least area's root and sum of weights.
    """

    mode: str = "linear"
    norm_target_weight: bool = False
    reduction: str = "mean"
    eps: float = 1e-8

    reads = ("areas",)

    def __post_init__(self):
        check_mode(self.mode)
        check_reduction(self.reduction)

    def compare(self, output, target, weights, areas=None):
        squares = self._squares(output, target, 2.0)
        if areas is not None:
            # Its root is at least eps in the reference; float32 cannot hold a square below 1e-38.
            squares = squares / ops.maximum(areas, max(self.eps**2, 1e-37))[:, None]
        similarity = ops.exp(-0.5 * squares)
        if weights is not None:
            total = output.shape[-2]
            if self.norm_target_weight:
                total = ops.maximum(ops.sum(weights, axis=-1, keepdims=True), self.eps)
            similarity = similarity * weights / total
        similarity = ops.sum(similarity, axis=-1)
        return reduced(from_similarity(similarity, self.mode), self.reduction)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class BoxOKSLoss(_Similarity):
    """One minus a similarity in units of the box's diagonal, as YOLOX-Pose was trained with first.

    Averaged over keypoints of positive weight; one value an instance. Targets hold `boxes`
    `(B, 4)` xyxy.

    Args:
        sigmas: a number a keypoint, or None for 1.
    """

    reads = ("boxes",)

    def compare(self, output, target, weights, boxes):
        sides = boxes[..., 2:] - boxes[..., :2]
        diagonal = ops.sum(ops.square(sides), axis=-1, keepdims=True)
        squares = self._squares(output, target, 1.0) / ops.maximum(diagonal, 1e-16)
        similarity = ops.exp(-0.5 * squares)
        if weights is None:
            return 1 - ops.mean(similarity, axis=-1)
        total = ops.maximum(ops.sum(weights, axis=-1), 1e-8)
        return 1 - ops.sum(similarity * weights, axis=-1) / total
