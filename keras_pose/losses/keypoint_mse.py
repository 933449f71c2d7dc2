"""Mean squared error of heatmaps."""

import keras
from keras import ops

from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class KeypointMSELoss(Loss):
    """Squared difference of heatmaps times the keypoints' weights, averaged over all elements.

    As in MMPose 1.3.2 the weights are not squared and the mean is not over them.

    Args:
        loss_weight: float.
    """

    terms = ("loss_kpt",)

    def __init__(self, loss_weight=1.0):
        self.loss_weight = loss_weight

    def __call__(self, targets, outputs):
        error = ops.square(outputs["heatmaps"] - targets["heatmaps"])
        error = error * targets["weights"][:, None, None, :]
        return {"loss_kpt": ops.mean(error) * self.loss_weight}

    def get_config(self):
        return {"loss_weight": self.loss_weight}
