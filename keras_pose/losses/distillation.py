"""Losses of a student that imitates a teacher (DWPose, https://arxiv.org/abs/2307.15880)."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import ops

from keras_pose.layers import Composite, Conv2D
from keras_pose.losses.comparison import ComparisonLoss
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
@dataclass(eq=False)
class KDLoss(ComparisonLoss):
    """Divergence of the teacher's distributions over bins, both sides from logits.

    Summed over bins, axes and keypoints, averaged over samples, divided by the number of
    keypoints. Weights do not count; teachers (the targets) have no gradient.

    Args:
        key: the axes, each an entry `(B, K, bins)`.
        beta: float, factor of the logits before the softmax.
    """

    key: Sequence[str] = ("x", "y")
    term: str = "loss_logit"
    beta: float = 1.0

    def compare(self, output, target, weights):
        total = 0.0
        for student, teacher in zip(output, target, strict=True):
            teacher = ops.log_softmax(ops.stop_gradient(teacher) * self.beta)
            student = ops.log_softmax(student * self.beta)
            total = total + ops.sum(ops.exp(teacher) * (teacher - student), axis=(1, 2))
        return ops.mean(total) / output[0].shape[1]


@keras.saving.register_keras_serializable(package="keras_pose")
class FeaLoss(Composite, Loss):
    """Squared differences of feature maps, summed and divided by the batch.

    Student features of another width go through a 1x1 convolution that is learnt with them.

    Args:
        student_channels, teacher_channels: ints.
        loss_weight: float.
        key: the entry of targets (the teacher's) and outputs that is compared, `(B, h, w, C)`.
        term: name of the result.
    """

    def __init__(
        self,
        student_channels,
        teacher_channels,
        loss_weight=7e-5,
        key="features",
        term="loss_fea",
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.loss_weight = loss_weight
        self.key = key
        self.term = term
        self.align = None
        if student_channels != teacher_channels:
            self.align = Conv2D(teacher_channels, 1, dtype=self.dtype_policy)
            self.align.build((None, None, None, student_channels))
        self.built = True

    @property
    def terms(self):
        return (self.term,)

    def call(self, targets, outputs):
        return {self.term: self.value(outputs[self.key], targets[self.key])}

    def value(self, output, target):
        """The loss of a student's features and a teacher's, each `(B, h, w, C)`."""
        output = output if self.align is None else self.align(output)
        error = ops.sum(ops.square(output - ops.stop_gradient(target)))
        return error / ops.shape(output)[0] * self.loss_weight

    def get_config(self):
        return {
            **super().get_config(),
            "student_channels": self.student_channels,
            "teacher_channels": self.teacher_channels,
            "loss_weight": self.loss_weight,
            "key": self.key,
            "term": self.term,
        }
