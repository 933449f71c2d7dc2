"""Losses of facial landmarks that weigh errors of a few pixels by a logarithm."""

import math
from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import CoordinateLoss, magnitude


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class WingLoss(CoordinateLoss):
    """Wing loss (https://arxiv.org/abs/1711.06753), summed over keypoints, averaged over samples.

    Weights multiply outputs and targets.

    Args:
        omega: float, the error up to which the logarithm counts, then the absolute value.
        epsilon: float, the curvature of the logarithm.
    """

    omega: float = 10.0
    epsilon: float = 2.0

    def compare(self, output, target, weights):
        error = magnitude((output - target) * weights)
        step = self.omega - self.omega * math.log(1 + self.omega / self.epsilon)
        curve = self.omega * ops.log(1 + error / self.epsilon)
        return _summed(ops.where(error < self.omega, curve, error - step))


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class SoftWingLoss(CoordinateLoss):
    """Soft wing loss (https://doi.org/10.1016/j.image.2021.116424), summed as `WingLoss`.

    Args:
        omega1: float, the error up to which the absolute value counts, then a logarithm.
        omega2: float, the height of the logarithm.
        epsilon: float, its curvature.
    """

    omega1: float = 2.0
    omega2: float = 20.0
    epsilon: float = 0.5

    def compare(self, output, target, weights):
        error = magnitude((output - target) * weights)
        step = self.omega1 - self.omega2 * math.log(1 + self.omega1 / self.epsilon)
        curve = self.omega2 * ops.log(1 + error / self.epsilon)
        return _summed(ops.where(error < self.omega1, error, curve + step))


def _summed(error):
    return ops.mean(ops.sum(error, axis=(1, 2)))
