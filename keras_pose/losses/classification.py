"""Cross entropies of probabilities and scores."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import ComparisonLoss, check_reduction, reduced


@dataclass(eq=False)
class RowLoss(ComparisonLoss):
    """A loss of scores `(B, K)`, with weights `(B,)` or `(B, K)`.

    Args:
        reduction: "mean", "sum" or "none".
    """

    reduction: str = "mean"

    def __post_init__(self):
        check_reduction(self.reduction)

    def fit(self, weights, output):
        if weights is not None and len(weights.shape) == 1:
            return weights[:, None]
        return super().fit(weights, output)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class BCELoss(RowLoss):
    """Binary cross entropy.

    Args:
        reduction: "mean" over all elements, "sum" or "none".
        from_logits: bool, outputs are logits; otherwise probabilities.
    """

    key: str = "visibility"
    term: str = "loss_vis"
    from_logits: bool = True

    def compare(self, output, target, weights):
        if self.from_logits:
            error = _logistic(output, target)
        else:
            error = -target * _log(output) - (1 - target) * _log(1 - output)
        return reduced(error * weights, self.reduction)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class VariFocalLoss(RowLoss):
    """Cross entropy with qualities instead of classes (https://arxiv.org/abs/2008.13367).

    Positive elements weigh as much as their quality, others by their own score. Logits are cut at
    10 inside the cross entropy, and what is not finite counts 0, as in MMPose 1.3.2.

    Args:
        reduction: "mean" over all elements, "sum" or "none".
        alpha, gamma: floats, factor and power of the scores of negative elements.
    """

    key: str = "scores"
    alpha: float = 0.75
    gamma: float = 2.0

    def compare(self, output, target, weights):
        negative = ops.cast(target <= 1e-4, output.dtype)
        focus = self.alpha * ops.power(ops.sigmoid(output), self.gamma) * negative + target
        error = _logistic(ops.clip(output, -10.0, 10.0), target) * focus * weights
        return reduced(ops.where(ops.isfinite(error), error, 0.0), self.reduction)


def _logistic(logits, target):
    """Cross entropy of logits; its derivative at 0 is exact, whichever side `abs` takes."""
    return ops.softplus(logits) - logits * target


def _log(probability):
    """Logarithms cut at -100, as PyTorch's; where they are cut the derivative is 0."""
    positive = probability > 1e-43
    return ops.where(positive, ops.log(ops.where(positive, probability, 1.0)), -100.0)
