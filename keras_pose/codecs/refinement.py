"""From the highest pixel of a map to where between the pixels the keypoint is."""

import math

import numpy as np
from keras import ops

from keras_pose.codecs.blur import blur_maps, with_maximum_of
from keras_pose.codecs.decoding import constant, values_at

_EPSILON = float(np.finfo("float32").eps)
# Places around a maximum as (x, y): its four neighbours, ...
_NEAR = [(1, 0), (-1, 0), (0, 1), (0, -1)]
# ... those beyond them, ...
_FAR = [(2, 0), (-2, 0), (0, 2), (0, -2)]
# ... and those across the corners.
_DIAGONAL = [(1, 1), (-1, -1)]
_ANTIDIAGONAL = [(1, -1), (-1, 1)]


def quarter_step(maps, x, y, tie=0.0):
    """A quarter of a pixel towards the higher neighbour along each axis.

    Args:
        maps: `(B, h, w, K)`.
        x, y: `(B, K)` or `(B, K, n)` float32, whole pixels.
        tie: difference up to which neighbours count as equal, shaped as x or a number.

    Returns:
        Steps along x and y, shaped as x: -0.25, 0 or 0.25. At the border they are 0, and along an
        axis in the second row or column too, as in MMPose 1.3.2.
    """
    _, height, width, _ = maps.shape
    right, left, below, above = _around(maps, x, y, _NEAR)
    return quarter_of_slope(right - left, below - above, x, y, (width, height), tie)


def quarter_of_slope(slope_x, slope_y, x, y, size, tie=0.0):
    """`quarter_step` where the differences of the neighbours are known.

    Args:
        slope_x, slope_y: right less left and below less above, shaped as x.
        x, y, tie: as in `quarter_step`.
        size: (width, height) of the maps.
    """
    width, height = size
    step_x, step_y = (
        ops.where(ops.abs(slope) > tie, 0.25 * ops.sign(slope), 0.0) for slope in (slope_x, slope_y)
    )
    inner_x = (x > 1) & (x < width - 1) & (y > 0)
    inner_y = (y > 1) & (y < height - 1) & (x > 0)
    return ops.where(inner_x, step_x, 0.0), ops.where(inner_y, step_y, 0.0)


def dark_step(maps, x, y, blur_kernel_size: int):
    """The step to the maximum of a Gaussian: a Newton step on the logarithm of blurred maps.

    DARK (Zhang et al., 2020, https://arxiv.org/abs/1910.06278), with MMPose 1.3.2's differences
    over two pixels.

    Args:
        maps: `(B, h, w, K)`.
        x, y: `(B, K)` float32, the maxima in whole pixels.
        blur_kernel_size: odd int.

    Returns:
        Steps along x and y in map pixels, each `(B, K)`; 0 within two pixels of the border.
    """
    _, height, width, _ = maps.shape
    blurred = with_maximum_of(blur_maps(maps, blur_kernel_size), maps, (1, 2))
    places = [(0, 0), *_NEAR, *_FAR, *_DIAGONAL, *_ANTIDIAGONAL]
    logs = [ops.log(ops.maximum(v, 1e-10)) for v in _around(blurred, x, y, places)]
    centre, right, left, below, above = logs[:5]
    far_right, far_left, far_below, far_above = logs[5:9]
    step = _newton_step(
        (right - left) / 2,
        (below - above) / 2,
        (far_right - 2 * centre + far_left) / 4,
        (far_below - 2 * centre + far_above) / 4,
        (logs[9] + logs[10] - logs[11] - logs[12]) / 4,
    )
    inner = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return tuple(ops.where(inner, each, 0.0) for each in step)


def udp_dark_step(maps, x, y, blur_kernel_size: int):
    """DARK's step as UDP takes it: differences over one pixel, and at the border too.

    UDP (Huang et al., 2020, https://arxiv.org/abs/1911.07524), as in MMPose 1.3.2. Where a map
    is all but flat around its maximum the step can be long.

    Args:
        maps, blur_kernel_size: as in `dark_step`.
        x, y: `(B, K)` or `(B, K, n)` float32, the maxima in whole pixels.

    Returns:
        Steps along x and y in map pixels, shaped as x.
    """
    blurred = with_maximum_of(blur_maps(maps, blur_kernel_size), maps, (1, 2))
    values = _around(blurred, x, y, [(0, 0), *_NEAR, *_DIAGONAL])
    logs = [ops.log(ops.clip(value, 1e-3, 50.0)) for value in values]
    centre, right, left, below, above, forward, backward = logs
    mixed = forward - right - below + 2 * centre - left - above + backward
    return _newton_step(
        (right - left) / 2,
        (below - above) / 2,
        right - 2 * centre + left + _EPSILON,
        below - 2 * centre + above + _EPSILON,
        mixed / 2,
    )


def _around(maps, x, y, places):
    """Values of x's shape at each of the places around `(x, y)`; outside: of the nearest pixel."""
    count, *rest = x.shape[1:]
    steps = (constant(offsets) for offsets in np.transpose(places))
    flat = (
        ops.reshape(v[..., None] + step, (-1, count, math.prod(rest) * len(places)))
        for v, step in zip((x, y), steps, strict=True)
    )
    values = ops.reshape(values_at(maps, *flat), (-1, count, *rest, len(places)))
    return [values[..., i] for i in range(len(places))]


def _newton_step(dx, dy, dxx, dyy, dxy):
    """From where a function has these derivatives to its stationary point; 0 without one."""
    determinant = dxx * dyy - dxy * dxy
    flat = ops.equal(determinant, 0.0)
    determinant = ops.where(flat, 1.0, determinant)
    step_x = (dxy * dy - dyy * dx) / determinant
    step_y = (dxy * dx - dxx * dy) / determinant
    return ops.where(flat, 0.0, step_x), ops.where(flat, 0.0, step_y)
