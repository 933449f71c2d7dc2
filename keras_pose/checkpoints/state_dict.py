"""Reading the state dict of a PyTorch checkpoint as NumPy arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_pose.checkpoints.pth import PthFile
from keras_pose.checkpoints.unpickling import Tensor


class StateDict(dict):
    """Arrays of a checkpoint by name.

    Args:
        arrays: `{name: array}`.
        versions: `{path of a module: version of its names}`, as PyTorch notes them beside the
            weights.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], versions: Mapping[str, int] | None = None):
        super().__init__(arrays)
        self.versions = dict(versions or {})


def read_state_dict(source: Mapping | str | Path) -> StateDict:
    """The arrays of a checkpoint by name.

    Args:
        source: `{name: array or tensor}`, or a file: `.pth`, `.pt`, `.safetensors` or `.npz`. Of
            a nested checkpoint the `state_dict` is taken (in a training checkpoint with averaged
            weights that is the averages). Nothing in the file is executed.

    Returns:
        A dict. bfloat16 and float8 become float32; other dtypes stay as they are.

    Raises:
        FileNotFoundError: if the file does not exist.
        ImportError: if the package that reads this kind of file is missing; it names it.
        ValueError: if the file is of an unknown kind or holds no state dict.
    """
    if isinstance(source, Mapping):
        return _collect(source, _array)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if path.suffix not in _READERS:
        raise ValueError(f"{path} is not a .pth, .pt, .safetensors or .npz file")
    try:
        return _READERS[path.suffix](path)
    except ImportError:
        raise
    except Exception as error:
        # Each library has its own kinds of errors for what is damaged or needs unpickling.
        first = str(error).split("\n")[0]
        raise ValueError(f"{path} is not a checkpoint that can be read safely: {first}") from None


def _collect(source: Mapping, convert) -> StateDict:
    """The state dict of a checkpoint, its tensors converted by `convert(name, value)`."""
    if isinstance(source.get("state_dict"), Mapping):
        source = source["state_dict"]
    versions = {}
    for module, facts in (getattr(source, "_metadata", None) or {}).items():
        version = facts.get("version") if isinstance(facts, Mapping) else None
        if isinstance(version, int):
            versions[module] = version
    return StateDict({name: convert(name, value) for name, value in source.items()}, versions)


def _array(name: str, value) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # NumPy has no bfloat16; float32 holds each of its numbers.
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    if not isinstance(value, np.ndarray | np.generic):
        raise ValueError(f"{name} is not an array but a {type(value).__name__}")
    return np.asarray(value)


def _read_npz(path: Path) -> StateDict:
    with np.load(path, allow_pickle=False) as arrays:
        return _collect(dict(arrays), _array)


def _read_torch(path: Path) -> StateDict:
    file = PthFile(path)
    if not isinstance(file.content, Mapping):
        raise ValueError(f"it holds a {type(file.content).__name__} instead of a state dict")

    def convert(name, value):
        return file.array(value) if isinstance(value, Tensor) else _array(name, value)

    return _collect(file.content, convert)


def _read_safetensors(path: Path) -> StateDict:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise ImportError(f"{path.name} needs safetensors: pip install keras-pose[hub]") from None
    return _collect(load_file(path), _array)


_READERS = {
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".safetensors": _read_safetensors,
}
