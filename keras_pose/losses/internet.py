"""The losses of InterNet's three outputs."""

import keras

from keras_pose.layers import component, serialized
from keras_pose.losses.classification import BCELoss
from keras_pose.losses.keypoint_mse import KeypointMSELoss
from keras_pose.losses.loss import Loss
from keras_pose.losses.regression import L1Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class InterNetLoss(Loss):
    """Losses of the joints' volumes, of the depth between the wrists, and of which hands are there.

    As in InterNet (https://arxiv.org/abs/2008.09309) and MMPose 1.3.2.

    Args:
        keypoint_loss: loss of volumes, or its config; default `KeypointMSELoss()`.
        root_loss: loss of bins `(B, 1)`; default `L1Loss()`.
        hand_type_loss: loss of logits `(B, 2)`; default `BCELoss()`.
    """

    terms = ("loss_kpt", "loss_rel_root", "loss_hand_type")

    def __init__(self, keypoint_loss=None, root_loss=None, hand_type_loss=None):
        self.keypoint_loss = component(keypoint_loss) or KeypointMSELoss()
        self.root_loss = component(root_loss) or L1Loss()
        self.hand_type_loss = component(hand_type_loss) or BCELoss()

    def __call__(self, targets, outputs):
        parts = (
            (self.keypoint_loss, "heatmaps", "weights"),
            (self.root_loss, "root", "root_weights"),
            (self.hand_type_loss, "hand_type", "hand_type_weights"),
        )
        values = (
            loss.value(outputs[key], targets[key], targets[weights]) for loss, key, weights in parts
        )
        return dict(zip(self.terms, values, strict=True))

    def get_config(self):
        return {
            "keypoint_loss": serialized(self.keypoint_loss),
            "root_loss": serialized(self.root_loss),
            "hand_type_loss": serialized(self.hand_type_loss),
        }
