"""Focal loss of heatmaps of probabilities."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import HeatmapLoss


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class FocalHeatmapLoss(HeatmapLoss):
    """CornerNet's penalty-reduced focal loss (https://arxiv.org/abs/1808.01244, equation 1).

    Summed and divided by the number of peaks, pixels whose target is 1. A `mask`
    `(B, h, w, 1 or K)` among the targets multiplies the weights.

    Args:
        alpha: float, power of the errors.
        beta: float, power that spares pixels near a peak.
        skip_empty_channel: bool, let target maps without any Gaussian teach nothing.
    """

    alpha: float = 2.0
    beta: float = 4.0
    skip_empty_channel: bool = False

    reads = ("mask",)

    def compare(self, output, target, weights, mask=None):
        if mask is not None:
            weights = weights * mask
        if self.skip_empty_channel:
            drawn = ops.any(ops.not_equal(target, 0), axis=(1, 2), keepdims=True)
            weights = weights * ops.cast(drawn, output.dtype)
        peak = ops.equal(target, 1.0)
        # The probability that is wrong, and the logarithm of the right one.
        wrong = ops.where(peak, 1 - output, output)
        error = -ops.log(1 - wrong) * ops.power(wrong, self.alpha) * weights
        error = ops.where(peak, error, error * ops.power(1 - target, self.beta))
        count = ops.sum(ops.cast(peak, output.dtype) * weights)
        return ops.sum(error) / ops.where(count > 0, count, 1.0)
