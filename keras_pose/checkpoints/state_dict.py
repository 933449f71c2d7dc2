"""Reading the state dict of a PyTorch checkpoint as NumPy arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def read_state_dict(source: Mapping | str | Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint by name.

    Args:
        source: `{name: array or tensor}`, or a file: `.pth`, `.pt`, `.safetensors` or `.npz`. Of
            a nested checkpoint the `state_dict` is taken. Nothing in the file is executed.

    Raises:
        FileNotFoundError: if the file does not exist.
        ImportError: if the package that reads this kind of file is missing; it names it.
        ValueError: if the file is of an unknown kind or holds no state dict.
    """
    if not isinstance(source, Mapping):
        source = _read_file(Path(source))
    if isinstance(source.get("state_dict"), Mapping):
        source = source["state_dict"]
    return {name: _array(name, value) for name, value in source.items()}


def _array(name: str, value) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # NumPy has no bfloat16; float32 holds each of its numbers.
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    if not isinstance(value, np.ndarray | np.generic):
        raise ValueError(f"{name} is not an array but a {type(value).__name__}")
    return np.asarray(value)


def _read_file(path: Path) -> Mapping:
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


def _read_npz(path: Path) -> Mapping:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_torch(path: Path) -> Mapping:
    try:
        import torch
    except ImportError:
        raise ImportError(f"{path.name} needs PyTorch: pip install keras-pose[torch]") from None
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> Mapping:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise ImportError(f"{path.name} needs safetensors: pip install keras-pose[hub]") from None
    return load_file(path)


_READERS = {
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".safetensors": _read_safetensors,
}
