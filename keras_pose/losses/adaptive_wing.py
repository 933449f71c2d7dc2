"""A loss of heatmaps that cares for small errors near peaks."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import HeatmapLoss, magnitude


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class AdaptiveWingLoss(HeatmapLoss):
    """Adaptive wing loss (https://arxiv.org/abs/1904.07399, equation 3), averaged over elements.

    Errors below `theta` count by a logarithm that is the steeper the higher the target, larger
    ones by the line that continues it. Weights multiply outputs and targets.

    Args:
        alpha, omega, epsilon, theta: floats, as in the paper.
    """

    alpha: float = 2.1
    omega: float = 14.0
    epsilon: float = 1.0
    theta: float = 0.5

    def compare(self, output, target, weights):
        target = target * weights
        error = magnitude(target - output * weights)
        power = self.alpha - target
        ratio = self.theta / self.epsilon
        at_theta = ops.power(ratio, power)
        slope = self.omega / self.epsilon * power * ops.power(ratio, power - 1) / (1 + at_theta)
        intercept = self.theta * slope - self.omega * ops.log(1 + at_theta)
        curve = self.omega * ops.log(1 + ops.power(error / self.epsilon, power))
        return ops.mean(ops.where(error < self.theta, curve, slope * error - intercept))
