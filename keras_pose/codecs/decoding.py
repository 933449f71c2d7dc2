"""Steps of decoding that every backend runs and every export format can hold.

No float `argmax`, `take_along_axis` or `one_hot`: some exporters refuse each of them. Maxima are
found by comparing, and values are read by multiplying with a mask.
"""

import numpy as np
from keras import ops


def constant(values):
    """A float32 tensor; PyTorch does not mix its tensors with NumPy arrays."""
    return ops.convert_to_tensor(np.asarray(values, "float32"))


def first_maximum(maps):
    """The first maximum along axis 1, in row-major order where the axis is a flattened map.

    Args:
        maps: `(B, P, K)`.

    Returns:
        Index `(B, K)` float32, value `(B, K)`, and a mask `(B, P, K)` that is 1 at the maximum.
    """
    count = maps.shape[1]
    positions = constant(np.arange(count)[None, :, None])
    value = ops.max(maps, axis=1, keepdims=True)
    index = ops.min(ops.where(maps >= value, positions, float(count - 1)), axis=1)
    mask = ops.cast(ops.equal(positions, index[:, None]), "float32")
    return index, value[:, 0], mask


def grid_position(index, width: int):
    """x and y of flat indices into maps of a width, all float32."""
    y = ops.floor(index / float(width))
    return index - y * float(width), y


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every cell of a flattened map, each `(1, height * width, 1)` float32."""
    y, x = np.mgrid[:height, :width].astype("float32")
    return x.reshape(1, -1, 1), y.reshape(1, -1, 1)
