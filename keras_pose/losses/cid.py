"""The losses of contextual instance decoupling."""

import keras
from keras import ops

from keras_pose.layers import component, serialized
from keras_pose.losses.contrastive import InfoNCELoss
from keras_pose.losses.focal_heatmap import FocalHeatmapLoss
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class CIDLoss(Loss):
    """Losses of the maps that people share, of those of each alone, and of people's features.

    Of CID (Wang and Zhang, 2022), as in MMPose 1.3.2, after whose terms these are called.

    Args:
        coupled: loss of shared heatmaps or its config; default `FocalHeatmapLoss()`.
        decoupled: the same of people's own ones; default: four times as strong.
        contrastive: loss that keeps features of people apart; default
            `InfoNCELoss(temperature=0.05)`.
    """

    terms = ("loss/heatmap_coupled", "loss/heatmap_decoupled", "loss/contrastive")

    def __init__(self, coupled=None, decoupled=None, contrastive=None):
        self.coupled = component(coupled) or FocalHeatmapLoss()
        self.decoupled = component(decoupled) or FocalHeatmapLoss(loss_weight=4.0)
        self.contrastive = component(contrastive) or InfoNCELoss(temperature=0.05)

    def __call__(self, targets, outputs):
        """The terms.

        Args:
            targets: `heatmaps` `(B, h, w, K + 1)` and `mask` `(B, h, w, 1)`, `present` `(B, N)`,
                and of M people of the batch `instance_heatmaps` `(M, h, w, K)` and
                `instance_weights` `(M, K)`, 0 for people that are not there.
            outputs: `heatmaps`, `instance_heatmaps`, and everybody's `instance_features`
                `(B, N, C)`.
        """
        present = targets["present"]
        apart = self.contrastive.value(outputs["instance_features"], weights=present)
        values = (
            self.coupled.value(outputs["heatmaps"], targets["heatmaps"], mask=targets["mask"]),
            self.decoupled.value(
                outputs["instance_heatmaps"],
                targets["instance_heatmaps"],
                targets["instance_weights"],
            ),
            apart / ops.maximum(ops.sum(present), 1.0),
        )
        return dict(zip(self.terms, values, strict=True))

    def get_config(self):
        return {
            "coupled": serialized(self.coupled),
            "decoupled": serialized(self.decoupled),
            "contrastive": serialized(self.contrastive),
        }
