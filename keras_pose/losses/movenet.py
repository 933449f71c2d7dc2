"""The loss MoveNet is fine-tuned with here; its original one was never published."""

import keras
from keras import ops

from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class MoveNetLoss(Loss):
    """CenterNet's losses for one person per image (https://arxiv.org/abs/1904.07850, section 4).

    Heatmaps learn by the penalty-reduced focal loss, per keypoint. Displacements and offsets learn
    by an L1 loss at the cells that decoding may read them from: cells near the centre and near the
    keypoint, weighted by the Gaussian there, where CenterNet takes the one true cell only.

    Args:
        center_weight, heatmap_weight, displacement_weight, offset_weight: floats.
    """

    terms = ("loss_center", "loss_heatmap", "loss_displacement", "loss_offset")

    def __init__(
        self, center_weight=1.0, heatmap_weight=1.0, displacement_weight=0.1, offset_weight=1.0
    ):
        self.center_weight = center_weight
        self.heatmap_weight = heatmap_weight
        self.displacement_weight = displacement_weight
        self.offset_weight = offset_weight

    def __call__(self, targets, outputs):
        weights = targets["weights"]
        cells, count = targets["heatmaps"].shape[1:]

        def flat(maps, *shape):
            return ops.reshape(maps, (-1, cells, *shape))

        center = _focal(flat(outputs["center"], 1), targets["center"])
        heat = _focal(flat(outputs["heatmaps"], count), targets["heatmaps"])
        labelled = ops.maximum(ops.sum(weights), 1.0)
        displacement = ops.abs(flat(outputs["displacements"], count, 2) - targets["displacements"])
        offset = ops.abs(flat(outputs["offsets"], count, 2) - targets["displacements"])
        near_center = targets["center"] * weights[:, None]
        near_keypoint = targets["heatmaps"] * (weights * targets["inside"])[:, None]
        return {
            "loss_center": self.center_weight * ops.mean(center),
            "loss_heatmap": self.heatmap_weight * ops.sum(heat * weights) / labelled,
            "loss_displacement": self.displacement_weight * _mean(displacement, near_center),
            "loss_offset": self.offset_weight * _mean(offset, near_keypoint),
        }

    def get_config(self):
        return {
            "center_weight": self.center_weight,
            "heatmap_weight": self.heatmap_weight,
            "displacement_weight": self.displacement_weight,
            "offset_weight": self.offset_weight,
        }


def _focal(logits, targets):
    """Penalty-reduced focal loss `(B, n)` of logits and Gaussians `(B, P, n)`."""
    probability = ops.sigmoid(logits)
    log_yes, log_no = -ops.softplus(-logits), -ops.softplus(logits)
    peak = ops.cast(targets >= 1.0, "float32")
    yes = peak * ops.square(1 - probability) * log_yes
    no = (1 - peak) * ops.power(1 - targets, 4) * ops.square(probability) * log_no
    return -ops.sum(yes + no, axis=1)


def _mean(error, weights):
    """Weighted mean of errors `(B, P, K, 2)` with weights `(B, P, K)`."""
    return ops.sum(error * weights[..., None]) / ops.maximum(2 * ops.sum(weights), 1e-6)
