"""Losses that compare outputs with targets of the same shape, under weights."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from keras import ops

from keras_pose.losses.loss import Loss


@dataclass(eq=False)
class ComparisonLoss(Loss):
    """A loss of one kind of outputs; its settings are the fields of a dataclass.

    Subclasses write `compare`.

    Args:
        loss_weight: float, factor of the result.
        weighted: bool, whether weights count.
        key: the entry of targets and outputs that is compared; of losses over several axes a list.
        term: name of the result.
    """

    loss_weight: float = 1.0
    weighted: bool = True
    key: str | Sequence[str] = ""
    term: str = "loss_kpt"

    # Further entries of the targets that `compare` takes, where they are given.
    reads: ClassVar[tuple[str, ...]] = ()

    @property
    def terms(self):
        return (self.term,)

    def __call__(self, targets, outputs):
        given = {name: targets[name] for name in self.reads if name in targets}
        weights = targets.get("weights")
        value = self.value(self._entry(outputs), self._entry(targets), weights, **given)
        return {self.term: ops.mean(value)}

    def value(self, output, target, weights=None, **given):
        """The loss as the reference computes it.

        Args:
            output, target: tensors of one shape, or lists of them for losses over several axes.
            weights: `(B, K)`, or a shape that broadcasts to the output's; None for 1.
            given: the entries named in `reads`.

        Returns:
            A scalar; of some losses, or where `reduction` is "none", several values.
        """
        weights = weights if self.weighted else None
        return self.compare(output, target, self.fit(weights, output), **given) * self.loss_weight

    def compare(self, output, target, weights, **given):
        """The loss without its factor, from weights as `fit` returns them."""
        raise NotImplementedError

    def fit(self, weights, output):
        """Weights that broadcast to the output; 1 where there are none."""
        return 1.0 if weights is None else weights

    def get_config(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _entry(self, entries):
        if isinstance(self.key, str):
            return entries[self.key]
        return [entries[key] for key in self.key]


@dataclass(eq=False)
class HeatmapLoss(ComparisonLoss):
    """A loss of maps `(B, h, w, K)` or volumes `(B, h, w, K, D)`, with weights `(B, K)` or such
    maps."""

    key: str = "heatmaps"

    def fit(self, weights, output):
        if weights is not None and len(weights.shape) == 2:
            weights = weights[:, None, None, :]
            return weights[..., None] if len(output.shape) == 5 else weights
        return super().fit(weights, output)


@dataclass(eq=False)
class CoordinateLoss(ComparisonLoss):
    """A loss of coordinates `(B, K, D)`, with weights `(B, K)` or `(B, K, 1 or D)`."""

    key: str = "coordinates"

    def fit(self, weights, output):
        if weights is None:
            return 1.0
        missing = len(output.shape) - len(weights.shape)
        return ops.reshape(weights, (*ops.shape(weights), *[1] * missing))


_REDUCTIONS = {
    "mean": ops.mean,
    "sum": ops.sum,
    "none": lambda values, axis: values,
}


def reduced(values, reduction: str, axis=None):
    """The "mean" or "sum" of values along an axis, or all of them ("none")."""
    return _REDUCTIONS[reduction](values, axis=axis)


def magnitude(values):
    """Absolute values whose derivative at 0 is 0, as in PyTorch; JAX's own has 1 there."""
    return values * ops.sign(values)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuses a setting's value that is not one of its choices."""
    if value not in choices:
        known = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be one of {known}, got {value!r}")


def check_reduction(reduction: str) -> None:
    """Refuses a way to reduce that does not exist."""
    check_choice("reduction", reduction, list(_REDUCTIONS))
