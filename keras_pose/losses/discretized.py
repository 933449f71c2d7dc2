"""Losses of distributions over pixels or over the bins of an axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_pose.losses.comparison import ComparisonLoss, HeatmapLoss, check_choice, reduced


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class JSDiscretLoss(HeatmapLoss):
    """Jensen-Shannon divergence of heatmaps that sum to 1 (https://arxiv.org/abs/1801.07372).

    Summed over everything and divided by the batch. Weights multiply outputs and targets. Where
    the output is 0 the gradient is 0, also where the derivative is infinite.

    Args:
        size_average: bool, divide by the batch.
    """

    size_average: bool = True

    def compare(self, output, target, weights):
        output = output * weights
        output, target = ops.where(output > 0, output, 0.0), target * weights
        # As in the reference: far below every probability, and float32 still holds it.
        log_middle = ops.log(0.5 * (output + target) + 1e-24)
        divergence = ops.sum(_log_times(output) - output * log_middle)
        divergence = 0.5 * (divergence + ops.sum(_log_times(target) - target * log_middle))
        return divergence / ops.shape(output)[0] if self.size_average else divergence


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class KLDiscretLoss(ComparisonLoss):
    """Kullback-Leibler divergence of SimCC's bins (https://arxiv.org/abs/2107.03332), from logits.

    Averaged over the bins of an axis, summed over axes, keypoints and samples, and divided by the
    number of keypoints only: as in MMPose, whose loss weights and learning rates assume it, the
    value grows with the batch.

    Args:
        key: the axes, each an entry `(B, K, bins)`.
        beta: float, factor of the outputs before the softmax.
        label_softmax: bool, the targets are logits too.
        label_beta: float, their factor.
        mask: indices of keypoints whose loss is multiplied by `mask_weight`.
        mask_weight: float.
        weights_per_axis: bool, each axis has weights of its own, the entry `x_weights` of axis x.
    """

    key: Sequence[str] = ("x", "y")
    beta: float = 1.0
    label_softmax: bool = False
    label_beta: float = 10.0
    mask: Sequence[int] | None = None
    mask_weight: float = 1.0
    weights_per_axis: bool = False

    def __call__(self, targets, outputs):
        if self.weights_per_axis:
            weights = [targets[f"{key}_weights"] for key in self.key]
            targets = {**targets, "weights": weights}
        return super().__call__(targets, outputs)

    def compare(self, output, target, weights):
        count = output[0].shape[1]
        if not isinstance(weights, list | tuple):
            weights = [weights] * len(output)
        total = 0.0
        for logits, labels, weight in zip(output, target, weights, strict=True):
            if self.label_softmax:
                labels = ops.softmax(labels * self.label_beta)
            surprise = _log_times(labels) - labels * ops.log_softmax(logits * self.beta)
            total = total + ops.mean(surprise, axis=-1) * weight
        return ops.sum(total * self._mask_weights(count)) / count

    def _mask_weights(self, count):
        weights = np.ones(count, "float32")
        weights[list(self.mask or ())] = self.mask_weight
        return ops.convert_to_tensor(weights)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class MLECCLoss(ComparisonLoss):
    """Likelihood of the targets under distributions over bins (https://arxiv.org/abs/2312.07526).

    A keypoint's likelihood p is the product over axes of the summed products of bins.

    Args:
        key: the axes, each an entry `(B, K, bins)`.
        mode: "log" for -log(p + 0.0001), "linear" for 1 - p, "square" for 1 - p^2.
        reduction: of a sample's keypoints, "mean", "sum" or "none": one value a sample, or a
            keypoint.
    """

    key: Sequence[str] = ("x", "y")
    mode: str = "log"
    reduction: str = "mean"

    def __post_init__(self):
        check_choice("mode", self.mode, list(_LIKELIHOODS))
        check_choice("reduction", self.reduction, ("mean", "sum", "none"))

    def fit(self, weights, output):
        if weights is not None and len(weights.shape) == 1:
            return weights[:, None]
        return super().fit(weights, output)

    def compare(self, output, target, weights):
        likelihood = 1.0
        for bins, labels in zip(output, target, strict=True):
            likelihood = likelihood * ops.sum(bins * labels, axis=-1)
        return reduced(_LIKELIHOODS[self.mode](likelihood) * weights, self.reduction, axis=1)


_LIKELIHOODS = {
    "log": lambda p: -ops.log(p + 1e-4),
    "linear": lambda p: 1 - p,
    "square": lambda p: 1 - ops.square(p),
}


def _log_times(p):
    """p log p, which is 0 with derivative 0 where p is not positive."""
    positive = p > 0
    return ops.where(positive, p * ops.log(ops.where(positive, p, 1.0)), 0.0)
