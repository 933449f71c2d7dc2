"""Absolute and squared errors of coordinates."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import CoordinateLoss, check_reduction, magnitude, reduced


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class SmoothL1Loss(CoordinateLoss):
    """Squares of errors below 1 and absolute values of larger ones, averaged over all elements.

    From Fast R-CNN (https://arxiv.org/abs/1504.08083). Weights multiply outputs and targets.
    """

    def compare(self, output, target, weights):
        return ops.mean(_smooth((output - target) * weights, 1.0))


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class SoftWeightSmoothL1Loss(CoordinateLoss):
    """Smooth L1 loss whose weights multiply the loss instead of its arguments.

    Args:
        supervise_empty: bool, average over all elements; otherwise the sum is divided by how many
            of the weights, as they are given, are positive.
        beta: float, the error from which on the absolute value counts.
    """

    supervise_empty: bool = True
    beta: float = 1.0

    def compare(self, output, target, weights):
        error = _smooth(output - target, self.beta) * weights
        if self.supervise_empty or isinstance(weights, float):
            return ops.mean(error)
        count = ops.sum(ops.cast(weights > 0, error.dtype))
        return ops.sum(error) / ops.maximum(count, 1.0)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class L1Loss(CoordinateLoss):
    """Absolute errors. Weights multiply outputs and targets.

    Args:
        reduction: "mean" over all elements, "sum" or "none".
    """

    reduction: str = "mean"

    def __post_init__(self):
        check_reduction(self.reduction)

    def compare(self, output, target, weights):
        return reduced(magnitude((output - target) * weights), self.reduction)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class MSELoss(CoordinateLoss):
    """Squared errors, averaged over all elements. Weights multiply outputs and targets."""

    def compare(self, output, target, weights):
        return ops.mean(ops.square((output - target) * weights))


def _smooth(error, beta):
    size = magnitude(error)
    return ops.where(size < beta, ops.square(error) * (0.5 / beta), size - 0.5 * beta)
