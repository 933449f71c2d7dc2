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
                (2) distortion too.
            outputs: `labeled_pose` `(B, K, 3)`, `unlabeled_pose` `(U, K, 3)`, both about the root,
                and `trajectory` `(U, 1, 3)`, the root of the unlabelled poses in camera space.
        """
        points = outputs["unlabeled_pose"] + outputs["trajectory"]
        seen = projected(points, targets["intrinsics"])
        bones = BoneLoss(joint_parents=self.joint_parents)
        lengths = [
            ops.mean(bones.lengths(outputs[name]), axis=0)
            for name in ("unlabeled_pose", "labeled_pose")
        ]
        return {
            "proj_loss": self.projection_loss_weight * ops.mean(norm(seen - targets["keypoints"])),
            "bone_loss": self.bone_loss_weight * ops.mean(magnitude(lengths[0] - lengths[1])),
        }

    def get_config(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}


def projected(points, intrinsics):
    """Pixels `(B, K, 2)` of points `(B, K, 3)` in camera space.

    Args:
        points: metres; within 45 degrees of the view, others are moved there.
        intrinsics: `(B, 4)` or `(B, 9)`, see `SemiSupervisionLoss`.
    """
    focal, center = intrinsics[:, None, :2], intrinsics[:, None, 2:4]
    flat = ops.clip(points[..., :2] / points[..., 2:], -1, 1)
    if intrinsics.shape[-1] == 9:
        radial, tangential = intrinsics[:, None, 4:7], intrinsics[:, None, 7:]
        square = ops.sum(ops.square(flat), axis=-1, keepdims=True)
        powers = ops.concatenate([square, square**2, square**3], axis=-1)
        bent = 1 + ops.sum(radial * powers, axis=-1, keepdims=True)
        bent = bent + ops.sum(tangential * flat, axis=-1, keepdims=True)
        flat = flat * bent + tangential * square
    return flat * focal + center
