"""The loss that makes tags of one person alike and those of different people not."""

import keras
from keras import ops

from keras_pose.codecs.decoding import rows_at
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class AssociativeEmbeddingLoss(Loss):
    """Pulls a person's tags to their mean and pushes the means of people apart.

    Of associative embedding (Newell et al., 2017, https://arxiv.org/abs/1611.05424), as in MMPose
    1.3.2: both terms are added up over the images of a batch; among the pairs of people is
    everybody with themselves.

    Args:
        loss_weight: float, factor of both terms.
        push_loss_factor: float, further factor of the second.
    """

    terms = ("loss_pull", "loss_push")

    def __init__(self, loss_weight=1.0, push_loss_factor=0.5):
        self.loss_weight = float(loss_weight)
        self.push_loss_factor = float(push_loss_factor)

    def __call__(self, targets, outputs):
        values = self.value(outputs["tags"], targets["tag_indices"], targets["tag_weights"])
        return dict(zip(self.terms, values, strict=True))

    def value(self, tags, indices, weights) -> tuple:
        """The two terms.

        Args:
            tags: `(B, h, w, L * K)`, L sets of K maps.
            indices: `(B, N, K)` ints, each keypoint's cell in the flattened maps.
            weights: `(B, N, K)`, 1 for keypoints that count and 0 for the others.
        """
        people, count = indices.shape[1:]
        channels = tags.shape[-1]
        own = ops.reshape(ops.arange(channels, dtype="int32"), (-1, count))
        # (B, N, L, K)
        places = ops.cast(indices, "int32")[:, :, None] * channels + own
        table = ops.reshape(tags, (-1, tags.shape[1] * tags.shape[2] * channels, 1))
        found = rows_at(table, ops.reshape(places, (-1, people * channels)))
        found = ops.reshape(found, (-1, people, channels // count, count))
        weights = ops.cast(weights, tags.dtype)[:, :, None]
        sizes = ops.sum(weights, axis=-1, keepdims=True)
        known = ops.maximum(sizes, 1.0)
        means = ops.sum(found * weights, axis=-1, keepdims=True) / known
        errors = ops.mean(
            ops.sum(ops.square(found - means) * weights, axis=-1, keepdims=True) / known, axis=2
        )
        present = ops.cast(sizes[:, :, 0, 0] > 0, tags.dtype)
        number = ops.sum(present, axis=1)
        pull = ops.sum(ops.sum(errors[..., 0], axis=1) / (number + 1e-6))
        apart = ops.square(means[:, :, None] - means[:, None])[..., 0]
        pairs = present[:, :, None] * present[:, None]
        alike = ops.sum(ops.sum(ops.exp(-apart), axis=-1) * pairs, axis=(1, 2))
        several = ops.cast(number > 1, tags.dtype)
        push = ops.sum(several * alike / ((number - 1) * number + 1e-6))
        return pull * self.loss_weight, push * (self.loss_weight * self.push_loss_factor)

    def get_config(self):
        return {"loss_weight": self.loss_weight, "push_loss_factor": self.push_loss_factor}
