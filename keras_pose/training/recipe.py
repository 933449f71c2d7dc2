"""How a model is trained, as plain data."""

import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras

from keras_pose.files import replacing
from keras_pose.training.augmentation import augmentation, batch_resize
from keras_pose.training.averaging import WeightAverage
from keras_pose.training.callbacks import AttributeSwitches, AveragedWeights
from keras_pose.training.freezing import freeze, keep_statistics
from keras_pose.training.optimizers import OPTIMIZERS
from keras_pose.training.parameter_rules import (
    LayerDecay,
    ParameterRules,
    parameter_factors,
    useless_keys,
)
from keras_pose.training.schedule import ChainedSchedule, check_row, unknown
from keras_pose.training.setting_kinds import NAMES, SEED, check_kinds, check_numbers

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
_KINDS = {
    "optimizer": "a dict",
    "schedule": "a list of dicts",
    "rules": "a dict",
    "average": "a dict",
    "base_batch_size": "a positive integer",
    "scale_learning_rate": "true or false",
    "augmentation": "a dict",
    "switches": "a dict of dicts by epoch",
    "freeze": NAMES,
    "norm_eval": NAMES,
    "validate_every_from": "a dict of positive integers by epoch",
    "monitor": "a name",
    "monitor_mode": '"max" or "min"',
    "shuffle": "true or false",
    "seed": SEED,
}


