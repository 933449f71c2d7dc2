"""Losses of heatmaps that a network predicts one after the other."""

from collections.abc import Sequence

import keras
from keras import ops

from keras_pose.layers import component, serialized
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class MultilevelLoss(Loss):
    """Compares the intermediate and the last heatmaps each with a target; terms are added.

    Outputs are `intermediate_heatmaps` `(B, S - 1, h, w, K)` and `heatmaps` `(B, h, w, K)`, targets
    the same with a level for each, or `heatmaps` alone for all outputs. `weights` and, where
    levels have their own, `intermediate_weights` `(B, S - 1, K)` are the keypoints' weights.

    Args:
        losses: a heatmap loss for all outputs or a list with one for each; or their configs.
        levels: for each output the index of its target; default: its own index.

    Raises:
        ValueError: if losses, outputs and targets do not fit each other.
    """

    def __init__(self, losses, levels: Sequence[int] | None = None):
        single = isinstance(losses, Loss | dict)
        self.losses = component(losses) if single else [component(loss) for loss in losses]
        self.levels = None if levels is None else list(levels)
        if not single and levels is not None and len(self.losses) != len(self.levels):
            raise ValueError(
                f"losses and levels must be equally long, got {len(self.losses)} and "
                f"{len(self.levels)}"
            )

    @property
    def terms(self):
        losses = self.losses if isinstance(self.losses, list) else [self.losses]
        return tuple(dict.fromkeys(term for loss in losses for term in loss.terms))

    def __call__(self, targets, outputs):
        predicted, wanted = _levels(outputs, "heatmaps"), _levels(targets, "heatmaps")
        weights = _levels(targets, "weights")
        count = len(predicted)
        losses = self.losses if isinstance(self.losses, list) else [self.losses] * count
        levels = list(range(count)) if self.levels is None else self.levels
        if len(wanted) == 1:
            levels = [0] * len(levels)
        if len(losses) != count or len(levels) != count or max(levels) >= len(wanted):
            raise ValueError(
                f"{count} outputs do not fit {len(losses)} losses and the targets {levels} of "
                f"{len(wanted)}"
            )
        total = dict.fromkeys(self.terms, 0.0)
        for loss, output, level in zip(losses, predicted, levels, strict=True):
            target = {"heatmaps": wanted[level], "weights": weights[min(level, len(weights) - 1)]}
            for term, value in loss(target, {"heatmaps": output}).items():
                total[term] = total[term] + value
        return total

    def get_config(self):
        many = isinstance(self.losses, list)
        return {
            "losses": [serialized(x) for x in self.losses] if many else serialized(self.losses),
            "levels": self.levels,
        }


def _levels(entries, name) -> list:
    """The intermediate entries and the last one."""
    intermediate = entries.get(f"intermediate_{name}")
    return [*([] if intermediate is None else ops.unstack(intermediate, axis=1)), entries[name]]
