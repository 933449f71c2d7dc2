"""A loss that keeps features of different instances apart."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import ComparisonLoss

# The logarithm of no chance at all.
_NOBODY = -1e9


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class InfoNCELoss(ComparisonLoss):
    """InfoNCE (https://arxiv.org/abs/1807.03748) of features `(..., N, C)`, each its own positive.

    The sum, not the mean, of the cross entropies of normalised similarities. Features whose weight
    `(..., N)` is 0 count as if they were not there.

    Args:
        temperature: float, what similarities are divided by.
    """

    key: str = "features"
    temperature: float = 1.0

    def __call__(self, targets, outputs):
        return {self.term: self.value(outputs[self.key])}

    def value(self, output, target=None, weights=None):
        return super().value(output, target, weights)

    def compare(self, output, target, weights):
        square = ops.sum(ops.square(output), axis=-1, keepdims=True)
        # The reference divides by at least 1e-12; this also keeps the derivative at 0 finite.
        features = output / ops.sqrt(ops.maximum(square, 1e-24))
        logits = ops.matmul(features, ops.swapaxes(features, -1, -2)) / self.temperature
        if not isinstance(weights, float):
            logits = ops.where(weights[..., None, :] > 0, logits, _NOBODY)
        positive = ops.diagonal(ops.log_softmax(logits, axis=-1), axis1=-2, axis2=-1)
        return -ops.sum(positive * weights)
