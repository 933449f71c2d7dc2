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


def heatmap_maximum(maps):
    """The first maximum of every map.

    Args:
        maps: `(B, h, w, K)` float32.

    Returns:
        x, y in map pixels and the value, each `(B, K)` float32.
    """
    _, height, width, count = maps.shape
    index, value, _ = first_maximum(ops.reshape(maps, (-1, height * width, count)))
    x, y = grid_position(index, width)
    return x, y, value


def volume_maximum(volumes):
    """The first maximum of every volume, in the order of depths, then rows, then columns.

    Args:
        volumes: `(B, h, w, K, D)` float32.

    Returns:
        x, y, z in voxels and the value, each `(B, K)` float32.
    """
    _, height, width, count, depth = volumes.shape
    cells = height * width
    volumes = ops.reshape(volumes, (-1, cells, count, depth))
    order = np.arange(depth) * cells + np.arange(cells)[:, None]
    value = ops.max(volumes, axis=(1, 3), keepdims=True)
    order = ops.where(volumes >= value, constant(order[None, :, None]), float(cells * depth))
    index = ops.min(order, axis=(1, 3))
    rest, z = grid_position(index, cells)
    x, y = grid_position(rest, width)
    return x, y, z, value[:, 0, :, 0]


def found_position(x, y, score):
    """Positions `(B, K, 2)` from x, y and scores `(B, K)`; -1 where a map has nothing above 0."""
    position = ops.stack([x, y], axis=-1)
    return ops.where(score[..., None] > 0, position, -1.0)


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every cell of a flattened map, each `(1, height * width, 1)` float32."""
    y, x = np.mgrid[:height, :width].astype("float32")
    return x.reshape(1, -1, 1), y.reshape(1, -1, 1)


def is_local_maximum(maps, radius: int = 1, tolerance: float = 0.0):
    """Where maps `(B, h, w, C)` of values from 0 equal the largest of their neighbourhood.

    Args:
        radius: int, the neighbourhood reaches so far in rows and columns.
        tolerance: float, values that are less than this below the largest count as equal.
    """
    # Row and column maxima of shifted maps: XLA's pooling on a CPU takes ten times as long.
    pad = (radius, radius)
    around = ops.pad(maps, ((0, 0), pad, pad, (0, 0)))
    both = _running_maximum(_running_maximum(around, 1, 2 * radius + 1), 2, 2 * radius + 1)
    return both - maps < tolerance if tolerance else ops.equal(maps, both)


def _running_maximum(maps, axis: int, length: int):
    """The largest of so many neighbours along an axis, which gets shorter by `length - 1`."""
    before, count, reach = (slice(None),) * axis, maps.shape[axis] - length + 1, 1
    while reach < length:
        # Of twice as many neighbours, as long as there are so many.
        step = min(reach, length - reach)
        last = count + length - reach - step
        maps = ops.maximum(maps[(*before, slice(last))], maps[(*before, slice(step, last + step))])
        reach += step
    return maps


def rows_at(table, index):
    """Rows `(B, D, C)` of tables `(B, P, C)` at whole-number indices `(B, D)`."""
    count, channels = ops.shape(table)[1], table.shape[2]
    batch = ops.shape(index)[0]
    first = ops.reshape(ops.arange(batch, dtype="int32") * count, (-1, 1))
    flat = ops.reshape(ops.cast(index, "int32") + first, (-1,))
    rows = ops.take(ops.reshape(table, (-1, channels)), flat, axis=0)
    return ops.reshape(rows, (-1, index.shape[1], channels))


def values_at(maps, x, y):
    """What maps `(B, h, w, K)` hold at places `(B, K, n)`, each keypoint's in its own map.

    Args:
        x, y: whole pixels as float32; beyond the border the nearest pixel is read.

    Returns:
        `(B, K, n)`.
    """
    _, height, width, count = maps.shape
    x = ops.cast(ops.clip(x, 0.0, float(width - 1)), "int32")
    y = ops.cast(ops.clip(y, 0.0, float(height - 1)), "int32")
    own = ops.convert_to_tensor(np.arange(count, dtype="int32")[:, None])
    index = ops.reshape((y * width + x) * count + own, (-1, count * x.shape[-1]))
    values = rows_at(ops.reshape(maps, (-1, height * width * count, 1)), index)
    return ops.reshape(values, (-1, count, x.shape[-1]))


def values_between(maps, points):
    """What maps `(B, h, w, C)` hold between pixels, by bilinear interpolation.

    Args:
        points: `(B, n, K, 2)` float32, x and y in the maps of places in the first K of them, each
            in its own.

    Returns:
        `(B, n, K)`.
    """
    _, height, width, channels = maps.shape
    slots, count = points.shape[1:3]
    first = ops.floor(points)
    last = ops.minimum(first + 1.0, constant([width - 1, height - 1]))
    pixels = ops.stack([first, last], axis=1)
    shares = ops.stack([1.0 - points + first, points - first], axis=1)
    # Rows on axis 1, columns on axis 2.
    places = pixels[:, :, None, ..., 1] * float(width) + pixels[:, None, ..., 0]
    shares = shares[:, :, None, ..., 1] * shares[:, None, ..., 0]
    places = ops.cast(places * float(channels), "int32")
    places = places + ops.convert_to_tensor(np.arange(count, dtype="int32"))
    table = ops.reshape(maps, (-1, height * width * channels, 1))
    values = rows_at(table, ops.reshape(places, (-1, 4 * slots * count)))
    return ops.sum(ops.reshape(values, (-1, 2, 2, slots, count)) * shares, axis=(1, 2))


def mirrored(maps, shift: bool):
    """Maps `(B, h, w, ...)` of mirrored images turned back, channels as they are.

    Args:
        shift: bool, move them to the right by one column, where the first one keeps its values.
    """
    maps = ops.flip(maps, axis=2)
    return ops.concatenate([maps[:, :, :1], maps[:, :, :-1]], axis=2) if shift else maps
