"""Losses of moving 3D poses."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.bones import norm
from keras_pose.losses.comparison import CoordinateLoss


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class MPJPEVelocityJointLoss(CoordinateLoss):
    """Mean distance of keypoints `(B, T, K, D)`, after the best scaling of every frame as well, and
    of their velocities (section 4.2 of https://arxiv.org/abs/2210.06551).

    Weights multiply outputs and targets.

    Args:
        lambda_scale: float, weight of the distance after scaling.
        lambda_3d_velocity: float, weight of the velocities' distance.
    """

    lambda_scale: float = 0.5
    lambda_3d_velocity: float = 20.0

    def compare(self, output, target, weights):
        error = ops.mean(norm((output - target) * weights))
        scaled = ops.mean(norm((self._scale(output, target) * output - target) * weights))
        moved = (output[:, 1:] - output[:, :-1]) - (target[:, 1:] - target[:, :-1])
        velocity = ops.mean(norm(moved * _of_pairs(weights)))
        return error + self.lambda_scale * scaled + self.lambda_3d_velocity * velocity

    @staticmethod
    def _scale(output, target):
        square = ops.mean(ops.square(output), axis=(-2, -1), keepdims=True)
        product = ops.mean(target * output, axis=(-2, -1), keepdims=True)
        return product / ops.where(square > 0, square, 1.0)


def _of_pairs(weights):
    """Weights of two frames each; those that hold for all frames as they are."""
    if isinstance(weights, float) or weights.shape[1] == 1:
        return weights
    return weights[:, 1:] * weights[:, :-1]
