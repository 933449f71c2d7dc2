"""The state of a training in one file, from which it goes on exactly."""

import json
import os
import random
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_pose.files import replacing

_FORMAT = 1
_FACTS = "facts"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Args:
        path: of the file.
        facts: plain data: `epoch` and `step`, both done, counted from 0, and what else was given.
        arrays: {group: {name: array}}; "model" has weights, statistics and the states of every
            `keras.random.SeedGenerator`, "optimizer" slots, iterations, gathered gradients and
            averages, "metrics" the means of the present epoch, "random" the states of the
            processes' generators.
    """

    path: Path
    facts: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]]

    def restore(self, model: keras.Model) -> None:
        """Sets model and optimizer, which must be built, as they were.

        Raises:
            ValueError: if the checkpoint is of another model or optimizer.
        """
        for group, what in (("model", "model"), ("optimizer", "optimizer")):
            _assign(_variables(model)[group], self.arrays.get(group, {}), what, self.path)

    def restore_metrics(self, model: keras.Model) -> None:
        """Sets the means of the present epoch, after an epoch has begun."""
        _assign(_variables(model)["metrics"], self.arrays.get("metrics", {}), "metrics", self.path)

    def restore_random(self) -> None:
        """Sets the random generators of Python, NumPy and PyTorch as they were."""
        states = self.facts["random"]
        version, numbers, gauss = states["python"]
        random.setstate((version, tuple(numbers), gauss))
        kind, keys, *rest = states["numpy"]
        np.random.set_state((kind, np.array(keys, np.uint32), *rest))  # noqa: NPY002 (of callers)
        saved = self.arrays.get("random", {})
        if keras.backend.backend() == "torch" and "torch" in saved:
            import torch

            torch.set_rng_state(torch.from_numpy(saved["torch"].copy()))
            devices = [saved[key] for key in sorted(saved) if key.startswith("torch_cuda")]
            if devices and torch.cuda.device_count() == len(devices):
                torch.cuda.set_rng_state_all([torch.from_numpy(d.copy()) for d in devices])


def save_checkpoint(path: str | os.PathLike, model: keras.Model, facts: dict[str, Any]) -> None:
    """Writes a checkpoint; an earlier one stays until the new one is complete on the disk.

    Args:
        path: of the file, `.npz`.
        model: built and compiled, with a built optimizer.
        facts: plain data for JSON.

    Raises:
        OSError: it cannot be written, such as on a full disk; the earlier one is still there.
    """
    arrays = {
        f"{group}/{name}": _array(variable)
        for group, variables in _variables(model).items()
        for name, variable in variables.items()
    }
    arrays |= {f"random/{name}": state for name, state in _device_random().items()}
    numpy_state = np.random.get_state()  # noqa: NPY002 (of callers)
    facts = {
        **facts,
        "format": _FORMAT,
        "backend": keras.backend.backend(),
        "random": {
            "python": random.getstate(),
            "numpy": [numpy_state[0], numpy_state[1].tolist(), *numpy_state[2:]],
        },
    }
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays, **{_FACTS: text})
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Reads what `save_checkpoint` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        facts = json.loads(content.pop(_FACTS).tobytes())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no checkpoint of a training, or damaged ({error}): remove it, or start "
            "without --resume"
        ) from None
    if facts.get("format") != _FORMAT:
        raise ValueError(
            f"{path} has format {facts.get('format')}, this version of keras-pose reads {_FORMAT}"
        )
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for name, value in content.items():
        group, _, rest = name.partition("/")
        arrays.setdefault(group, {})[rest] = value
    return Checkpoint(path, facts, arrays)


def _variables(model) -> dict[str, dict[str, Any]]:
    """All that changes in a training, numbered in the order in which it was made."""
    fixed = {id(variable) for variable in getattr(model, "fixed_variables", ())}
    changing = [variable for variable in model.variables if id(variable) not in fixed]
    return {
        group: {f"{i:05d}": variable for i, variable in enumerate(variables)}
        for group, variables in (
            ("model", changing),
            ("optimizer", model.optimizer.variables),
            ("metrics", model.metrics_variables),
        )
    }


def _array(variable) -> np.ndarray:
    value = variable.value
    if keras.backend.backend() == "tensorflow" and hasattr(value, "numpy"):
        value = value.numpy()  # of variables that several devices share, too
    value = ops.convert_to_numpy(value)
    # NumPy's files know no bfloat16, all of whose numbers single precision has.
    return value.astype(np.float32) if "bfloat16" in str(value.dtype) else value


def _assign(variables, arrays, what, path) -> None:
    if len(variables) != len(arrays):
        raise ValueError(
            f"{path} is of another {what}: it has {len(arrays)} arrays, this one {len(variables)}"
        )
    for name, variable in variables.items():
        have, want = arrays[name].shape, tuple(variable.shape)
        if have != want:
            raise ValueError(
                f"{path} is of another {what}: {variable.path} has shape {want}, there it is {have}"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _device_random() -> dict[str, np.ndarray]:
    """States of PyTorch's generators, from which unseeded dropout draws."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {"torch": torch.get_rng_state().numpy()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for i, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"torch_cuda_{i:03d}"] = state.numpy()
    return states
