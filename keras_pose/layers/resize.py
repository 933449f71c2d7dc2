"""Other sizes for feature maps: resizing, and average pooling to a given size."""

import keras
import numpy as np
from keras import ops


def resize(x, size, interpolation: str = "bilinear", align_corners: bool = False):
    """Maps `(B, H, W, C)` at another size, sampled as PyTorch's `interpolate` does.

    Args:
        size: (height, width) in pixels.
        interpolation: "bilinear" (not antialiased, edges clamped) or "nearest" (output pixel i is
            input pixel `floor(i * H / height)`).
        align_corners: bool, for "bilinear": whether the centres of the corner pixels of input and
            output coincide, instead of the outer edges of the maps.
    """
    size = tuple(size)
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(f'interpolation must be "bilinear" or "nearest", got "{interpolation}"')
    if size == tuple(x.shape[1:3]):
        return x
    if interpolation == "nearest":
        return _nearest(x, size)
    if align_corners:
        rows, columns = (_aligned(*pair) for pair in zip(x.shape[1:3], size, strict=True))
        return _times(x, rows, columns)
    return ops.image.resize(x, size, interpolation="bilinear", data_format="channels_last")


def upsample(x, factor: int = 2, interpolation: str = "bilinear"):
    """Enlarges maps `(B, H, W, C)` by a whole factor.

    Args:
        interpolation: "bilinear" and "nearest" as in `resize`, or "bilinear_legacy" for factor 2
            (TensorFlow 1's sampling without half-pixel centres: even outputs copy, odd ones
            average a pixel and its successor).
    """
    if interpolation == "bilinear_legacy":
        if factor != 2:
            raise ValueError(f"bilinear_legacy enlarges by 2, got factor {factor}")
        return _double_legacy(_double_legacy(x, axis=1), axis=2)
    return resize(x, (x.shape[1] * factor, x.shape[2] * factor), interpolation)


def adaptive_average_pool(x, size):
    """Means of maps `(B, H, W, C)` over a grid of a given size.

    Bin i of n over H pixels is `floor(i * H / n)` to `ceil((i + 1) * H / n)`, as in PyTorch: bins
    overlap where n does not divide H.

    Args:
        size: (height, width) of the result.
    """
    size = tuple(size)
    if any(old % new for old, new in zip(x.shape[1:3], size, strict=True)):
        return _times(x, *(_bins(*pair) for pair in zip(x.shape[1:3], size, strict=True)))
    height, width, channels = x.shape[1:]
    # Row means, then column means: XLA's pooling on a CPU takes far longer.
    if size[0] != height:
        x = ops.mean(ops.reshape(x, (-1, height // size[0], width * channels)), axis=1)
    if size[1] != width:
        x = ops.mean(ops.reshape(x, (-1, width // size[1], channels)), axis=1)
    return ops.reshape(x, (-1, *size, channels))


def _nearest(x, size):
    height, width, channels = x.shape[1:]
    if size[0] % height or size[1] % width:
        for axis, (old, new) in enumerate(zip((height, width), size, strict=True), start=1):
            if old != new:
                x = ops.take(x, np.arange(new) * old // new, axis=axis)
        return x
    # Copies instead of a gather, whose gradient would be a scatter.
    x = ops.reshape(x, (-1, 1, width * channels))
    x = ops.reshape(ops.tile(x, (1, size[0] // height, 1)), (-1, 1, channels))
    x = ops.tile(x, (1, size[1] // width, 1))
    return ops.reshape(x, (-1, *size, channels))


def _aligned(old: int, new: int) -> np.ndarray:
    """Weights `(new, old)` of linear interpolation between pixels whose first and last coincide."""
    position = np.arange(new) * (old - 1) / max(new - 1, 1)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(old)), 0)


def _bins(old: int, new: int) -> np.ndarray:
    """Weights `(new, old)` of means over bins that may overlap."""
    index, pixel = np.arange(new)[:, None], np.arange(old)
    inside = (pixel >= index * old // new) & (pixel < -(-(index + 1) * old // new))
    return inside / inside.sum(axis=1, keepdims=True)


def _times(x, rows, columns):
    """Maps with linear combinations of their rows and columns, `(new, old)` each."""
    height, width, channels = x.shape[1:]
    dtype = keras.backend.standardize_dtype(x.dtype)
    rows, columns = (ops.convert_to_tensor(m.astype("float32"), dtype) for m in (rows, columns))
    x = ops.matmul(rows, ops.reshape(x, (-1, height, width * channels)))
    x = ops.matmul(columns, ops.reshape(x, (-1, width, channels)))
    return ops.reshape(x, (-1, rows.shape[0], columns.shape[0], channels))


def _double_legacy(x, axis):
    if axis == 1:
        following = ops.concatenate([x[:, 1:], x[:, -1:]], axis=1)
    else:
        following = ops.concatenate([x[:, :, 1:], x[:, :, -1:]], axis=2)
    pairs = ops.stack([x, (x + following) * 0.5], axis=axis + 1)
    shape = [-1, *x.shape[1:]]
    shape[axis] *= 2
    return ops.reshape(pairs, shape)
