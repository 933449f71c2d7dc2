"""What lifted poses without 3D labels must satisfy."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import keras
from keras import ops

from keras_pose.losses.bones import BoneLoss, norm
from keras_pose.losses.comparison import magnitude
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class SemiSupervisionLoss(Loss):
    """Poses must be seen where they were, and have bones as long as those of labelled poses
    (section 4 of Pavllo et al., 2019, https://arxiv.org/abs/1811.11742).

    Args:
        joint_parents: the parent of each keypoint; a root is its own.
        projection_loss_weight, bone_loss_weight: float.
    """

    joint_parents: Sequence[int]
    projection_loss_weight: float = 1.0
    bone_loss_weight: float = 1.0

    terms = ("proj_loss", "bone_loss")

    def __call__(self, targets, outputs):
        """Both terms.

        Args:
            targets: `keypoints` `(U, K, 2)`, pixels of the unlabelled poses, and `intrinsics`
                `(U, 4)`: focal lengths and principal point, or `(U, 9)`: radial (3) and tangential
                (2) distortion too. Where labelled and unlabelled poses are rows of the same arrays,
                `labeled_weights` `(B,)` and `unlabeled_weights` `(U,)` say which are which, and
                `weights` `(U, K)` which keypoints were seen; default: 1. Without any row of a kind
                its terms are 0.
            outputs: `labeled_pose` `(B, K, 3)`, `unlabeled_pose` `(U, K, 3)`, both about the root,
                and `trajectory` `(U, 1, 3)`, the root of the unlabelled poses in camera space.
        """
        points = outputs["unlabeled_pose"] + outputs["trajectory"]
        apart = norm(projected(points, targets["intrinsics"]) - targets["keypoints"])
        lengths, present = [], 1.0
        for kind in ("unlabeled", "labeled"):
            each = BoneLoss(joint_parents=self.joint_parents).lengths(outputs[f"{kind}_pose"])
            rows = targets.get(f"{kind}_weights", ops.ones_like(each[:, 0]))
            lengths.append(_mean(each, rows[:, None], axis=0))
            present = present * ops.cast(ops.any(rows > 0), each.dtype)
        counted = targets.get("unlabeled_weights", ops.ones_like(apart[:, 0]))[:, None]
        counted = counted * targets.get("weights", 1.0) * ops.ones_like(apart)
        difference = present * ops.mean(magnitude(lengths[0] - lengths[1]))
        return {
            "proj_loss": self.projection_loss_weight * _mean(apart, counted),
            "bone_loss": self.bone_loss_weight * difference,
        }

    def get_config(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _mean(values, weights, axis=None):
    """The weighted mean; 0 where all weights are."""
    total = ops.sum(weights, axis=axis)
    return ops.sum(values * weights, axis=axis) / ops.where(total > 0, total, 1.0)


def projected(points, intrinsics):
    """Pixels `(B, K, 2)` of points `(B, K, 3)` in camera space.

    Args:
        points: metres; within 45 degrees of the view, others are moved there.
        intrinsics: `(B, 4)` or `(B, 9)`, see `SemiSupervisionLoss`.
    """
    focal, center = intrinsics[:, None, :2], intrinsics[:, None, 2:4]
    depth = points[..., 2:]
    flat = ops.clip(points[..., :2] / ops.where(depth == 0, 1.0, depth), -1, 1)
    if intrinsics.shape[-1] == 9:
        radial, tangential = intrinsics[:, None, 4:7], intrinsics[:, None, 7:]
        square = ops.sum(ops.square(flat), axis=-1, keepdims=True)
        powers = ops.concatenate([square, square**2, square**3], axis=-1)
        bent = 1 + ops.sum(radial * powers, axis=-1, keepdims=True)
        bent = bent + ops.sum(tangential * flat, axis=-1, keepdims=True)
        flat = flat * bent + tangential * square
    return flat * focal + center
