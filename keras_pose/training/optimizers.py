"""SGD, Adam and AdamW as PyTorch has them, with factors for single variables and an average.

Where Keras' optimizers differ from those that the published recipes used:

| | Keras | PyTorch, and here |
|---|---|---|
| Adam's epsilon (1e-7 there, 1e-8 here) | beside the root before its bias is corrected | after |
| `weight_decay` of SGD and Adam | shrinks weights by rate x decay | is added to the gradient (L2) |
| momentum of SGD | sums gradients x rates: a lower rate acts late | sums gradients, then x rate |
| `global_clipnorm` c | gradients x c / max(norm, c) | x min(1, c / (norm + 1e-6)) |
| factors for single variables | none | `factors` |
| AdamW's `weight_decay` | 0.004 | 0.01 |

Sources: https://pytorch.org/docs/stable/optim.html (algorithms of SGD, Adam, AdamW) and
`torch.nn.utils.clip_grad_norm_`.
"""

import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_pose.layers.replicas import copies_summed, gradients_of_all
from keras_pose.training.averaging import WeightAverage
from keras_pose.training.schedule import ChainedSchedule


class _Factored:
    """What the optimizers share: factors, clipping, decay, an average of the weights.

    Args:
        factors: list of (learning-rate factor, weight-decay factor), one per trainable variable in
            the order of `model.trainable_variables`, see `parameter_factors`. Default: all 1. With
            a `ChainedSchedule` a factor scales the base rate: absolute floors stay as they are.
        norm_type: order of the norm that `global_clipnorm` limits; 2, any other number or "inf".
        average: `WeightAverage` or its config: the running average of the weights that is kept in
            the optimizer's own variables.
    """

    decoupled = False

    def __init__(self, learning_rate, factors=None, norm_type=2, average=None, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        if self.gradient_accumulation_steps and copies_summed() > 1:
            raise ValueError(
                f"gradient_accumulation_steps {self.gradient_accumulation_steps} (accumulate of a "
                "recipe) cannot be had on several devices under TensorFlow: take 1, and a smaller "
                "batch_size if memory is short"
            )
        self.factors = None if factors is None else [tuple(map(float, row)) for row in factors]
        self.norm_type = norm_type
        if isinstance(average, dict):
            average = keras.saving.deserialize_keras_object(average)
        self.average = average
        if self.average is not None and not isinstance(self.average, WeightAverage):
            raise ValueError(f"average must be a WeightAverage, got {type(self.average).__name__}")

    def build(self, variables):
        if self.built:
            return
        if self.factors is not None and len(self.factors) != len(variables):
            raise ValueError(
                f"the optimizer has factors for {len(self.factors)} variables, the model has "
                f"{len(variables)} that are trained: freeze layers before factors are made"
            )
        super().build(variables)
        if self.average is not None:
            self.average.build(self, variables)

    def _factors_of(self, variable) -> tuple[float, float]:
        return self.factors[self._get_variable_index(variable)] if self.factors else (1.0, 1.0)

    def _rate_of(self, factor, learning_rate, dtype):
        rate = ops.cast(learning_rate, dtype) * factor
        schedule = self._learning_rate
        if factor != 1 and isinstance(schedule, ChainedSchedule) and schedule.has_offset:
            rate = rate + ops.cast(schedule.offset(self.iterations), dtype) * (1 - factor)
        return rate

    def _clip_gradients(self, grads):
        if not (self.clipnorm or self.clipvalue or self.global_clipnorm):
            return grads
        # Under `tf.distribute` copies of the model add up their gradients later than this.
        copies = copies_summed()
        grads = self._clip_whole_gradients(gradients_of_all(grads))
        return grads if copies == 1 else [g if g is None else g / copies for g in grads]

    def _clip_whole_gradients(self, grads):
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        norm = gradient_norm(grads, self.norm_type)
        # Not `ops.minimum` with a number, which may compute in single precision.
        scale = self.global_clipnorm / (norm + 1e-6)
        scale = ops.where(scale < 1, scale, ops.ones_like(scale))
        return [g if g is None else g * ops.cast(scale, g.dtype) for g in grads]

    def _apply_weight_decay(self, variables):
        """Nothing: each variable's decay is part of its own update."""

    def after_train_step(self, model, result):
        """What `train_step` of an estimator calls with its result, which this returns."""
        return result if self.average is None else self.average.follow(model, result)

    def update_step(self, gradient, variable, learning_rate):
        factor, decay = self._factors_of(variable)
        rate = self._rate_of(factor, learning_rate, variable.dtype)
        decay *= self.weight_decay or 0.0
        gradient = ops.cast(gradient, variable.dtype)
        if decay and self.decoupled:
            self.assign(variable, variable * (1 - rate * decay))
        elif decay:
            gradient = gradient + variable * decay
        self.descend(gradient, variable, rate)

    def get_config(self):
        return {
            **super().get_config(),
            "factors": self.factors,
            "norm_type": self.norm_type,
            "average": keras.saving.serialize_keras_object(self.average) if self.average else None,
        }


def gradient_norm(grads: Sequence, norm_type=2):
    """The norm of all gradients together, of the given order."""
    grads = [g for g in grads if g is not None]
    if norm_type == "inf":
        return ops.max(ops.stack([ops.max(ops.abs(g)) for g in grads]))
    if norm_type == 2:
        return ops.sqrt(ops.sum(ops.stack([ops.sum(ops.square(g)) for g in grads])))
    powers = [ops.sum(ops.power(ops.abs(g), norm_type)) for g in grads]
    return ops.power(ops.sum(ops.stack(powers)), 1.0 / norm_type)


@keras.saving.register_keras_serializable(package="keras_pose")
class SGD(_Factored, keras.optimizers.SGD):
    """Gradient descent as `torch.optim.SGD`; see the table of this module.

    Args:
        learning_rate: float or schedule.
        momentum, nesterov, weight_decay, and others: as in `keras.optimizers.SGD`.
        factors, norm_type, average: see `AdamW`.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if keras.backend.backend() != "torch":
            return super()._backend_update_step(grads, trainable_variables, learning_rate)
        from keras_pose.training.optimizers_torch import sgd_step

        return sgd_step(self, grads, trainable_variables, learning_rate)

    def descend(self, gradient, variable, rate):
        step = gradient
        if self.momentum:
            memory = self.momentums[self._get_variable_index(variable)]
            self.assign(memory, memory * self.momentum + gradient)
            step = gradient + memory * self.momentum if self.nesterov else memory
        self.assign_sub(variable, step * rate)


@keras.saving.register_keras_serializable(package="keras_pose")
class Adam(_Factored, keras.optimizers.Adam):
    """Adam as `torch.optim.Adam`; see the table of this module.

    Args:
        learning_rate: float or schedule.
        epsilon: float.
        beta_1, beta_2, weight_decay, global_clipnorm, and others: as in `keras.optimizers.Adam`.
        factors, norm_type, average: see `AdamW`.
    """

    def __init__(self, learning_rate=1e-3, epsilon=1e-8, **kwargs):
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)
        if self.amsgrad:
            raise ValueError("amsgrad is not among what the recipes use: take Keras' own optimizer")

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if keras.backend.backend() != "torch":
            return super()._backend_update_step(grads, trainable_variables, learning_rate)
        from keras_pose.training.optimizers_torch import adam_step

        return adam_step(self, grads, trainable_variables, learning_rate)

    def descend(self, gradient, variable, rate):
        index = self._get_variable_index(variable)
        mean, square = self._momentums[index], self._velocities[index]
        self.assign(mean, mean + (gradient - mean) * (1 - self.beta_1))
        self.assign(square, square * self.beta_2 + ops.square(gradient) * (1 - self.beta_2))
        # 1 - beta ** t without the cancellation that single precision would suffer from.
        steps = ops.cast(self.iterations + 1, variable.dtype)
        of_mean = -ops.expm1(steps * math.log(self.beta_1))
        of_square = -ops.expm1(steps * math.log(self.beta_2))
        root = ops.sqrt(ops.convert_to_tensor(square)) / ops.sqrt(of_square) + self.epsilon
        self.assign_sub(variable, ops.convert_to_tensor(mean) / root * (rate / of_mean))


@keras.saving.register_keras_serializable(package="keras_pose")
class AdamW(Adam):
    """Adam with decoupled weight decay as `torch.optim.AdamW`; see the table of this module.

    Args:
        learning_rate: float or schedule.
        weight_decay: float; weights shrink by rate x decay before every step.
        global_clipnorm: float, the greatest norm of all gradients together.
        factors: list of (learning-rate factor, weight-decay factor), one per trainable variable in
            the order of `model.trainable_variables`, see `parameter_factors`. With a
            `ChainedSchedule` a factor scales the base rate: absolute floors stay as they are.
        norm_type: order of the norm that `global_clipnorm` limits; 2, any other number or "inf".
        average: `WeightAverage`, kept in the optimizer's variables.
        (others): as in `keras.optimizers.AdamW`.

    Example:
        >>> AdamW(4e-3, weight_decay=0.05, factors=parameter_factors(estimator, rules))
    """

    decoupled = True

    def __init__(self, learning_rate=1e-3, weight_decay=0.01, **kwargs):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)


OPTIMIZERS = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW}
