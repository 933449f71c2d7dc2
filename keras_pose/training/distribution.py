"""One training on several devices: every batch is shared, the result is that of one device.

The engines are those of the backends: `keras.distribution.DataParallel` under JAX,
`tf.distribute` under TensorFlow, `torch.nn.parallel.DistributedDataParallel` in processes of
`torch.distributed` under PyTorch. What each does with a batch and what holds is in
`docs/distributed.md`.
"""

import atexit
import functools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_pose.datasets.shares import check_share, part_of, share_of_batches
from keras_pose.layers.replicas import sharing_batches

# What `torchrun` tells its processes.
_RANK, _PROCESSES, _LOCAL_RANK = "RANK", "WORLD_SIZE", "LOCAL_RANK"


class DeviceGroup:
    """Devices that share every batch; `distribute` makes it.

    Attributes:
        devices: int, over how many devices batches are shared.
        processes: int, how many processes do that; 1 where one process has all devices.
        index: int, which one of them this process is.
        moments: bool, whether batch normalisation is over the whole batch.
    """

    def __init__(self, devices: int = 1, processes: int = 1, index: int = 0, moments: bool = True):
        self.devices, self.processes, self.index = devices, processes, index
        self.moments = moments

    @property
    def is_first(self) -> bool:
        """Whether this process prints and writes files; the others only compute."""
        return self.index == 0

    def sharing(self):
        """A context for making training batches: each process makes its part of each only.

        Without it every process would make, and be trained on, whole batches. Validation that
        calls `predict`, such as `KeypointEvaluation`, needs whole data sets: make them outside.
        """
        return share_of_batches(*self._part())

    def share(self, batches):
        """The part of every batch that is for this process, of a `tf.data.Dataset` of batches.

        For data sets that were not made inside `sharing`, which saves decoding what others need.
        """
        index, count = self._part()
        if count == 1:
            return batches
        spec = keras.tree.flatten(batches.element_spec)[0]
        if spec.shape[0] is not None:
            check_share(0, spec.shape[0], True, count)
        part = functools.partial(part_of, index=index, count=count)
        return batches.map(lambda *parts: keras.tree.map_structure(part, parts))

    def _part(self) -> tuple[int, int]:
        """TensorFlow shares by itself what every worker gets whole; so does JAX."""
        torch = keras.backend.backend() == "torch"
        return (self.index, self.processes) if torch else (0, 1)

    @property
    def peeks(self) -> bool:
        """Whether Keras begins passes over training data that it does not train on.

        Under `tf.distribute` it looks at a batch before it trains, and ahead after every epoch.
        """
        return keras.backend.backend() == "tensorflow" and self.devices > 1

    def prepare(self, model: keras.Model) -> keras.Model:
        """Readies a model that was made inside `distribute`, and has its weights, for `fit`.

        Every process gets the weights of the first one. Random layers draw other numbers in every
        process. Returns the model.
        """
        if keras.backend.backend() == "tensorflow" and self.devices > 1:
            model.jit_compile = False  # copies cannot talk to each other inside of XLA
        if keras.backend.backend() == "torch" and self.processes > 1:
            from keras_pose.training.distribution_torch import share_steps

            share_steps(model, self.index, self.moments)
        return model


@contextmanager
def distribute(devices: int | str = "auto", sync_batch_norm: bool = True) -> Iterator[DeviceGroup]:
    """Inside, models are made for and trained on several devices.

    Under PyTorch every device has a process, which `torchrun` or `launch` starts; this joins it to
    the others. Under JAX and TensorFlow one process has all devices.

    Args:
        devices: int, or "auto" for all that the backend sees (GPUs if there are any) and under
            PyTorch for the processes that were started. 1 changes nothing.
        sync_batch_norm: bool, whether batch normalisation takes its statistics from the whole
            batch (SyncBatchNorm) instead of each device's part of it. JAX always does.

    Raises:
        ValueError: there are fewer devices, or under PyTorch other processes; or `TF_CONFIG` asks
            for several workers of TensorFlow.

    Example:
        >>> with distribute() as group:
        ...     with group.sharing():
        ...         train = topdown_dataset(people, settings, batch_size=64, training=True)
        ...     estimator = TopdownEstimator.from_preset("movenet_lightning_coco")
        ...     estimator.compile(optimizer=AdamW(5e-4))
        ...     group.prepare(estimator).fit(train, epochs=10, verbose=int(group.is_first))
    """
    if devices != "auto" and (not isinstance(devices, int) or devices < 1):
        raise ValueError(f'devices must be "auto" or a positive integer, got {devices!r}')
    backend = keras.backend.backend()
    start = {"jax": _start_jax, "tensorflow": _start_tensorflow, "torch": _start_torch}.get(backend)
    if start is None:
        raise ValueError(f"the Keras backend {backend} cannot train")
    with start(None if devices == "auto" else devices) as group:
        group.moments = sync_batch_norm
        processes = group.processes if backend == "torch" else 1
        with sharing_batches(processes, moments=sync_batch_norm):
            yield group


