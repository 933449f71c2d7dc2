"""Keras' training step under PyTorch, by `DistributedDataParallel`."""

import warnings

import keras
import torch
import torch.distributed as dist
from torch.autograd.graph import increment_version
from torch.nn.parallel import DistributedDataParallel

from keras_pose.layers.replicas_torch import sizes_of_all

# Far more random numbers than a training draws.
_SEED_STRIDE = 1_000_003


class _Loss(torch.nn.Module):
    """A model and its loss as one module, so that weights of either may be left out of a step."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y, sample_weight):
        outputs = self.model(x, training=True)
        loss = self.model._compute_loss(
            x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=True
        )
        return loss, outputs


def share_steps(model: keras.Model, index: int, moments: bool) -> None:
    """Makes a built model's training and test steps those of a batch that processes share.

    Args:
        model: a built `PoseEstimator`.
        index: int, this process.
        moments: bool, whether batch normalisation is over the whole batch. Otherwise every
            process' running statistics are averaged after every step.
    """
    for variable in model.variables:
        dist.broadcast(variable.value.data, 0)
        increment_version(variable.value)
    for layer in model._flatten_layers():
        for generator in getattr(layer, "_seed_generators", ()):
            generator.state.assign(generator.state + _SEED_STRIDE * index)
    model.__dict__["shared_train_step"] = _TrainStep(model, moments)
    model.__dict__["test_step"] = _TestStep(model)


class _TrainStep:
    """A training step; gradients are averaged while they are computed."""

    def __init__(self, model, moments: bool):
        self.model, self.moments = model, moments
        self.parallel, self.trained = None, None

    def __call__(self, data):
        model = self.model
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        loss, outputs = self._parallel()(x, y, sample_weight)
        model._loss_tracker.update_state(loss.detach(), sample_weight=_rows_of_all(x))
        # As in Keras: gradients of the step before are needed until here.
        model.zero_grad()
        model.optimizer.scale_loss(loss).backward()
        weights = list(model.trainable_weights)
        with torch.no_grad():
            model.optimizer.apply([weight.value.grad for weight in weights], weights)
            if not self.moments:
                _average([v.value for v in model.non_trainable_variables])
        return model.compute_metrics(x, y, outputs, sample_weight=sample_weight)

    def _parallel(self) -> DistributedDataParallel:
        """Made anew when other weights learn."""
        trained = [id(weight) for weight in self.model.trainable_weights]
        if trained != self.trained:
            device = next(self.model.parameters()).device
            ids = [device] if device.type == "cuda" else None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.parallel = DistributedDataParallel(
                    _Loss(self.model), ids, find_unused_parameters=True, broadcast_buffers=False
                )
            self.trained = trained
        return self.parallel


class _TestStep:
    """Keras' test step, whose loss counts the rows of all processes."""

    def __init__(self, model):
        self.model = model

    def __call__(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        outputs = self.model(x, training=False)
        loss = self.model._compute_loss(
            x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=False
        )
        self.model._loss_tracker.update_state(loss, sample_weight=_rows_of_all(x))
        return self.model.compute_metrics(x, y, outputs, sample_weight=sample_weight)


def _rows_of_all(x) -> int:
    return sum(sizes_of_all(len(keras.tree.flatten(x)[0])))


def _average(values: list[torch.Tensor]) -> None:
    """Puts the processes' means in the place of statistics."""
    values = [value for value in values if value.is_floating_point()]
    if not values:
        return
    flat = torch.cat([value.flatten() for value in values])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for value, mean in zip(values, flat.split([v.numel() for v in values]), strict=True):
        value.copy_(mean.reshape(value.shape))
