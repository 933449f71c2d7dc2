"""Callbacks that keep a training's state and its log, and go on from them."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from keras_pose.files import reason, replacing
from keras_pose.training.checkpoint import Checkpoint, save_checkpoint
from keras_pose.training.guards import StopAtBadLoss

# A resumed job may differ in these keys.
_FREE = ("patience", "save_every")


def check_same_job(start: Checkpoint, job: Mapping[str, Any]) -> None:
    """Refuses a checkpoint of another job.

    Args:
        start: Checkpoint.
        job: `TrainingJob.to_dict` of the one that shall go on.

    Raises:
        ValueError: which setting differs, and how.
    """
    now, then = (
        {key: value for key, value in plain.items() if key not in _FREE}
        for plain in (json.loads(json.dumps(job)), start.facts["job"])
    )
    if now == then:
        return
    place, there, here = _difference(then, now)
    raise ValueError(
        f"{start.path} is of another job: {place} is {_short(there)} there and {_short(here)} "
        "here; give another folder, or --resume alone, which takes the job from there"
    )


def _difference(then: Any, now: Any, place: str = "") -> tuple[str, Any, Any]:
    """The first place where two plain data differ, and what stands there."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            if then.get(key) != now.get(key):
                inner = f"{place}.{key}" if place else key
                return _difference(then.get(key), now.get(key), inner)
    return place, then, now


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


class CheckpointWriter(keras.callbacks.Callback):
    """Writes a checkpoint at the end of every epoch, and between, and starts from one.

    It stands after the callbacks that judge, so that a checkpoint knows what they found. A
    checkpoint that cannot be written (a full disk) is reported, the one before it stays, and the
    training goes on.

    Args:
        path: of the file.
        steps: int, batches an epoch.
        every: int, batches from one checkpoint to the next; None: only at the ends of epochs.
        start: Checkpoint to go on from, restored into the model already.
        guard: is asked to look at the last step before anything is written.
        facts: function that gives further facts, plain data for JSON.
        report: function that prints a sentence.

    Attributes:
        writes: bool, false in processes that leave writing to another.
    """

    def __init__(
        self,
        path: Path,
        steps: int,
        every: int | None = None,
        start: Checkpoint | None = None,
        guard: StopAtBadLoss | None = None,
        facts: Callable[[], dict[str, Any]] = dict,
        report: Callable[[str], None] = print,
    ):
        super().__init__()
        self._path, self._steps, self._every = Path(path), steps, every
        self._start, self._guard, self._facts, self._report = start, guard, facts, report
        self._epoch, self._offset = 0, 0
        self.writes = True

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._offset = epoch, 0
        if self._start is None:
            return
        self._offset = self._start.facts["step"]
        if self._offset:
            self._start.restore_metrics(self.model)
        else:
            self._restore_random()

    def on_train_batch_begin(self, batch, logs=None):
        # Beginning to iterate draws numbers, too: PyTorch's loaders take a seed.
        if self._start is not None:
            self._restore_random()

    def _restore_random(self):
        self._start.restore_random()
        self._start = None

    def on_train_batch_end(self, batch, logs=None):
        done = self._offset + batch + 1
        if self._every and done % self._every == 0 and done < self._steps:
            if self._guard is not None:
                self._guard.check()
            self._save(self._epoch, done)

    def on_epoch_end(self, epoch, logs=None):
        self._save(epoch + 1, 0)

    def _save(self, epoch: int, step: int) -> None:
        if not self.writes:
            return
        facts = {**self._facts(), "epoch": epoch, "step": step}
        try:
            save_checkpoint(self._path, self.model, facts)
        except OSError as error:
            self._report(
                f"the checkpoint of epoch {epoch}, step {step} could not be written "
                f"({reason(error)}); the one before it is kept"
            )


class EpochLog(keras.callbacks.Callback):
    """Writes a line of JSON an epoch: number, seconds, learning rate, losses and metrics.

    Args:
        path: of the file.
        epoch: int, epochs that were done before; lines of later ones are removed.
        report: function that prints a sentence, of a line that cannot be written.
    """

    def __init__(self, path: Path, epoch: int = 0, report: Callable[[str], None] = print):
        super().__init__()
        self._report = report
        self._path, self._start = Path(path), time.monotonic()
        kept = [row for row in read_log(path) if row["epoch"] <= epoch] if epoch else []
        with replacing(self._path) as partial:
            partial.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        row = {
            "epoch": epoch + 1,
            "seconds": round(time.monotonic() - self._start, 3),
            "learning_rate": float(optimizer.learning_rate),
        }
        for name, value in (logs or {}).items():
            value = float(value)
            row[name] = value if math.isfinite(value) else None
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            self._report(f"{self._path} lacks epoch {epoch + 1}: {reason(error)}")


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The rows that `EpochLog` wrote; a last line that was cut off is left out."""
    rows = []
    path = Path(path)
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