class TrainingPlan(NamedTuple):
    """What a recipe makes for one estimator.

    Attributes:
        optimizer: compiled into the estimator already (inside a LossScaleOptimizer under
            mixed_float16).
        callbacks: list for `estimator.fit`; they stand before callbacks that evaluate or save.
        log: sentences about what was decided.
    """

    optimizer: keras.optimizers.Optimizer
    callbacks: list[keras.callbacks.Callback]
    log: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """A training as plain data that JSON can hold.

    Args:
        optimizer: dict with `type` ("SGD", "Adam" or "AdamW") and its arguments, see
            `keras_pose.training.optimizers`.
        epochs: int.
        batch_size: int, samples a step over all devices.
        schedule: rows of a `ChainedSchedule`.
        rules: dict of `ParameterRules`' arguments, or {"layer_decay": those of `LayerDecay`}.
        average: dict of `WeightAverage`'s arguments; None averages nothing.
        accumulate: int, batches whose gradients are averaged for one step. Batches of an epoch
            that are left over count for the first step of the next one, while the schedule counts
            whole steps only; `Trainer` leaves them out instead, other ones in every epoch, as it
            leaves out objects that fill no batch.
        base_batch_size: int, the batch size that the learning rate is meant for.
        scale_learning_rate: bool, multiply the rate by batch size / base batch size
            (https://arxiv.org/abs/1706.02677). Absolute floors of the schedule stay.
        precision: "float32", "mixed_float16" or "mixed_bfloat16"; it has to be set before the
            model is made (`keras.config.set_dtype_policy`).
        augmentation: dict of steps, or of MMPose's pipelines, see
            `keras_pose.training.augmentation`.
        switches: {epoch: {attribute path of the estimator: value from that epoch on}}.
        freeze: parts of the model that do not learn, by their names in a checkpoint, such as
            "backbone.layer1".
        norm_eval: parts whose batch normalisation keeps its statistics while it learns.
        validate_every: int, epochs; validate_every_from: {epoch: other number from there on}.
        monitor, monitor_mode: the metric that the best checkpoint is chosen by; "max" or "min".
        shuffle: bool. seed: int.

    Raises:
        ValueError: for unknown keys on every level, with the nearest known ones, and for values of
            another kind.

    Example:
        >>> recipe = Recipe.from_file("recipe.json")
        >>> plan = recipe.compile(estimator, steps_per_epoch=len(batches))
        >>> estimator.fit(batches, epochs=recipe.epochs, callbacks=plan.callbacks)
    """

    optimizer: Mapping[str, Any]
    epochs: int
    batch_size: int
    schedule: Sequence[Mapping[str, Any]] = ()
    rules: Mapping[str, Any] | None = None
    average: Mapping[str, Any] | None = None
    accumulate: int = 1
    base_batch_size: int | None = None
    scale_learning_rate: bool = False
    precision: str = "float32"
    augmentation: Mapping[str, Any] | None = None
    switches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    freeze: Sequence[str] = ()
    norm_eval: Sequence[str] = ()
    validate_every: int = 1
    validate_every_from: Mapping[str, int] = field(default_factory=dict)
    monitor: str | None = None
    monitor_mode: str | None = None
    shuffle: bool = True
    seed: int | None = None

    def __post_init__(self):
        for name in ("epochs", "batch_size", "accumulate", "validate_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        check_kinds("recipe", self, _KINDS)
        for name in ("schedule", "freeze", "norm_eval"):
            object.__setattr__(self, name, list(getattr(self, name)))
        if self.scale_learning_rate and not self.base_batch_size:
            raise ValueError("scale_learning_rate needs base_batch_size, which is not given")
        if self.precision not in PRECISIONS:
            raise ValueError(f"unknown precision {self.precision!r}; known are {PRECISIONS}")
        check_optimizer(self.optimizer)
        for row in self.schedule:
            check_row(row)
        rules_of(self.rules)
        _made(WeightAverage, self.average, "average", ("shapes",))
        if self.augmentation is not None:
            self.augment()
            self.batch_resize()

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "Recipe":
        """A recipe from the content of a JSON file.

        Raises:
            ValueError: for unknown or missing keys.
        """
        known = [entry.name for entry in fields(cls)]
        for key in settings:
            if key not in known:
                raise ValueError(f"recipe: {unknown('key', key, known)}")
        for key in ("optimizer", "epochs", "batch_size"):
            if key not in settings:
                raise ValueError(f"recipe: {key} is missing")
        return cls(**settings)

    @classmethod
    def from_file(cls, path: str | Path) -> "Recipe":
        """A recipe from a JSON file."""
        return cls.from_dict(json.loads(Path(path).read_text("utf-8")))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `Recipe.from_dict` reads it."""
        return asdict(self)

    def save(self, path: str | Path) -> None:
        """Writes the recipe as JSON."""
        with replacing(path) as partial:
            partial.write_text(json.dumps(self.to_dict(), indent=1) + "\n", "utf-8")

    def augment(self):
        """The augmentation for `topdown_dataset` and its like, or None."""
        return None if self.augmentation is None else augmentation(self.augmentation)

    def batch_resize(self):
        """The `RandomBatchSize` for `bottomup_dataset`, or None."""
        return batch_resize(self.augmentation)

    def with_epochs(self, epochs: int) -> "Recipe":
        """The same course in another number of epochs.

        All that is counted in epochs is scaled: rows of the schedule, switches of augmentation and
        attributes, and from when it is judged how often.
        """
        factor = epochs / self.epochs

        def scaled(count):
            return max(1, round(count * factor)) if count else count

        rows = []
        for row in self.schedule:
            row = dict(row)
            if row.get("unit", "epoch") == "epoch":
                for key in ("begin", "end", "period", "every"):
                    if row.get(key) is not None:
                        row[key] = scaled(row[key])
                if "milestones" in row:
                    row["milestones"] = [scaled(count) for count in row["milestones"]]
                if row.get("end") is not None and row["end"] <= row.get("begin", 0):
                    row["end"] = row.get("begin", 0) + 1
            rows.append(row)
        stages = dict(self.augmentation) if self.augmentation else None
        if stages and stages.get("switch_epoch"):
            stages["switch_epoch"] = scaled(stages["switch_epoch"])
        return replace(
            self,
            epochs=epochs,
            schedule=rows,
            augmentation=stages,
            switches={str(scaled(int(e))): values for e, values in self.switches.items()},
            validate_every_from={
                str(scaled(int(e))): n for e, n in self.validate_every_from.items()
            },
        )

    def judged(self, epoch: int) -> bool:
        """Whether the training is judged at the end of an epoch, counted from 0."""
        every = self.validate_every
        for start in sorted(map(int, self.validate_every_from)):
            if epoch >= start:
                every = self.validate_every_from[str(start)]
        return (epoch + 1) % every == 0 or epoch + 1 == self.epochs

    def learning_rate(self, batch_size: int | None = None) -> float:
        """The base learning rate for a batch size (default: the recipe's)."""
        rate = float(self.optimizer["learning_rate"])
        if not self.scale_learning_rate:
            return rate
        return rate * (batch_size or self.batch_size) / self.base_batch_size

    def compile(
        self,
        estimator: keras.Model,
        steps_per_epoch: int,
        batch_size: int | None = None,
        verbose: int = 1,
    ) -> TrainingPlan:
        """Compiles an estimator for this training.

        Everything that changes during the training is a variable of the optimizer (slots,
        iterations, averages) or follows from the epoch, so a training goes on exactly from a
        saved estimator and the epoch's number.

        Args:
            estimator: a built estimator.
            steps_per_epoch: int, batches an epoch.
            batch_size: int, samples a batch, where it is not the recipe's.
            verbose: 1 prints the log on stderr, 0 nothing.

        Raises:
            ValueError: for parts or attributes that the estimator lacks, by name.
        """
        log = []
        batch = (batch_size or self.batch_size) * (self.accumulate if batch_size else 1)
        updates = max(1, steps_per_epoch // self.accumulate)
        rate = self.learning_rate(batch)
        if self.scale_learning_rate:
            log.append(
                f"learning rate {self.optimizer['learning_rate']:g} of batch size "
                f"{self.base_batch_size} scaled to {rate:g} for batch size {batch}"
            )
        elif batch != self.batch_size:
            log.append(
                f"learning rate {rate:g} is meant for batch size {self.batch_size}, this training "
                f"has {batch}: scale_learning_rate would adapt it"
            )
        if steps_per_epoch % self.accumulate:
            log.append(
                f"{steps_per_epoch % self.accumulate} of the {steps_per_epoch} batches of an epoch "
                f"do not fill a step of {self.accumulate}; they go with the next epoch's first "
                "step, for which the schedule does not allow: leave them out"
            )
        policy = getattr(estimator, "dtype_policy", keras.config.dtype_policy()).name
        if policy != self.precision:
            log.append(f"the recipe asks for {self.precision}, the model was made in {policy}")
        freeze(estimator, self.freeze)
        keep_statistics(estimator, self.norm_eval)
        arguments = {key: value for key, value in self.optimizer.items() if key != "type"}
        arguments["learning_rate"] = ChainedSchedule(rate, self.schedule, self.epochs, updates)
        rules = rules_of(self.rules)
        if rules is not None:
            log += useless_keys(estimator, rules)
        average = _made(WeightAverage, self.average, "average")
        optimizer = OPTIMIZERS[self.optimizer["type"]](
            **arguments,
            factors=None if rules is None else parameter_factors(estimator, rules),
            average=average and average.attach(estimator),
            gradient_accumulation_steps=self.accumulate if self.accumulate > 1 else None,
        )
        callbacks: list[keras.callbacks.Callback] = []
        if self.switches:
            callbacks.append(AttributeSwitches(self.switches))
            callbacks[-1].check(estimator)
        if average is not None:
            callbacks.append(AveragedWeights())
        estimator.compile(optimizer=optimizer)
        if verbose:
            for sentence in log:
                print(sentence, file=sys.stderr, flush=True)
        return TrainingPlan(estimator.optimizer, callbacks, tuple(log))


def rules_of(rules: Mapping[str, Any] | None) -> ParameterRules | LayerDecay | None:
    """The rules that `Recipe.rules` describes."""
    if rules is not None and "layer_decay" in rules:
        if len(rules) > 1:
            raise ValueError(f"layer_decay stands alone in rules, got {', '.join(rules)}")
        return _made(LayerDecay, rules["layer_decay"], "layer_decay")
    return _made(ParameterRules, rules, "rules")


# Arguments of optimizers that are names; all others are numbers, or true or false.
_NO_NUMBERS = ("type", "norm_type")


def check_optimizer(settings: Mapping[str, Any]) -> None:
    """Refuses unknown optimizers and arguments, naming the nearest."""
    kind = settings.get("type")
    if kind not in OPTIMIZERS:
        raise ValueError(f"optimizer: {unknown('type', kind, OPTIMIZERS)}")
    if "learning_rate" not in settings:
        raise ValueError("optimizer needs a learning_rate")
    known = {"type", "norm_type", *inspect.signature(getattr(keras.optimizers, kind)).parameters}
    known -= {"kwargs", "use_ema", "ema_momentum", "ema_overwrite_frequency", "name"}
    for key in settings:
        if key not in known:
            raise ValueError(f"{kind}: {unknown('argument', key, known)}")
        value = settings[key]
        if key not in _NO_NUMBERS and value is not None and not isinstance(value, int | float):
            raise ValueError(f"{kind}: {key} must be a number, got {value!r}")
    if settings["learning_rate"] is None or not settings["learning_rate"] >= 0:
        raise ValueError(
            f"{kind}: learning_rate must be a positive number, got {settings['learning_rate']!r}"
        )


def _made(cls, settings, what, hidden=()):
    """An object of a class from its arguments, which are checked by name."""
    if settings is None:
        return None
    if not isinstance(settings, Mapping):
        raise ValueError(f"{what} must be a dict, got {settings!r}")
    known = [name for name in inspect.signature(cls).parameters if name not in hidden]
    for key in settings:
        if key not in known:
            raise ValueError(f"{what}: {unknown('key', key, known)}")
    missing = [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is parameter.empty and name not in settings
    ]
    if missing:
        raise ValueError(f"{what} needs {missing[0]}, which is not given")
    check_numbers(what, settings, inspect.signature(cls).parameters)
    return cls(**settings)
