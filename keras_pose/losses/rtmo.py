"""What RTMO learns: where somebody is, the box, and the bins that hold the keypoints."""

from collections.abc import Callable, Sequence

import keras
from keras import ops

from keras_pose.codecs.decoding import rows_at
from keras_pose.codecs.priors import decode_boxes, decode_offsets
from keras_pose.layers import component, serialized
from keras_pose.losses.assignment import SimOTAAssigner
from keras_pose.losses.boxes import IoULoss
from keras_pose.losses.classification import BCELoss, VariFocalLoss
from keras_pose.losses.discretized import MLECCLoss
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

_LOSSES = ("loss_cls", "loss_bbox", "loss_oks", "loss_vis", "loss_mle", "loss_bbox_aux")


@keras.saving.register_keras_serializable(package="keras_pose")
class RTMOLoss(Loss):
    """The loss of RTMO, from matched priors (https://arxiv.org/abs/2312.07526).

    Terms: `loss_cls` of all priors, the target of positives being a similarity of keypoints; of the
    positives `loss_bbox`, `loss_vis`, `loss_oks` of the keypoints that are only guessed in
    training, `loss_mle` of the bins and, with `use_aux_loss`, `loss_bbox_aux`. `loss_mle` is
    negative where bins fit well.

    Published models change the rules during training, by the `switches` of their recipes: they set
    attributes of this object, `loss_mle.loss_weight` among them, which a compiled step reads while
    it is compiled; see `training.callbacks.AttributeSwitches`. From the 281st of 600 epochs on
    (CrowdPose: the 351st of 700) they have `proxy_target_cc`, a weight of 5 for `loss_mle` and 10
    for `loss_oks`; m, l and those of CrowdPose also `overlaps_power=1.0` and a weight of 2 for
    `loss_cls`. The last 20 epochs (30) have `use_aux_loss`.

    Args:
        sigmas: a number a keypoint, as a skeleton holds them, for the assigner and `loss_oks` where
            they have none of their own; None for 1 / 2.
        assigner: SimOTAAssigner, or its config.
        loss_cls, loss_bbox, loss_oks, loss_vis, loss_mle, loss_bbox_aux: losses or their configs.
            Sums for `loss_cls`, `loss_bbox` and `loss_bbox_aux`, a mean for `loss_vis`; `loss_oks`
            and `loss_mle` are averaged here.
        overlaps_power: float, of the similarity that is the target of `loss_cls`.
        proxy_target_cc: bool, the keypoints from the bins, instead of the labels, teach the guessed
            ones where they are better, and their similarity is the target of `loss_cls`.
        use_aux_loss: bool, whether the numbers behind boxes are compared too.
        max_positives: int, slots per image for priors with an object, None for as many as there can
            be. Of more the last, which belong to the coarsest level, learn only their score.
    """

    terms = ("loss_cls", "loss_bbox", "loss_vis", "loss_oks", "loss_mle", "loss_bbox_aux")

    def __init__(
        self,
        sigmas: Sequence[float] | None = None,
        assigner=None,
        loss_cls=None,
        loss_bbox=None,
        loss_oks=None,
        loss_vis=None,
        loss_mle=None,
        loss_bbox_aux=None,
        overlaps_power: float = 0.5,
        proxy_target_cc: bool = False,
        use_aux_loss: bool = False,
        max_positives: int | None = 160,
    ):
        self.sigmas = None if sigmas is None else [float(sigma) for sigma in sigmas]
        self.assigner = component(assigner) or SimOTAAssigner()
        self.loss_cls = component(loss_cls) or VariFocalLoss(reduction="sum")
        self.loss_bbox = component(loss_bbox) or IoULoss(5.0, mode="square", reduction="sum")
        self.loss_oks = component(loss_oks) or OKSLoss(30.0, reduction="none")
        self.loss_vis = component(loss_vis) or BCELoss()
        self.loss_mle = component(loss_mle) or MLECCLoss()
        self.loss_bbox_aux = component(loss_bbox_aux) or L1Loss(reduction="sum")
        self.overlaps_power = float(overlaps_power)
        self.proxy_target_cc = bool(proxy_target_cc)
        self.use_aux_loss = bool(use_aux_loss)
        self.max_positives = max_positives
        check_weighted(**{name: getattr(self, name) for name in _LOSSES})
        for part in (self.assigner, self.loss_oks):
            part.sigmas = self.sigmas if part.sigmas is None else part.sigmas
        self._similarity = OKSLoss(
            norm_target_weight=True, reduction="none", sigmas=self.assigner.sigmas
        )

    def __call__(self, targets, outputs, classify: Callable):
        """The terms.

        Args:
            targets: see `losses.one_stage.match`; `masks` where there are some.
            outputs: as `RTMOHead` gives them.
            classify: takes pose vectors `(R, C)`, boxes `(R, 4)`, prior points `(R, 2)` and which
                of the rows count `(R,)`; returns what `DynamicCoordinateClassifier` does, and
                `sigmas` `(R, K)`.
        """
        priors = outputs["priors"]
        boxes = decode_boxes(outputs["boxes"], priors)
        guesses = decode_offsets(outputs["offsets"], priors)
        sure = ops.sqrt(ops.sigmoid(outputs["classes"]))[..., 0]
        matches = match(
            self.assigner, targets, priors, boxes, guesses, sure, limit=self.max_positives
        )
        own = matches.where_found(matches.rows(boxes), matches.boxes)
        vectors, points = matches.rows(outputs["pose_vectors"]), matches.priors[:, :2]
        found = classify(vectors, own, points, matches.found)
        classified = ops.stop_gradient(found["keypoints"])

        quality = matches.similarity
        if self.proxy_target_cc:
            quality = 1.0 - similarity_losses(
                self._similarity, classified, matches.keypoints, matches.visible, matches
            )
        counted = outside_weights(targets, priors, guesses, outputs["visibility"])
        terms = {"loss_cls": self._class_term(outputs, quality, counted, matches)}

        terms["loss_bbox"] = box_term(self.loss_bbox, own, matches)
        visibility = matches.rows(outputs["visibility"])
        terms["loss_vis"] = visibility_term(self.loss_vis, visibility, matches)

        flat = ops.reshape(guesses, (*ops.shape(guesses)[:2], 2 * guesses.shape[2]))
        guess = ops.reshape(matches.rows(flat), (-1, *guesses.shape[2:]))
        wanted, weights = matches.keypoints, matches.visible
        if self.proxy_target_cc:
            worse = _errors(guess, wanted) > _errors(classified, wanted)
            wanted, weights = classified, weights * ops.cast(worse, "float32")
        terms["loss_oks"] = matches.mean(
            similarity_losses(self.loss_oks, guess, wanted, weights, matches)
        )

        areas = matches.where_found(matches.areas, 1.0)
        likely = likely_places(matches.keypoints, found["places"], areas, found["sigmas"])
        errors = self.loss_mle.value(found["probabilities"], likely, matches.visible)
        terms["loss_mle"] = matches.mean(ops.where(ops.isfinite(errors), errors, 0.0))

        terms["loss_bbox_aux"] = ops.zeros(())
        if self.use_aux_loss:
            deltas = matches.rows(outputs["boxes"])
            terms["loss_bbox_aux"] = box_code_term(self.loss_bbox_aux, deltas, matches)
        return terms

    def _class_term(self, outputs, quality, counted, matches):
        """Of all priors: those of slots shall be as sure as `quality` `(R,)`, others not at all."""
        slots = ops.shape(matches.index)[1]
        positive = matches.numbers > 0
        slot = ops.cumsum(ops.cast(positive, "int32"), axis=1) - 1
        quality = ops.reshape(quality, (-1, slots, 1))
        quality = rows_at(quality, ops.clip(slot, 0, slots - 1))[..., 0]
        quality = ops.where(slot < slots, quality, matches.overlaps)
        quality = ops.power(ops.maximum(quality, 0.0), self.overlaps_power)
        target = ops.stop_gradient(ops.where(positive, quality, 0.0))
        value = self.loss_cls.value(outputs["classes"], target[..., None], counted[..., None])
        return value / matches.count

    def get_config(self):
        return {
            "sigmas": self.sigmas,
            "assigner": serialized(self.assigner),
            **{name: serialized(getattr(self, name)) for name in _LOSSES},
            "overlaps_power": self.overlaps_power,
            "proxy_target_cc": self.proxy_target_cc,
            "use_aux_loss": self.use_aux_loss,
            "max_positives": self.max_positives,
        }


def likely_places(keypoints, places, areas, sigmas) -> tuple:
    """How well bins fit labelled keypoints: Laplace distributions, not normalised.

    Args:
        keypoints: `(R, K, 2)`, labelled, input pixels.
        places: x `(R, columns)` and y `(R, rows)` of the bins, input pixels.
        areas: `(R,)` in square pixels; the smallest counts as 1.
        sigmas: `(R, K)`, how unsure keypoints are, in roots of areas.

    Returns:
        x `(R, K, columns)` and y `(R, K, rows)`.
    """
    size = ops.sqrt(ops.maximum(areas, 1.0))
    width = (2.0 * size[:, None] * sigmas)[..., None]
    return tuple(
        ops.exp(-ops.abs(keypoints[..., axis, None] - place[:, None]) / width) / sigmas[..., None]
        for axis, place in enumerate(places)
    )


def _errors(keypoints, wanted):
    """Squared distances `(R, K)`, without a gradient."""
    return ops.sum(ops.square(ops.stop_gradient(keypoints) - wanted), axis=-1)
