"""Learning-rate schedules from rows of data, chained as MMEngine chains them."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

# A rule turns the present rate v into the next one. Every rule is affine in v and in the base rate,
# so a rate is the pair (a, b) that stands for a * base + b; rates of other bases follow from it.
# Rules multiply pairs by numbers and add them up: Python's complex numbers a + bj do that fast.
BASE = 1 + 0j
ONE = 1j


def _linear(row, v, s, span):
    first, last = row["start"], row["stop"]
    if s == 0:
        return v * first
    length = span - 1
    return v * (1 + (last - first) / (length * first + (s - 1) * (last - first)))


def _multistep(row, v, s, span):
    return v * row["gamma"] ** list(row["milestones"]).count(s)


def _step(row, v, s, span):
    return v * row["gamma"] if s and s % row["every"] == 0 else v


def _exponential(row, v, s, span):
    return v * row["gamma"] if s else v


def _constant(row, v, s, span):
    if s == 0:
        return v * row["factor"]
    return v / row["factor"] if s == span - 1 else v


def _cosine(row, v, s, span):
    if s == 0:
        return v
    period = row["period"]
    low = BASE * row["floor_ratio"] if row["floor"] is None else ONE * row["floor"]
    if (s - 1 - period) % (2 * period) == 0:
        return v + (BASE - low) * ((1 - math.cos(math.pi / period)) / 2)
    ratio = (1 + math.cos(math.pi * s / period)) / (1 + math.cos(math.pi * (s - 1) / period))
    return (v - low) * ratio + low


def _quadratic(row, v, s, span):
    growth = BASE * ((2 * s + 1) / span**2)
    return v + growth if s else growth


@dataclass(frozen=True)
class Rule:
    """One kind of row.

    Args:
        apply: (row, present rate, steps since the row's begin, steps in its window) -> next rate.
        defaults: its settings; `...` marks those that must be given.
        counts: settings that are numbers of epochs or steps, like `begin` and `end`.
    """

    apply: Callable
    defaults: Mapping[str, Any]
    counts: tuple[str, ...] = ()


RULES: dict[str, Rule] = {
    "linear": Rule(_linear, {"start": 1 / 3, "stop": 1.0}),
    "multistep": Rule(_multistep, {"milestones": ..., "gamma": 0.1}, ("milestones",)),
    "step": Rule(_step, {"every": ..., "gamma": 0.1}, ("every",)),
    "exponential": Rule(_exponential, {"gamma": ...}),
    "constant": Rule(_constant, {"factor": 1 / 3}),
    "cosine": Rule(_cosine, {"period": None, "floor": None, "floor_ratio": 0.0}, ("period",)),
    "quadratic": Rule(_quadratic, {}),
}
_COMMON = {"rule": ..., "unit": "epoch", "smooth": False, "begin": 0, "end": None}
UNITS = ("epoch", "step")
# Known names that a sentence about an unknown one lists.
_SHOWN = 30


def check_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a schedule with its defaults filled in.

    Raises:
        ValueError: for an unknown rule or setting, with the nearest known ones, for a missing
            setting and for impossible numbers.
    """
    rule = row.get("rule") if isinstance(row, Mapping) else row
    if rule not in RULES:
        raise ValueError(f"schedule: {unknown('rule', rule, RULES)}")
    known = {**_COMMON, **RULES[rule].defaults}
    for key in row:
        if key not in known:
            raise ValueError(f"schedule row {rule!r}: {unknown('setting', key, known)}")
    full = {**known, **row}
    missing = [key for key, value in full.items() if value is ...]
    if missing:
        raise ValueError(f"schedule row {rule!r} needs {missing[0]!r}, which is not given")
    if full["unit"] not in UNITS:
        raise ValueError(f'unit must be "epoch" or "step", got {full["unit"]!r}')
    for key in full.keys() - {"rule", "unit", "smooth"}:
        values = full[key] if isinstance(full[key], list | tuple) else [full[key]]
        if not all(value is None or isinstance(value, int | float) for value in values):
            raise ValueError(f"schedule row {rule!r}: {key} must be a number, got {full[key]!r}")
    if full["begin"] < 0 or (full["end"] is not None and full["end"] <= full["begin"]):
        raise ValueError(
            f"schedule row {rule!r} must begin at 0 or later and end after that, got begin "
            f"{full['begin']} and end {full['end']}"
        )
    for key in ("start", "factor"):
        if key in full and not full[key] > 0:
            raise ValueError(f"schedule row {rule!r}: {key} must be above 0, got {full[key]}")
    return full


def unknown(what: str, name: Any, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Part of a sentence about a name that does not exist: the nearest ones, or all."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], 3, 0.5)
    shown = ", ".join(sorted(map(str, known))[:_SHOWN])
    rest = f", ... ({len(known)} in all)" if len(known) > _SHOWN else ""
    hint = f"did you mean {', '.join(near)}?" if near else f"known are {shown}{rest}"
    return f"unknown {what} {name!r}; {hint}"


def _in_steps(row: dict, epochs: int, steps_per_epoch: int) -> dict:
    """The row with every count in the unit in which it acts, and its window closed."""
    whole = epochs if row["unit"] == "epoch" else epochs * steps_per_epoch
    row = {**row, "end": whole if row["end"] is None else row["end"]}
    if row.get("period", 0) is None:
        row["period"] = row["end"] - row["begin"]
    if row["smooth"] and row["unit"] == "epoch":
        for key in ("begin", "end", *RULES[row["rule"]].counts):
            value = row[key]
            scaled = [v * steps_per_epoch for v in value] if key == "milestones" else None
            row[key] = value * steps_per_epoch if scaled is None else scaled
        row["unit"] = "step"
    return row


def affine_rates(rows: Sequence[Mapping], epochs: int, steps_per_epoch: int) -> np.ndarray:
    """The rate of every step as `(epochs * steps_per_epoch, 2)` float64 pairs (a, b).

    Step i is taken with the rate `a[i] * base + b[i]`, for any base rate: b is not 0 where a
    cosine falls to an absolute floor.

    Args:
        rows: see `ChainedSchedule`.
        epochs: int, length of the run.
        steps_per_epoch: int, optimizer updates an epoch.
    """
    rows = [_in_steps(check_row(row), epochs, steps_per_epoch) for row in rows]

    windows = [
        (row["unit"], row["begin"], row["end"], RULES[row["rule"]].apply, row) for row in rows
    ]

    def act(v, t, units):
        for unit, begin, end, apply, row in windows:
            if begin <= t < end and unit in units:
                v = apply(row, v, t - begin, end - begin)
        return v

    v = act(BASE, 0, UNITS)
    rates = np.empty(epochs * steps_per_epoch, complex)
    for i in range(len(rates)):
        rates[i] = v
        v = act(v, i + 1, ("step",))
        if (i + 1) % steps_per_epoch == 0:
            v = act(v, (i + 1) // steps_per_epoch, ("epoch",))
    return np.stack([rates.real, rates.imag], axis=1)


@keras.saving.register_keras_serializable(package="keras_pose")
class ChainedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that several rules change in turn, each in its own window.

    The rules act one after the other on the present rate, as MMEngine's parameter schedulers do
    (https://mmengine.readthedocs.io/en/latest/tutorials/param_scheduler.html): a warm-up, say, that
    is still rising when a decay begins simply goes on. So there is no closed form; the rates of the
    whole run are worked out here once, in float64, and a compiled step looks its own one up by
    `optimizer.iterations`, which makes a resumed run continue exactly.

    A row is a dict: `rule`; `begin` and `end` (default: the whole run); `unit`, "epoch" (default)
    or "step", in which these and the settings below are counted; `smooth`, true where counts in
    epochs shall act at every step instead of between epochs; and

    | rule | settings |
    |---|---|
    | linear | from `start` (1/3) to `stop` (1) times the rate, reached one step before `end` |
    | quadratic | from 0 to the base rate, quadratically (YOLOX) |
    | multistep | times `gamma` (0.1) at each of `milestones`, counted from `begin` |
    | step | times `gamma` (0.1) at every `every` |
    | exponential | times `gamma` at each |
    | constant | times `factor` (1/3), undone at the last one of the window |
    | cosine | to `floor`, or `floor_ratio` (0) times the base rate, in `period` (the window) |

    Args:
        learning_rate: float, the base rate.
        rows: list of dicts as above; an empty one keeps the rate.
        epochs: int, length of the run; the last rate stays after it.
        steps_per_epoch: int, optimizer updates an epoch (under gradient accumulation fewer than
            batches).

    Raises:
        ValueError: for unknown rules and settings, with the nearest known ones.

    Example:
        >>> ChainedSchedule(4e-3, [
        ...     {"rule": "linear", "unit": "step", "end": 1000, "start": 1e-5},
        ...     {"rule": "cosine", "begin": 210, "end": 420, "smooth": True, "floor": 2e-4},
        ... ], epochs=420, steps_per_epoch=146)
    """

    def __init__(self, learning_rate, rows, epochs, steps_per_epoch):
        super().__init__()
        for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        self.learning_rate = float(learning_rate)
        self.rows = [dict(row) for row in rows]
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        rates = affine_rates(self.rows, epochs, steps_per_epoch)
        # Stretches of equal rates are stored once.
        changed = np.concatenate([[True], (rates[1:] != rates[:-1]).any(axis=1)])
        self._starts = np.flatnonzero(changed).astype("int32")
        self._rates = rates[changed]
        table = np.stack([self._rates @ [self.learning_rate, 1.0], self._rates[:, 1]], axis=1)
        self._table = table.astype(keras.config.floatx())

    def _pairs(self, step):
        """Rate and offset at a step, as float tensors of Keras' float type."""
        place = ops.searchsorted(
            ops.convert_to_tensor(self._starts),
            ops.reshape(ops.cast(step, "int32"), (1,)),
            side="right",
        )
        table = ops.convert_to_tensor(self._table, dtype=keras.config.floatx())
        return ops.take(table, ops.reshape(place, ()) - 1, axis=0)

    def __call__(self, step):
        return self._pairs(step)[0]

    @property
    def has_offset(self) -> bool:
        """Whether rates are not proportional to the base rate somewhere."""
        return bool(np.any(self._rates[:, 1]))

    def offset(self, step):
        """The part of the rate that does not depend on the base rate: absolute floors."""
        return self._pairs(step)[1]

    def rates(self, learning_rate: float | None = None) -> np.ndarray:
        """The rate of every step of the run, float64 `(epochs * steps_per_epoch,)`.

        Args:
            learning_rate: float, another base rate than the schedule's own.
        """
        base = self.learning_rate if learning_rate is None else learning_rate
        ends = np.append(self._starts[1:], self.epochs * self.steps_per_epoch)
        return np.repeat(self._rates @ [base, 1.0], ends - self._starts)

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "rows": self.rows,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
        }
