"""Gaussian blurs of maps and vectors with OpenCV's kernels.

A blur along one axis is a product with a banded matrix: heatmaps are small, and every backend and
export format multiplies matrices well.
"""

import functools

import numpy as np
from keras import ops

from keras_pose.codecs.decoding import constant

# OpenCV 4.10 has tables of whole numbers for small kernels and a formula for the others.
_TABLES = {
    1: (1,),
    3: (1, 2, 1),
    5: (1, 4, 6, 4, 1),
    7: (2, 7, 14, 18, 14, 7, 2),
    9: (4, 13, 30, 51, 60, 51, 30, 13, 4),
}


def checked_kernel_size(size: int) -> int:
    """The size of a kernel that has a middle.

    Raises:
        ValueError: if it has none.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a blur needs a kernel of an odd size, got {size}")
    return size


def gaussian_kernel(size: int) -> np.ndarray:
    """The `(size,)` weights of a Gaussian blur, as OpenCV's `getGaussianKernel(size, 0)`."""
    if size in _TABLES:
        weights = np.array(_TABLES[size], "float64")
    else:
        sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
        weights = np.exp(-np.square(np.arange(size) - size // 2) / (2 * sigma**2))
    return weights / weights.sum()


@functools.cache
def blur_matrix(length: int, size: int, border: str = "zero") -> np.ndarray:
    """The `(length, length)` matrix that blurs a column of values.

    Args:
        length: number of values.
        size: of the kernel.
        border: what lies beyond the ends: "zero", or "reflect" for the values mirrored at the
            first and the last one (OpenCV's `BORDER_REFLECT_101`).
    """
    matrix = np.zeros((length, length))
    rows = np.arange(length)
    for offset, weight in enumerate(gaussian_kernel(size), -(size // 2)):
        columns = rows + offset
        if border == "reflect" and length > 1:
            period = 2 * (length - 1)
            columns = np.abs((columns + length - 1) % period - (length - 1))
        elif border == "reflect":
            columns = np.zeros_like(rows)
        inside = (columns >= 0) & (columns < length)
        np.add.at(matrix, (rows[inside], columns[inside]), weight)
    return matrix.astype("float32")


def blur_maps(maps, size: int, border: str = "zero"):
    """Maps `(B, h, w, K)` blurred along both axes; see `blur_matrix`."""
    _, height, width, count = maps.shape
    rows = ops.reshape(maps, (-1, height, width * count))
    rows = ops.matmul(constant(blur_matrix(height, size, border)), rows)
    return ops.matmul(
        constant(blur_matrix(width, size, border)), ops.reshape(rows, (-1, height, width, count))
    )


def blur_vectors(vectors, size: int, border: str = "zero"):
    """Vectors `(B, K, L)` blurred; see `blur_matrix`."""
    matrix = blur_matrix(vectors.shape[-1], size, border)
    return ops.matmul(vectors, constant(matrix.T))


def with_maximum_of(blurred, values, axis):
    """Blurred values scaled so that their maxima are again those of the original values."""
    peak = ops.max(blurred, axis=axis, keepdims=True)
    empty = ops.equal(peak, 0.0)
    scale = ops.max(values, axis=axis, keepdims=True) / ops.where(empty, 1.0, peak)
    return blurred * ops.where(empty, 1.0, scale)
