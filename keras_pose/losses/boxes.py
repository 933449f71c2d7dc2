"""Losses of boxes xyxy from their intersection over union."""

import math
from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import ComparisonLoss, check_reduction, reduced
from keras_pose.losses.oks import check_mode, from_similarity


@dataclass(eq=False)
class BoxLoss(ComparisonLoss):
    """A loss of boxes `(N, 4)` xyxy, with weights `(N,)`.

    Args:
        eps: float, the least intersection over union, or the least union.
        reduction: of the boxes, "mean", "sum" or "none"; a mean divides by `count` where it is
            given.
    """

    key: str = "boxes"
    eps: float = 1e-6
    reduction: str = "mean"

    reads = ("count",)

    def __post_init__(self):
        check_reduction(self.reduction)

    def compare(self, output, target, weights, count=None):
        error = self.distances(output, target) * weights
        if self.reduction == "mean" and count is not None:
            return ops.sum(error) / (count + 1.1920929e-07)
        return reduced(error, self.reduction)

    def distances(self, output, target):
        """One value `(N,)` a box."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class IoULoss(BoxLoss):
    """From the intersection over union s alone (https://arxiv.org/abs/1608.01471).

    Args:
        eps: float, the least intersection over union; boxes apart have no gradient.
        mode: "log" for -log(s), "linear" for 1 - s, "square" for 1 - s^2.
    """

    eps: float = 1e-16
    mode: str = "log"

    def __post_init__(self):
        super().__post_init__()
        check_mode(self.mode)

    def distances(self, output, target):
        overlap, union = _overlap_and_union(output, target)
        similarity = overlap / ops.maximum(union, 1e-6)
        return from_similarity(ops.maximum(similarity, self.eps), self.mode)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class GIoULoss(BoxLoss):
    """Generalised intersection over union (https://arxiv.org/abs/1902.09630)."""

    def distances(self, output, target):
        overlap, union = _overlap_and_union(output, target)
        union = ops.maximum(union, self.eps)
        hull = ops.maximum(_area(*_hull(output, target)), self.eps)
        return 1 - overlap / union + (hull - union) / hull


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class DIoULoss(BoxLoss):
    """Intersection over union and the distance of centres (https://arxiv.org/abs/1911.08287)."""

    def distances(self, output, target):
        overlap, union = _overlap_and_union(output, target)
        low, high = _hull(output, target)
        diagonal = ops.sum(ops.square(high - low), axis=-1) + self.eps
        apart = output[..., :2] + output[..., 2:] - target[..., :2] - target[..., 2:]
        centres = ops.sum(ops.square(apart), axis=-1) / 4
        return 1 - overlap / (union + self.eps) + centres / diagonal


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class CIoULoss(DIoULoss):
    """`DIoULoss` and the difference of aspect ratios (https://arxiv.org/abs/1911.08287)."""

    def distances(self, output, target):
        overlap, union = _overlap_and_union(output, target)
        similarity = overlap / (union + self.eps)
        turn = self._angle(target) - self._angle(output)
        shape = ops.square(turn) * (4 / math.pi**2)
        factor = ops.cast(similarity > 0.5, output.dtype) * shape / (1 - similarity + shape)
        return super().distances(output, target) + ops.stop_gradient(factor) * shape

    def _angle(self, boxes):
        width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
        return ops.arctan(width / (height + self.eps))


def _area(low, high):
    return ops.prod(ops.maximum(high - low, 0.0), axis=-1)


def _hull(first, second):
    return _smaller(first[..., :2], second[..., :2]), _larger(first[..., 2:], second[..., 2:])


def _overlap_and_union(first, second):
    low = _larger(first[..., :2], second[..., :2])
    overlap = _area(low, _smaller(first[..., 2:], second[..., 2:]))
    areas = [ops.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
    return overlap, areas[0] + areas[1] - overlap


def _larger(first, second):
    """The maximum; of equal sides each gets half the gradient, which TensorFlow's own does not."""
    return (ops.where(first > second, first, second) + ops.where(first < second, second, first)) / 2


def _smaller(first, second):
    return -_larger(-first, -second)
