"""Augmentation that changes during the training, as two-stage recipes ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class AugmentSchedule:
    """One augmentation until an epoch, another from there on.

    Wherever a pipeline takes an `augment`, it takes a schedule of them too.

    Args:
        first: augmentation of the first epochs (None: none).
        later: dict from an epoch, counted from 0, to the augmentation that begins with it.

    Raises:
        ValueError: for epochs that are no integers of at least 1.

    Example:
        >>> AugmentSchedule(strong, {280: gentle})  # the last 20 of 300 epochs are gentle
    """

    first: Any
    later: Mapping[int, Any] = field(default_factory=dict)

    def __post_init__(self):
        for epoch in self.later:
            if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 1:
                raise ValueError(
                    "an augmentation that comes later begins with an epoch of at least 1 "
                    f"(the first is epoch 0), got {epoch!r}"
                )

    def at(self, epoch: int) -> Any:
        """The augmentation of an epoch."""
        begun = [start for start in self.later if start <= epoch]
        return self.later[max(begun)] if begun else self.first


def augment_at(augment: Any, epoch: int) -> Any:
    """What to do in an epoch, of an augmentation or a schedule of them."""
    return augment.at(epoch) if isinstance(augment, AugmentSchedule) else augment
