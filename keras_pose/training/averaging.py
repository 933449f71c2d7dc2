"""The running average of a model's weights, for evaluation and checkpoints."""

import keras
import numpy as np
from keras import ops

KINDS = ("exponential", "constant", "annealing", "equal")


@keras.saving.register_keras_serializable(package="keras_pose")
class WeightAverage:
    """How weights and statistics of normalisation are averaged over the steps of a training.

    After step t, counted from 0, `average += m_t * (weights - average)`; step 0 copies. As
    mmengine's averaged models (https://mmengine.readthedocs.io, `mmengine.model.averaged_model`):

    | kind | m_t |
    |---|---|
    | exponential | `(1 - momentum) * exp(-(1 + t) / gamma) + momentum` (YOLOX) |
    | constant | `momentum` |
    | annealing | `max(momentum, gamma / (gamma + t))` |
    | equal | `1 / (t // interval + 1)`: the mean of all |

    The averages, their number of steps and whether they are swapped in are variables of the
    optimizer, so they are saved and resumed with it.

    Args:
        kind: see above.
        momentum: float, share of the newest weights.
        gamma: float, length of the beginning in steps.
        interval: int, steps from one update to the next.
        begin: int, steps until which the average is a plain copy.
        statistics: bool, whether statistics of normalisation are averaged too; otherwise they
            are copied.
        shapes: shapes of these statistics, in the order of the model; filled in by `attach`.
    """

    def __init__(
        self,
        kind="exponential",
        momentum=2e-4,
        gamma=2000,
        interval=1,
        begin=0,
        statistics=True,
        shapes=None,
    ):
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {momentum}")
        if interval < 1 or begin < 0:
            raise ValueError(
                f"interval must be at least 1 and begin at least 0, got {interval} and {begin}"
            )
        self.kind, self.momentum, self.gamma = kind, momentum, gamma
        self.interval, self.begin, self.statistics = interval, begin, statistics
        self.shapes = [tuple(shape) for shape in shapes or ()]
        self.weights = self.buffers = self.steps = self.swapped = None

    def build(self, optimizer, variables):
        """Adds the averages to the optimizer's variables."""

        def add(shape, dtype, name, aggregation="mean"):
            return optimizer.add_variable(shape, dtype=dtype, name=name, aggregation=aggregation)

        self.weights = [add(v.shape, v.dtype, f"average_{i}") for i, v in enumerate(variables)]
        self.buffers = [
            add(shape, None, f"average_statistic_{i}") for i, shape in enumerate(self.shapes)
        ]
        self.steps = add((), "int32", "average_steps", "only_first_replica")
        self.swapped = add((), "int32", "average_swapped", "only_first_replica")

    def attach(self, model: keras.Model) -> "WeightAverage":
        """Makes room for the statistics of a built model; returns itself."""
        self.shapes = [tuple(variable.shape) for variable in _statistics(model)]
        return self

    @property
    def variables(self) -> list:
        return [*self.weights, *self.buffers]

    def rate(self, t):
        """Share of the newest weights after `t` earlier updates, as a float tensor."""
        t = ops.cast(t, keras.config.floatx())
        if self.kind == "constant":
            return ops.ones_like(t) * self.momentum
        if self.kind == "annealing":
            share = self.gamma / (self.gamma + t)
            return ops.where(share > self.momentum, share, ops.ones_like(t) * self.momentum)
        if self.kind == "equal":
            return self.interval / (t - t % self.interval + self.interval)
        return (1 - self.momentum) * ops.exp(-(1 + t) / self.gamma) + self.momentum

    def updated(self, averages, sources, steps) -> list:
        """The averages after one more step: a function of tensors without side effects.

        Args:
            averages, sources: lists of tensors, weights first, then statistics.
            steps: number of earlier steps.
        """
        t = steps - self.begin
        share = self.rate(ops.maximum(t, 0))
        share = ops.where(t % self.interval == 0, share, ops.zeros_like(share))
        share = ops.where(t <= 0, ops.ones_like(share), share)
        count = len(averages) - len(self.shapes)
        new = []
        for i, (average, source) in enumerate(zip(averages, sources, strict=True)):
            if i < count or self.statistics:
                source = average + ops.cast(share, average.dtype) * (source - average)
            new.append(source)
        return new

    def follow(self, model, result):
        """Takes the weights after a training step into the average.

        Args:
            model: the model, compiled with an optimizer that owns this average.
            result: what `train_step` returned; under JAX that includes the new state.

        Returns:
            `result`, under JAX with the new averages in its state.
        """
        sources = [*model.trainable_variables, *_statistics(model)]
        if len(sources) != len(self.variables):
            raise ValueError(
                f"the average is of {len(self.variables)} arrays, the model has {len(sources)}: "
                "call WeightAverage.attach(model) before compiling, after freezing layers"
            )
        averages = self.variables
        if keras.backend.backend() != "jax":
            for average, new in zip(
                averages, _detached(self.updated, averages, sources, self.steps), strict=True
            ):
                average.assign(new)
            self.steps.assign_add(1)
            return result
        logs, (trainable, others, slots, metrics) = result
        variables = (
            *zip(model.trainable_variables, trainable, strict=True),
            *zip(model.non_trainable_variables, others, strict=True),
            *zip(model.optimizer.variables, slots, strict=True),
        )
        now = {id(variable): value for variable, value in variables}
        steps = now[id(self.steps)]
        new = self.updated([now[id(v)] for v in averages], [now[id(v)] for v in sources], steps)
        now |= {id(v): value for v, value in zip(averages, new, strict=True)}
        now[id(self.steps)] = steps + 1
        return logs, (trainable, others, [now[id(v)] for v in model.optimizer.variables], metrics)

    def swap(self, model, averaged: bool) -> None:
        """Exchanges weights and averages unless the wanted ones are in the model already.

        Args:
            model: see `follow`.
            averaged: bool, whether the model shall have the averages.
        """
        if self.steps is None or not _array(self.steps) or bool(_array(self.swapped)) == averaged:
            return
        sources = [*model.trainable_variables, *_statistics(model)]
        for average, source in zip(self.variables, sources, strict=True):
            value = _array(source)
            source.assign(_array(average))
            average.assign(value)
        self.swapped.assign(int(averaged))

    def get_config(self):
        return {
            "kind": self.kind,
            "momentum": self.momentum,
            "gamma": self.gamma,
            "interval": self.interval,
            "begin": self.begin,
            "statistics": self.statistics,
            "shapes": [list(shape) for shape in self.shapes],
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _statistics(model) -> list:
    """The running statistics of a model: its variables that are numbers and do not learn."""
    return [
        v
        for v in model.non_trainable_variables
        if "float" in keras.backend.standardize_dtype(v.dtype)
    ]


def _array(variable) -> np.ndarray:
    """A copy of a variable's value; copies of it on several devices are equal."""
    return np.array(ops.convert_to_numpy(ops.convert_to_tensor(variable)))


def _detached(function, *arguments):
    """Calls a function of variables without recording it for gradients."""
    values = [
        [v.value for v in part] if isinstance(part, list) else part.value for part in arguments
    ]
    if keras.backend.backend() != "torch":
        return function(*values)
    import torch

    with torch.no_grad():
        return function(*values)
