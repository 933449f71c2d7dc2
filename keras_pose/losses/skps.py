"""The loss of heatmaps and the offsets that are read where there is heat."""

import keras

from keras_pose.layers import component, serialized
from keras_pose.losses.adaptive_wing import AdaptiveWingLoss
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class SKPSLoss(Loss):
    """A loss of heatmaps, and one of offsets that weighs every pixel by the target's heat.

    As in MMPose's project SKPS, after whose terms these are called.

    Args:
        heatmap_loss: loss of maps, or its config; default `AdaptiveWingLoss()`.
        offset_loss: the same of the offsets.
    """

    terms = ("loss/heatmap", "loss/offside")

    def __init__(self, heatmap_loss=None, offset_loss=None):
        self.heatmap_loss = component(heatmap_loss) or AdaptiveWingLoss()
        self.offset_loss = component(offset_loss) or AdaptiveWingLoss()

    def __call__(self, targets, outputs):
        heat = targets["heatmaps"]
        count = heat.shape[-1]
        along_x, along_y = (
            self.offset_loss.value(
                outputs["offsets"][..., axis], targets["offsets"][..., axis], heat
            )
            for axis in (slice(count), slice(count, None))
        )
        heatmap = self.heatmap_loss.value(outputs["heatmaps"], heat, targets["weights"])
        return dict(zip(self.terms, (heatmap, (along_x + along_y) / 2), strict=True))

    def get_config(self):
        return {
            "heatmap_loss": serialized(self.heatmap_loss),
            "offset_loss": serialized(self.offset_loss),
        }
