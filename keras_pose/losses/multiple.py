"""Several losses of one head."""

from collections.abc import Sequence

import keras

from keras_pose.layers import component, serialized
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class MultipleLossWrapper(Loss):
    """Losses side by side, each of the entries it reads; terms of one name are added.

    Args:
        losses: losses or their configs, without weights of their own.

    Raises:
        ValueError: if one of the losses is a layer with weights, which only a head can hold.
    """

    def __init__(self, losses: Sequence):
        self.losses = [component(loss) for loss in losses]
        for loss in self.losses:
            if isinstance(loss, keras.layers.Layer):
                raise ValueError(
                    f"a {type(loss).__name__} has weights and must be a head's only loss"
                )

    @property
    def terms(self):
        return tuple(dict.fromkeys(term for loss in self.losses for term in loss.terms))

    def __call__(self, targets, outputs):
        total = dict.fromkeys(self.terms, 0.0)
        for loss in self.losses:
            for term, value in loss(targets, outputs).items():
                total[term] = total[term] + value
        return total

    def value(self, outputs: Sequence, targets: Sequence, weights=None) -> list:
        """One value a loss, from one output and target for each and the same weights for all."""
        pairs = zip(self.losses, outputs, targets, strict=True)
        return [loss.value(output, target, weights) for loss, output, target in pairs]

    def get_config(self):
        return {"losses": [serialized(loss) for loss in self.losses]}
