"""Reading the weights of TensorFlow.js graph models."""

import json
from pathlib import Path

import numpy as np


def read_tfjs(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a `model.json` and the `.bin` files it names, by graph node.

    Float arrays that were stored in half precision stay float16, which loses nothing. Kernels are
    in TensorFlow's layout, which is Keras' own.

    Args:
        path: the `model.json`; its weights lie beside it.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the file is no TensorFlow.js model, or its weights have another size than it
            says.
    """
    path = Path(path)
    try:
        manifest = json.loads(path.read_text("utf-8"))["weightsManifest"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a TensorFlow.js graph model: {error}") from None
    arrays = {}
    for group in manifest:
        data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        position = 0
        for entry in group["weights"]:
            stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
            dtype = np.dtype(stored)
            count = int(np.prod(entry["shape"], dtype=np.int64))
            if position + count * dtype.itemsize > len(data):
                raise ValueError(f"{path}: the weights end in the middle of {entry['name']}")
            value = np.frombuffer(data, dtype, count, position)
            arrays[entry["name"]] = value.reshape(entry["shape"])
            position += count * dtype.itemsize
        if position != len(data):
            raise ValueError(f"{path}: {len(data) - position} bytes follow the last weight")
    return arrays