def _first(found: list, devices: int | None, hint: str) -> list:
    """The first of the devices found."""
    if devices is not None and devices > len(found):
        raise ValueError(f"{devices} devices were asked for, there are {len(found)}: {hint}")
    return found[:devices]


@contextmanager
def _start_jax(devices: int | None) -> Iterator[DeviceGroup]:
    hint = "XLA_FLAGS=--xla_force_host_platform_device_count=2 makes two of a CPU"
    chosen = _first(keras.distribution.list_devices(), devices, hint)
    if len(chosen) < 2:
        yield DeviceGroup()
        return
    with keras.distribution.DataParallel(devices=chosen).scope():
        yield DeviceGroup(len(chosen))


@contextmanager
def _start_tensorflow(devices: int | None) -> Iterator[DeviceGroup]:
    import tensorflow as tf

    if "TF_CONFIG" in os.environ:
        raise ValueError(
            "TF_CONFIG is set: workers of TensorFlow cannot share batches here, since Keras 3 does "
            "not read what MultiWorkerMirroredStrategy gives them; unset it, or train on several "
            "machines with KERAS_BACKEND=torch and torchrun"
        )
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    hint = "tf.config.set_logical_device_configuration makes two of a CPU"
    chosen = _first(tf.config.list_logical_devices(kind), devices, hint)
    if len(chosen) < 2:
        yield DeviceGroup()
        return
    with tf.distribute.MirroredStrategy([device.name for device in chosen]).scope():
        yield DeviceGroup(len(chosen))


@contextmanager
def _start_torch(devices: int | None) -> Iterator[DeviceGroup]:
    processes = joined_processes()
    if devices not in (None, processes):
        raise ValueError(
            f"{devices} devices were asked for, {processes} processes were started: PyTorch needs "
            f"one for each, start them with `torchrun --nproc-per-node {devices}`"
        )
    if processes < 2:
        yield DeviceGroup()
        return
    import torch
    import torch.distributed

    index, local = int(os.environ[_RANK]), int(os.environ.get(_LOCAL_RANK, "0"))
    cuda = keras.ops.zeros(1).device.type == "cuda"
    if cuda:
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"process {local} of this machine has no GPU: there are {torch.cuda.device_count()}"
            )
        torch.cuda.set_device(local)
    # Once for all groups of a process: processes that leave and meet again at the same port can
    # wait for each other's old connections for ever.
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        atexit.register(_leave)
    yield DeviceGroup(processes, processes, index)


def _leave() -> None:
    import torch.distributed

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def joined_processes() -> int:
    """How many processes `torchrun` or `launch` started with this one; 1 elsewhere."""
    return int(os.environ.get(_PROCESSES, "1")) if keras.backend.backend() == "torch" else 1


def processes_to_start(devices: int | str) -> int:
    """How many processes `launch` has to start for so many devices.

    Args:
        devices: as `distribute` takes them.

    Returns:
        1 where this process has all of them, or where the processes were started already.
    """
    if keras.backend.backend() != "torch" or _PROCESSES in os.environ:
        return 1
    if devices == "auto":
        import torch

        return max(1, torch.cuda.device_count())
    return devices


def launch(function: Callable, processes: int, *arguments: Any) -> None:
    """Runs `function(*arguments)` in several processes of this machine that find each other.

    It is `torchrun` for a function: inside it `distribute()` joins the processes. The function must
    be one that a new process can import. Each gets its share of the CPUs unless `OMP_NUM_THREADS`
    is set.

    Raises:
        torch.multiprocessing.ProcessRaisedException: if a process fails, with its traceback; the
            others are stopped.
    """
    import torch.multiprocessing

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_run, args=(processes, port, function, arguments), nprocs=processes)


def _run(rank: int, processes: int, port: int, function: Callable, arguments: tuple) -> None:
    import torch

    ranks = {_RANK: rank, _LOCAL_RANK: rank, _PROCESSES: processes, "LOCAL_WORLD_SIZE": processes}
    os.environ.update({name: str(value) for name, value in ranks.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    try:
        function(*arguments)
    finally:
        _leave()
