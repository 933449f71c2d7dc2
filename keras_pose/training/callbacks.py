"""Callbacks that recipes ask for."""

from collections.abc import Mapping
from typing import Any

import keras


class AveragedWeights(keras.callbacks.Callback):
    """Swaps a model's averaged weights in while it is judged or saved.

    It belongs before callbacks that evaluate or save at the end of an epoch. From there until the
    next epoch, and after the training, the model has the averaged weights, and its optimizer keeps
    those that are trained; a saved file says so itself, and training goes on from the latter.

    Needs an optimizer with a `WeightAverage`.
    """

    def set_model(self, model):
        super().set_model(model)
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self._average = getattr(optimizer, "average", None)
        if self._average is None:
            raise ValueError(
                f"{type(optimizer).__name__} keeps no average of the weights: give it a "
                "WeightAverage"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._average.swap(self.model, averaged=False)

    def on_epoch_end(self, epoch, logs=None):
        self._average.swap(self.model, averaged=True)

    def on_test_begin(self, logs=None):
        self._average.swap(self.model, averaged=True)

    def on_test_end(self, logs=None):
        self._average.swap(self.model, averaged=False)


class AttributeSwitches(keras.callbacks.Callback):
    """Sets attributes of a model at the beginning of epochs, such as weights of losses.

    All switches up to the present epoch are made, so that a resumed training has them too.

    Args:
        switches: {epoch, counted from 0: {attribute path: value}}, such as
            {"280": {"head.loss_module.loss_weight": 5.0}}. Epochs may be texts, as JSON has them.
    """

    def __init__(self, switches: Mapping[str | int, Mapping[str, Any]]):
        super().__init__()
        self.switches = {int(epoch): dict(values) for epoch, values in switches.items()}

    def check(self, model: keras.Model) -> None:
        """Raises ValueError for attributes that a model lacks."""
        for values in self.switches.values():
            for path in values:
                _owner(model, path)

    def on_epoch_begin(self, epoch, logs=None):
        wanted: dict[str, Any] = {}
        for start in sorted(start for start in self.switches if start <= epoch):
            wanted |= self.switches[start]
        changed = False
        for path, value in wanted.items():
            owner, name = _owner(self.model, path)
            changed |= getattr(owner, name) != value
            setattr(owner, name, value)
        if changed:
            # Attributes are constants of compiled steps.
            self.model.make_train_function(force=True)
            if self.model.test_function is not None:
                self.model.make_test_function(force=True)


def _owner(model, path: str) -> tuple[Any, str]:
    """The object that has the attribute at the end of a path, and the attribute's name."""
    owner, value = None, model
    for name in path.split("."):
        owner = value
        if not hasattr(owner, name):
            raise ValueError(
                f"cannot switch {path!r}: {type(owner).__name__} has no attribute {name!r}"
            )
        value = getattr(owner, name)
    return owner, name
