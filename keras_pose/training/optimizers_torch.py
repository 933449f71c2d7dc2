"""Steps of all variables at once under PyTorch: Adam by its own fused operation, which is one pass
over memory instead of fifteen, SGD by operations on lists of tensors."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from keras.ops import convert_to_tensor
from torch.autograd.graph import increment_version
from torch.optim.adam import adam
from torch.optim.adamw import adamw


def _groups(optimizer, gradients: Sequence, variables: Sequence) -> dict:
    """Gradients and variables by (learning-rate factor, weight-decay factor, dtype)."""
    groups = defaultdict(list)
    for gradient, variable in zip(gradients, variables, strict=True):
        factors = optimizer._factors_of(variable)
        groups[(*factors, variable.dtype)].append((gradient, variable))
    return groups


@torch.no_grad()
def sgd_step(optimizer, gradients: Sequence, variables: Sequence, learning_rate) -> None:
    """Updates variables as `optimizer`, an `SGD` of `keras_pose.training.optimizers`, describes.

    The rate stays on its device; `torch.optim.sgd` would wait for it.

    Args:
        gradients: tensors, one for each variable.
        variables: Keras variables.
        learning_rate: 0-d tensor.
    """
    for (factor, decay, dtype), members in _groups(optimizer, gradients, variables).items():
        values = [variable.value for _, variable in members]
        steps = [gradient.to(v.dtype) for (gradient, _), v in zip(members, values, strict=True)]
        decay *= optimizer.weight_decay or 0.0
        if decay:
            steps = torch._foreach_add(steps, values, alpha=decay)
        if optimizer.momentum:
            indices = [optimizer._get_variable_index(variable) for _, variable in members]
            memories = [optimizer.momentums[i].value for i in indices]
            torch._foreach_mul_(memories, optimizer.momentum)
            torch._foreach_add_(memories, steps)
            if optimizer.nesterov:
                steps = torch._foreach_add(steps, memories, alpha=optimizer.momentum)
            else:
                steps = memories
        rate = torch.as_tensor(optimizer._rate_of(factor, learning_rate, dtype))
        torch._foreach_sub_(values, torch._foreach_mul(steps, rate.to(values[0].device)))


@torch.no_grad()
def adam_step(optimizer, gradients: Sequence, variables: Sequence, learning_rate) -> None:
    """Updates variables as `optimizer`, an `Adam` of `keras_pose.training.optimizers`, describes.

    Args:
        gradients: tensors, one for each variable.
        variables: Keras variables.
        learning_rate: 0-d tensor.
    """
    for (factor, decay, dtype), members in _groups(optimizer, gradients, variables).items():
        indices = [optimizer._get_variable_index(variable) for _, variable in members]
        values = [variable.value for _, variable in members]
        # Every variable counts its steps in a number of its own, which is raised first.
        # With gathered gradients the iterations are a quotient and no variable.
        done = convert_to_tensor(optimizer.iterations)
        steps = done.to(torch.float32).repeat(len(values)).unbind()
        update = adamw if optimizer.decoupled else adam
        update(
            values,
            [
                gradient.to(v.dtype).contiguous()
                for (gradient, _), v in zip(members, values, strict=True)
            ],
            [optimizer._momentums[i].value for i in indices],
            [optimizer._velocities[i].value for i in indices],
            [],
            list(steps),
            fused=values[0].device.type in ("cpu", "cuda"),
            amsgrad=False,
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            lr=optimizer._rate_of(factor, learning_rate, dtype),
            weight_decay=decay * (optimizer.weight_decay or 0.0),
            eps=optimizer.epsilon,
            maximize=False,
        )
        # The fused operation changes values without telling those who keep something made of them.
        for value in values:
            increment_version(value)
