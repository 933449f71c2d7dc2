"""The highest peaks of bilinearly enlarged maps, without the enlarged maps."""

import functools

import numpy as np
from keras import ops

from keras_pose.codecs.decoding import constant, grid_position, rows_at, values_at, values_between

# Pixels are looked at around which there may be a peak, this many for each peak that is wanted:
# more than half of them have one even in noise.
_CANDIDATES = 4
# Bounds are computed in another order than what they bound.
_ROUNDING = 1e-6


def enlarged_peaks(maps, factor: int, radius: int, count: int):
    """The highest peaks of maps enlarged as by `layers.resize`: pixels that none nearby exceeds.

    Between four pixels nothing is higher than at one of them. Peaks therefore are among the
    enlarged pixels next to an original one; those around the few originals that come into question
    are computed, and compared with all that is near.

    Args:
        maps: `(B, h, w, K)`.
        factor: int, at least 2, how many times as large the enlarged maps are.
        radius: int, at least 1, how many enlarged rows and columns are near.
        count: int, peaks of each map.

    Returns:
        Heights, x and y in enlarged pixels, each `(B, K, count)` float32. Heights are 0 where
        there are no further peaks above 0; of equal ones either may come first.
    """
    _, height, width, keypoints = maps.shape
    candidates = min(_CANDIDATES * count, height * width)
    places = ops.top_k(_bounds(maps, factor), candidates)[1]
    column, row = grid_position(ops.cast(places, "float32"), width)
    near = _surroundings(maps, row, column, factor, radius)
    own = near[..., radius : radius + factor, radius : radius + factor]
    for axis in (3, 4):
        near = _sliding_maximum(near, 2 * radius + 1, axis)
    own = ops.where(ops.equal(own, near), own, 0.0)
    cells = candidates * factor * factor
    values, index = ops.top_k(ops.reshape(own, (-1, keypoints, cells)), min(count, cells))
    inner = constant(np.arange(factor))
    y = row[..., None, None] * float(factor) + inner[:, None]
    x = column[..., None, None] * float(factor) + inner
    both = ops.stack([x + ops.zeros_like(y), y + ops.zeros_like(x)], axis=-1)
    first = ops.convert_to_tensor(np.arange(keypoints, dtype="int32")[:, None] * cells)
    index = ops.reshape(ops.cast(index, "int32") + first, (-1, keypoints * values.shape[-1]))
    both = rows_at(ops.reshape(both, (-1, keypoints * cells, 2)), index)
    both = ops.reshape(both, (-1, keypoints, values.shape[-1], 2))
    return ops.maximum(values, 0.0), both[..., 0], both[..., 1]


def enlarged_values(maps, x, y, factor: int):
    """What maps `(B, h, w, C)` hold at pixels of maps so many times as large.

    Args:
        x, y: `(B, K, n)` float32, whole enlarged pixels, each in its own of the first K maps;
            beyond the border the nearest pixel is read.

    Returns:
        `(B, K, n)`.
    """
    _, height, width, _ = maps.shape
    places = (ops.stack([x, y], axis=-1) + 0.5) / float(factor) - 0.5
    places = ops.clip(places, 0.0, constant([width - 1, height - 1]))
    return ops.swapaxes(values_between(maps, ops.swapaxes(places, 1, 2)), 1, 2)


def _bounds(maps, factor):
    """How high peaks around each pixel can be, `(B, K, h * w)`; 0 where none can be.

    A peak's row of enlarged pixels lies beside a row of original ones. Interpolated up to there,
    this is nowhere near higher than where the peak is, else the enlarged row rose to one side.
    So it is with its column.
    """
    _, height, width, keypoints = maps.shape
    # From an original pixel to the enlarged one next to it.
    step = 0.0 if factor % 2 else 0.5 / factor
    padded = _edged(_edged(maps, 1), 2)
    bounds, in_column = [], []
    for i in (0, 2):
        row = _mixed(padded[:, 1:-1], padded[:, i : i + height], step)
        middle, beside = row[:, :, 1:-1], ops.maximum(row[:, :, :-2], row[:, :, 2:])
        highest = _mixed(middle, beside, step)
        bounds.append(ops.where(middle + _ROUNDING >= beside, highest, 0.0))
        column = _mixed(padded[:, :, 1:-1], padded[:, :, i : i + width], step)
        beside = ops.maximum(column[:, :-2], column[:, 2:])
        in_column.append(column[:, 1:-1] + _ROUNDING >= beside)
    bounds = ops.where(in_column[0] | in_column[1], ops.maximum(*bounds), 0.0)
    return ops.transpose(ops.reshape(bounds, (-1, height * width, keypoints)), (0, 2, 1))


def _edged(maps, axis):
    """Maps with their first and last row (axis 1) or column (axis 2) once more."""
    if axis == 1:
        return ops.concatenate([maps[:, :1], maps, maps[:, -1:]], axis=1)
    return ops.concatenate([maps[:, :, :1], maps, maps[:, :, -1:]], axis=2)


def _mixed(near, far, part):
    return near + part * (far - near)


def _surroundings(maps, row, column, factor, radius):
    """All enlarged pixels of original ones `(B, K, n)`, and those around them.

    Returns:
        `(B, K, n, s, s)`, s = factor + 2 radius; beyond the border the nearest pixel.
    """
    place = (np.arange(-radius, factor + radius) + 0.5) / factor - 0.5
    lower = np.floor(place).astype(int)
    offsets = np.arange(lower[0], lower[-1] + 2, dtype="float32")
    count, candidates = row.shape[1:]
    shape = (-1, count, candidates * len(offsets) ** 2)
    y = row[..., None, None] + constant(offsets[:, None] + 0 * offsets)
    x = column[..., None, None] + constant(offsets + 0 * offsets[:, None])
    values = values_at(maps, ops.reshape(x, shape), ops.reshape(y, shape))
    values = ops.reshape(values, (-1, count, candidates, len(offsets), len(offsets)))
    part, first = constant(place - lower), (lower - lower[0]).astype("int32")
    for axis in (3, 4):
        near, far = (ops.take(values, first + i, axis=axis) for i in (0, 1))
        share = part[:, None] if axis == 3 else part
        # Both sides of a symmetric peak are equal to the last bit, and so are repeated values.
        between = near * (1.0 - share) + far * share
        values = ops.where(ops.equal(near, far), near, between)
    return values


def _sliding_maximum(values, length, axis):
    """The largest of so many neighbours along axis 3 or 4 of `(B, K, n, s, s)`."""
    count = values.shape[axis] - length + 1
    parts = [
        values[:, :, :, i : i + count] if axis == 3 else values[..., i : i + count]
        for i in range(length)
    ]
    return functools.reduce(ops.maximum, parts)
