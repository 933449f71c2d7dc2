"""Stopping a training that goes wrong with a sentence that helps."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras


class TrainingError(RuntimeError):
    """A training had to stop; its checkpoints are as they were."""


class StopAtBadLoss(keras.callbacks.Callback):
    """Stops when a loss is no number or infinite, and says which term, epoch and batch.

    It belongs before the callbacks that save. Numbers of a step are looked at after the next one
    has begun, so that an accelerator need not wait, and before anything is saved, by `check`.

    Args:
        images: function from epoch and batch, both counted from 0, to the batch's image files.
        offset: batches of the first epoch that were done before.

    Raises:
        TrainingError: in the training.
    """

    def __init__(self, images: Callable[[int, int], Sequence[str]] | None = None, offset: int = 0):
        super().__init__()
        self._images, self._offset = images, offset
        self._epoch, self._waiting = 0, None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._waiting = epoch, None

    def on_train_batch_end(self, batch, logs=None):
        self.check()
        self._waiting = batch, logs or {}

    def on_epoch_end(self, epoch, logs=None):
        self.check()
        self._offset = 0

    def check(self) -> None:
        """Looks at the last step now."""
        if self._waiting is None:
            return
        batch, logs = self._waiting
        self._waiting = None
        if math.isfinite(float(logs.get("loss", 0.0))):
            return
        terms = [name for name in self._terms() if not math.isfinite(float(logs.get(name, 0.0)))]
        found = " and ".join(dict.fromkeys(str(float(logs[name])) for name in terms or ["loss"]))
        what = f"the term {terms[0]} of the loss is" if terms else "the loss is"
        if len(terms) > 1:
            what = f"the terms {', '.join(terms[:-1])} and {terms[-1]} of the loss are"
        batch += self._offset
        files = list(self._images(self._epoch, batch)) if self._images else []
        shown = ", ".join(dict.fromkeys(files[:8])) + (", ..." if len(files) > 8 else "")
        raise TrainingError(
            f"{what} {found} in epoch {self._epoch + 1}, batch {batch + 1}"
            f"{f' (images {shown})' if files else ''}: look at these labels with keras-pose check, "
            "or lower optimizer.learning_rate or set optimizer.global_clipnorm"
        )

    def _terms(self) -> Sequence[str]:
        return self._model.loss_terms() if hasattr(self._model, "loss_terms") else ()


_OUT_OF_MEMORY = (
    "out of memory",
    "resource_exhausted",
    "can't allocate memory",
    "failed to allocate",
    "oom when allocating",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any backend says that memory is full."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}:
        return True
    if not kinds & {"RuntimeError", "XlaRuntimeError", "InternalError", "UnknownError"}:
        return False
    text = str(error).lower()
    return any(sign in text for sign in _OUT_OF_MEMORY)


def memory_advice(batch_size: int, accumulate: int, precision: str) -> str:
    """A sentence about what to lower where a batch does not fit into memory.

    Args:
        batch_size: int, images at a time.
        accumulate, precision: of the recipe.
    """
    if batch_size == 1:
        advice = "that is a single image already: take a smaller model or input"
    else:
        advice = (
            f"--set accumulate={2 * accumulate} takes half as many at a time for the same steps, "
            f"--batch-size {max(1, batch_size * accumulate // 2)} makes smaller steps"
        )
    if precision == "float32":
        advice += "; --set precision=mixed_bfloat16 takes less memory, too"
    return f"out of memory with {batch_size} images at a time: {advice}"


def as_training_error(error: Exception, recipe: Any, batch_size: int) -> Exception:
    """The error to raise instead of what a backend raised: one sentence about full memory."""
    if not is_out_of_memory(error):
        return error
    return TrainingError(memory_advice(batch_size, recipe.accumulate, recipe.precision))
