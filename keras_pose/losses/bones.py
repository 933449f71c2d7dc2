"""Losses of 3D poses: distances and lengths of bones."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import CoordinateLoss, magnitude


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class MPJPELoss(CoordinateLoss):
    """Mean distance of keypoints `(B, K, D)`; weights multiply outputs and targets."""

    def compare(self, output, target, weights):
        return ops.mean(norm((output - target) * weights))


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class BoneLoss(CoordinateLoss):
    """Differences of the batch's mean lengths of bones (https://arxiv.org/abs/1811.11742).

    Args:
        joint_parents: the parent of each keypoint; a root is its own.
    """

    joint_parents: Sequence[int] = ()
    term: str = "loss_bone"

    def __post_init__(self):
        if all(i == parent for i, parent in enumerate(self.joint_parents)):
            raise ValueError("joint_parents must name the parent of each keypoint, got no bone")

    def fit(self, weights, output):
        return 1.0 if weights is None else ops.take(weights, self._bones()[0], axis=1)

    def compare(self, output, target, weights):
        difference = (self.lengths(output) - self.lengths(target)) * weights
        return ops.mean(magnitude(ops.mean(difference, axis=0)))

    def _bones(self):
        bones = [(i, parent) for i, parent in enumerate(self.joint_parents) if i != parent]
        return [ops.convert_to_tensor(ends, dtype="int32") for ends in zip(*bones, strict=True)]

    def lengths(self, keypoints):
        """Lengths `(B, bones)` in the keypoints' unit."""
        child, parent = self._bones()
        return norm(ops.take(keypoints, child, axis=1) - ops.take(keypoints, parent, axis=1))


def norm(vectors):
    """Lengths along the last axis; the derivative at 0 is 0."""
    square = ops.sum(ops.square(vectors), axis=-1)
    long = square > 0
    return ops.where(long, ops.sqrt(ops.where(long, square, 1.0)), 0.0)
