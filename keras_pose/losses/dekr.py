"""The loss of heatmaps and of displacements from roots."""

import keras

from keras_pose.layers import component, serialized
from keras_pose.losses.keypoint_mse import KeypointMSELoss
from keras_pose.losses.loss import Loss
from keras_pose.losses.regression import SoftWeightSmoothL1Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class DEKRLoss(Loss):
    """What `SPR` encodes: heatmaps where the mask counts them, displacements around roots.

    Of DEKR (Geng et al., 2021, https://arxiv.org/abs/2104.02300), as in MMPose 1.3.2, after whose
    terms these are called.

    Args:
        heatmap_loss: loss of maps with a mask, or its config; default `KeypointMSELoss()`.
        displacement_loss: loss of displacements, or its config; default a
            `SoftWeightSmoothL1Loss` that is averaged over where there are displacements, quadratic
            below 1/9 of a cell and weighs 0.002.
    """

    terms = ("loss/heatmap", "loss/displacement")

    def __init__(self, heatmap_loss=None, displacement_loss=None):
        self.heatmap_loss = component(heatmap_loss) or KeypointMSELoss()
        self.displacement_loss = component(displacement_loss) or SoftWeightSmoothL1Loss(
            loss_weight=0.002, supervise_empty=False, beta=1 / 9
        )

    def __call__(self, targets, outputs):
        heatmap, displacement = (targets[name] for name in ("heatmaps", "displacements"))
        values = (
            self.heatmap_loss.value(
                outputs["heatmaps"], heatmap, targets["heatmap_weights"], mask=targets["mask"]
            ),
            self.displacement_loss.value(
                outputs["displacements"], displacement, targets["displacement_weights"]
            ),
        )
        return dict(zip(self.terms, values, strict=True))

    def get_config(self):
        return {
            "heatmap_loss": serialized(self.heatmap_loss),
            "displacement_loss": serialized(self.displacement_loss),
        }
