"""Mean squared errors of heatmaps."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.losses.comparison import HeatmapLoss


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class KeypointMSELoss(HeatmapLoss):
    """Squared difference of heatmaps times the keypoints' weights, averaged over all elements.

    As in MMPose 1.3.2 the weights are not squared and the mean is not over them. A `mask`
    `(B, h, w, 1 or K)` among the targets multiplies the weights.

    Args:
        skip_empty_channel: bool, let target maps without any Gaussian teach nothing.
    """

    skip_empty_channel: bool = False

    reads = ("mask",)

    def compare(self, output, target, weights, mask=None):
        error = ops.square(output - target) * weights
        if mask is not None:
            error = error * mask
        if self.skip_empty_channel:
            drawn = ops.any(ops.not_equal(target, 0), axis=(1, 2), keepdims=True)
            error = error * ops.cast(drawn, error.dtype)
        return ops.mean(error)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class KeypointOHKMMSELoss(HeatmapLoss):
    """Mean squared error of each sample's hardest keypoints (https://arxiv.org/abs/1711.07319).

    Weights multiply outputs and targets, so that they count squared.

    Args:
        topk: int, how many keypoints count.
    """

    topk: int = 8

    def compare(self, output, target, weights):
        if self.topk > output.shape[-1]:
            raise ValueError(f"topk is {self.topk}, but there are {output.shape[-1]} keypoints")
        error = ops.mean(ops.square((output - target) * weights), axis=(1, 2))
        return ops.mean(ops.sum(ops.top_k(error, self.topk)[0], axis=1) / self.topk)


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class CombinedTargetMSELoss(HeatmapLoss):
    """Errors of UDP's classification and offset maps (https://arxiv.org/abs/1911.07524).

    The maps `(B, h, w, 3K)` hold a keypoint's label, x offset and y offset one after the other.
    Offsets count where the target label is 1. Weights `(B, K)` multiply labels and their targets.
    """

    def compare(self, output, target, weights):
        shape = (*ops.shape(output)[:3], output.shape[-1] // 3, 3)
        output, target = ops.reshape(output, shape), ops.reshape(target, shape)
        near = target[..., 0] * weights
        label = ops.square(output[..., 0] * weights - near)
        offsets = ops.square(near[..., None] * (output[..., 1:] - target[..., 1:]))
        return 0.5 * (ops.mean(label) + ops.mean(offsets[..., 0]) + ops.mean(offsets[..., 1]))
