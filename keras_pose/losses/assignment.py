"""Which prior points of a one-stage network learn which object (SimOTA)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.decoding import constant
from keras_pose.codecs.suppression import pairwise_iou

# Costs that no prior with a part in the matter reaches.
_NEVER = 1e30
_FAR = 1e5


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class SimOTAAssigner:
    """Gives each object the prior points that predict it best already, each point to one object.

    The rule of YOLOX (https://arxiv.org/abs/2107.08430) with the similarity of keypoints beside
    that of boxes, as MMPose 1.3.2 has it for RTMO and YOLOX-Pose. All shapes are fixed, nothing
    has a gradient, and equal costs go to the prior that comes first.

    Args:
        sigmas: a number a keypoint, as a skeleton holds them, or None for 1 / 2.
        center_radius: float, side of the area around an object's centre in which priors are
            candidates, in strides to each side.
        candidate_topk: int, an object gets at most so many priors: the rounded sum of its so many
            best similarities.
        iou_weight, oks_weight, cls_weight: floats, factors of the costs of boxes, keypoints and
            scores.
        use_keypoints_for_center: bool, an object's centre is the mean of its visible keypoints;
            default the middle of its box.
    """

    sigmas: Sequence[float] | None = None
    center_radius: float = 2.5
    candidate_topk: int = 10
    iou_weight: float = 3.0
    oks_weight: float = 3.0
    cls_weight: float = 1.0
    use_keypoints_for_center: bool = False

    def __call__(self, priors, boxes, keypoints, scores, labels: dict):
        """Assigns the priors of a batch.

        Args:
            priors: `(B, P, 3)` x, y, stride, see `codecs.priors.prior_points`.
            boxes: `(B, P, 4)` xyxy and `keypoints` `(B, P, K, 2)`, as predicted, input pixels.
            scores: `(B, P)`, 0..1: the root of class score times objectness.
            labels: `keypoints` `(B, N, K, 2)`, `visible` `(B, N, K)`, `boxes` `(B, N, 4)`, `areas`
                `(B, N)` and `objects` `(B, N)`, 1 for objects and 0 for what fills up.

        Returns:
            Numbers `(B, P)` int32, 0 for the background and 1 + n for object n, and the similarity
            of keypoints (OKS) `(B, P)` float32 of each prior with its object, 0 in the background.
        """
        priors, boxes, keypoints, scores = (
            ops.stop_gradient(each) for each in (priors, boxes, keypoints, scores)
        )
        real = labels["objects"][..., None] > 0
        in_box, in_centre = self._inside(priors, labels)
        in_box, in_centre = in_box & real, in_centre & real
        candidate = ops.any(in_box | in_centre, axis=1, keepdims=True)
        similarity = self._similarity(keypoints, labels)
        similarity = ops.where(candidate & real, similarity, 0.0)
        surprise = ops.minimum(-ops.log(ops.maximum(_finite(scores), 1e-38)), 100.0)
        surprise = ops.where(_finite(scores) > 0, surprise, 100.0)
        cost = (
            ops.where(in_box & in_centre, 0.0, _FAR)
            - self.iou_weight * ops.log(pairwise_iou(labels["boxes"], boxes) + 1e-7)
            - self.oks_weight * ops.log(similarity + 1e-7)
            + self.cls_weight * surprise[:, None]
        )
        cost = ops.where(candidate & real & ops.isfinite(cost), cost, _NEVER)
        return self._match(cost, similarity)

    def _inside(self, priors, labels):
        """Whether priors lie in objects' boxes, and near their centres: each `(B, N, P)`."""
        x, y, stride = (priors[:, None, :, i] for i in range(3))
        left, top, right, bottom = (labels["boxes"][..., None, i] for i in range(4))
        sides = [x - left, y - top, right - x, bottom - y]
        in_box = ops.min(ops.stack(sides, axis=0), axis=0) > 0
        centre = (labels["boxes"][..., :2] + labels["boxes"][..., 2:]) * 0.5
        if self.use_keypoints_for_center:
            visible = labels["visible"][..., None]
            total = ops.sum(visible, axis=2)
            mean = ops.sum(labels["keypoints"] * visible, axis=2) / ops.maximum(total, 1e-6)
            centre = ops.where(total > 0, mean, centre)
        reach = self.center_radius * stride
        near = (ops.abs(x - centre[..., None, 0]) < reach) & (
            ops.abs(y - centre[..., None, 1]) < reach
        )
        return in_box, near

    def _similarity(self, keypoints, labels):
        """OKS `(B, N, P)` of every prior's keypoints with every object's."""
        count = labels["visible"].shape[2]
        sigmas = [0.5] * count if self.sigmas is None else self.sigmas
        if len(sigmas) != count:
            raise ValueError(f"the assigner has {len(sigmas)} sigmas for {count} keypoints")
        weights = labels["visible"] / ops.maximum(
            ops.sum(labels["visible"], axis=2, keepdims=True), 1e-8
        )
        areas = ops.maximum(labels["areas"], 1e-16)[..., None]
        total = 0.0
        # One keypoint after the other: (B, N, P, K) would not fit into memory.
        for k, sigma in enumerate(sigmas):
            apart = keypoints[:, None, :, k] - labels["keypoints"][:, :, None, k]
            squares = ops.sum(ops.square(apart), axis=-1)
            near = ops.exp(squares / (areas * (-8.0 * float(sigma) ** 2)))
            total = total + near * weights[..., k, None]
        return ops.where(ops.isfinite(total), total, 0.0)

    def _match(self, cost, similarity):
        wanted = self.candidate_topk
        known = cost.shape[2]
        wanted = wanted if known is None else min(wanted, known)
        best, _ = ops.top_k(similarity, wanted)
        number = ops.maximum(ops.floor(ops.sum(best, axis=2, keepdims=True)), 1.0)
        _, cheapest = ops.top_k(-cost, wanted)
        place = ops.arange(ops.shape(cost)[2], dtype=cheapest.dtype)
        taken = ops.zeros_like(cost, dtype="bool")
        for rank in range(wanted):
            among = (cheapest[:, :, rank, None] == place) & (number > rank)
            taken = taken | among
        taken = taken & (cost < _NEVER)
        takers = ops.sum(ops.cast(taken, "float32"), axis=1, keepdims=True)
        # Whom several objects want goes to the cheapest of all, not only of those.
        cost = ops.where(taken | (takers > 1), cost, _NEVER)
        numbers = constant(np.arange(cost.shape[1])[None, :, None])
        least = ops.min(cost, axis=1, keepdims=True)
        owner = ops.min(ops.where(cost <= least, numbers, float(cost.shape[1])), axis=1)
        own = ops.cast(numbers == owner[:, None], "float32")
        positive = takers[:, 0] > 0
        overlaps = ops.where(positive, ops.sum(similarity * own, axis=1), 0.0)
        return ops.cast(ops.where(positive, owner + 1.0, 0.0), "int32"), overlaps

    def get_config(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def positives(numbers, limit: int):
    """The priors that have an object.

    Args:
        numbers: `(B, P)` int, as `SimOTAAssigner` gives them.
        limit: int, how many slots an image has; `candidate_topk` times the number of objects
            holds all.

    Returns:
        Indices `(B, S)` int32 of priors in their order, and which of the slots hold one `(B, S)`,
        1 or 0. S is `limit`, or P where that is less.
    """
    known = numbers.shape[1]
    limit = limit if known is None else min(limit, known)
    count = ops.shape(numbers)[1]
    order = ops.cast(count - ops.arange(count), "float32")
    rank, index = ops.top_k(ops.where(numbers > 0, order, 0.0), limit)
    return ops.cast(index, "int32"), ops.cast(rank > 0, "float32")


def rows_of_objects(values, numbers):
    """What the labels say of each prior's object.

    Args:
        values: `(B, N, ...)`.
        numbers: `(B, S)` int, 1 + n; 0 reads the first object.

    Returns:
        `(B, S, ...)`.
    """
    rest = tuple(values.shape[2:])
    count, width = ops.shape(values)[1], int(np.prod(rest))
    slots = ops.shape(numbers)[1]
    first = ops.reshape(ops.arange(ops.shape(numbers)[0], dtype="int32") * count, (-1, 1))
    flat = ops.reshape(ops.maximum(ops.cast(numbers, "int32") - 1, 0) + first, (-1,))
    rows = ops.take(ops.reshape(values, (-1, width)), flat, axis=0)
    return ops.reshape(rows, (-1, slots, *rest))


def _finite(scores):
    return ops.where(ops.isfinite(scores), scores, 0.0)
