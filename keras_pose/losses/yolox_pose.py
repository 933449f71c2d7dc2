"""What YOLOX-Pose learns: where somebody is, the box and the keypoints."""

from collections.abc import Sequence

import keras
from keras import ops

from keras_pose.codecs.priors import decode_boxes, decode_offsets
from keras_pose.layers import component, serialized
from keras_pose.losses.assignment import SimOTAAssigner
from keras_pose.losses.boxes import IoULoss
from keras_pose.losses.classification import BCELoss
from keras_pose.losses.loss import Loss
from keras_pose.losses.oks import OKSLoss
from keras_pose.losses.one_stage import (
    box_code_term,
    box_term,
    check_weighted,
    match,
    outside_weights,
    similarity_losses,
    visibility_term,
)
from keras_pose.losses.regression import L1Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class YOLOXPoseLoss(Loss):
    """The loss of MMPose 1.3.2's YOLOX-Pose, from matched priors (https://arxiv.org/abs/2107.08430).

    Terms: `loss_obj` of the objectness of all priors; of the positives `loss_cls` (their class, the
    target being the similarity of keypoints), `loss_bbox`, `loss_kpt`, `loss_vis` and, with
    `use_aux_loss`, `loss_bbox_aux`, of which sums are divided by the number of positives.

    Args:
        sigmas: a number a keypoint, as a skeleton holds them, for the assigner and `loss_oks` where
            they have none of their own; None for 1 / 2.
        assigner: SimOTAAssigner, or its config.
        loss_obj, loss_cls, loss_bbox, loss_oks, loss_vis, loss_bbox_aux: losses or their configs.
            Sums for all but `loss_vis`, a mean, and `loss_oks`, which is averaged here.
        overlaps_power: float, of the similarity that is the class's target.
        use_aux_loss: bool, whether the numbers behind boxes are compared too. Published models
            switch it on for the last epochs, when their augmentation becomes plain.
    """

    terms = ("loss_obj", "loss_cls", "loss_bbox", "loss_kpt", "loss_vis", "loss_bbox_aux")

    def __init__(
        self,
        sigmas: Sequence[float] | None = None,
        assigner=None,
        loss_obj=None,
        loss_cls=None,
        loss_bbox=None,
        loss_oks=None,
        loss_vis=None,
        loss_bbox_aux=None,
        overlaps_power: float = 0.5,
        use_aux_loss: bool = False,
    ):
        self.sigmas = None if sigmas is None else [float(sigma) for sigma in sigmas]
        self.assigner = component(assigner) or SimOTAAssigner()
        self.loss_obj = component(loss_obj) or BCELoss(reduction="sum")
        self.loss_cls = component(loss_cls) or BCELoss(reduction="sum")
        self.loss_bbox = component(loss_bbox) or IoULoss(5.0, mode="square", reduction="sum")
        self.loss_oks = component(loss_oks) or OKSLoss(
            30.0, norm_target_weight=True, reduction="none"
        )
        self.loss_vis = component(loss_vis) or BCELoss()
        self.loss_bbox_aux = component(loss_bbox_aux) or L1Loss(reduction="sum")
        self.overlaps_power = float(overlaps_power)
        self.use_aux_loss = bool(use_aux_loss)
        check_weighted(**{name: getattr(self, name) for name in _LOSSES if name != "loss_oks"})
        for part in (self.assigner, self.loss_oks):
            part.sigmas = self.sigmas if part.sigmas is None else part.sigmas

    def __call__(self, targets, outputs):
        """The terms.

        Args:
            targets: see `losses.one_stage.match`; `masks` where there are some.
            outputs: as `YOLOXPoseHead` gives them.
        """
        priors = outputs["priors"]
        boxes = decode_boxes(outputs["boxes"], priors)
        keypoints = decode_offsets(outputs["offsets"], priors)
        sure = ops.sigmoid(outputs["classes"]) * ops.sigmoid(outputs["objectness"])
        matches = match(self.assigner, targets, priors, boxes, keypoints, ops.sqrt(sure[..., 0]))
        count, found = matches.count, matches.found

        counted = outside_weights(targets, priors, keypoints, outputs["visibility"])
        positive = ops.cast(matches.numbers > 0, "float32")
        terms = {
            "loss_obj": self.loss_obj.value(
                ops.reshape(outputs["objectness"], (-1, 1)),
                ops.reshape(positive, (-1, 1)),
                ops.reshape(counted, (-1,)),
            )
            / count
        }
        quality = ops.power(ops.maximum(matches.similarity, 0.0), self.overlaps_power)
        classes = matches.rows(outputs["classes"])
        terms["loss_cls"] = self.loss_cls.value(classes, quality[:, None], found) / count
        terms["loss_bbox"] = box_term(self.loss_bbox, matches.rows(boxes), matches)

        shape = (-1, *keypoints.shape[2:])
        flat = ops.reshape(keypoints, (-1, ops.shape(keypoints)[1], shape[1] * 2))
        own = ops.reshape(matches.rows(flat), shape)
        weights = matches.visible * matches.weights
        terms["loss_kpt"] = matches.mean(
            similarity_losses(self.loss_oks, own, matches.keypoints, weights, matches)
        )
        visibility = matches.rows(outputs["visibility"])
        terms["loss_vis"] = visibility_term(self.loss_vis, visibility, matches)
        terms["loss_bbox_aux"] = ops.zeros(())
        if self.use_aux_loss:
            deltas = matches.rows(outputs["boxes"])
            terms["loss_bbox_aux"] = box_code_term(self.loss_bbox_aux, deltas, matches)
        return terms

    def get_config(self):
        return {
            "sigmas": self.sigmas,
            "assigner": serialized(self.assigner),
            **{name: serialized(getattr(self, name)) for name in _LOSSES},
            "overlaps_power": self.overlaps_power,
            "use_aux_loss": self.use_aux_loss,
        }


_LOSSES = ("loss_obj", "loss_cls", "loss_bbox", "loss_oks", "loss_vis", "loss_bbox_aux")
