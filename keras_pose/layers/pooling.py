"""Pooling with PyTorch's conventions: padding in pixels on every side, and its ceil mode."""

import keras
import numpy as np
from keras import ops

from keras_pose.layers.composite import Composite
from keras_pose.layers.resize import adaptive_average_pool

# What a maximum ignores; -inf would make NaNs of anything it is multiplied with.
_LOWEST = {"float16": -65504.0, "bfloat16": -3.3895e38, "float32": -3.4028e38, "float64": -1.79e308}


def max_pool(x, size, strides=None, padding=0, ceil_mode=False, nonnegative=False):
    """Maxima over windows of maps `(B, H, W, C)`.

    Args:
        size: int or (rows, columns), the window.
        strides: int or pair; default: `size`.
        padding: int or pair, pixels on both sides that no maximum sees.
        ceil_mode: bool, whether a last window may reach over the edge, as in PyTorch. Needs
            known sizes.
        nonnegative: bool, says that x has no negative values, as after a ReLU. Zeros then serve
            as padding, which unlike the lowest number keep the range small for quantisation.

    Returns:
        Maps `(B, h, w, C)` with `h = (H + 2 * padding - size) // strides + 1`.
    """
    windows = _Windows(x, size, strides, padding, ceil_mode)
    lowest = 0.0 if nonnegative else _LOWEST[keras.backend.standardize_dtype(x.dtype)]
    x = windows.padded(x, lowest)
    if keras.backend.backend() == "torch" and ops.is_tensor(x):
        # Keras' own copies the maps to channels first and back.
        from torch.nn import functional

        x = functional.max_pool2d(x.permute(0, 3, 1, 2), windows.size, windows.strides)
        return x.permute(0, 2, 3, 1)
    return ops.max_pool(
        x, windows.size, windows.strides, padding="valid", data_format="channels_last"
    )


def average_pool(x, size, strides=None, padding=0, ceil_mode=False, count_padding=True):
    """Means over windows of maps `(B, H, W, C)`.

    Args:
        size, strides, padding, ceil_mode: as in `max_pool`; the padding is zero.
        count_padding: bool, whether means count the pixels of the padding (PyTorch's
            `count_include_pad`). False needs known sizes. What `ceil_mode` adds never counts.

    Returns:
        Maps `(B, h, w, C)`.
    """
    windows = _Windows(x, size, strides, padding, ceil_mode)
    means = _means(windows.padded(x, 0.0), windows.size, windows.strides)
    if not (ceil_mode or (any(windows.pads) and not count_padding)):
        return means
    area = windows.size[0] * windows.size[1]
    rows, columns = (windows.counted(axis, count_padding) for axis in (0, 1))
    correction = area / (rows[:, None, None] * columns[None, :, None])
    if (correction == 1).all():
        return means
    return means * ops.convert_to_tensor(correction.astype("float32"), dtype=means.dtype)


def _means(x, size, strides):
    counts = [
        None if length is None else length // side
        for length, side in zip(x.shape[1:3], size, strict=True)
    ]
    if size == strides and all(counts):
        rows, columns = (count * side for count, side in zip(counts, size, strict=True))
        return adaptive_average_pool(x[:, :rows, :columns], counts)
    return ops.average_pool(x, size, strides, padding="valid", data_format="channels_last")


class MaxPool(Composite):
    """`max_pool` as a layer without weights, for the places that checkpoints number."""

    def __init__(self, size, strides=None, padding=0, ceil_mode=False, nonnegative=False, **kwargs):
        super().__init__(**kwargs)
        self._settings = (size, strides, padding, ceil_mode, nonnegative)

    def call(self, x):
        return max_pool(x, *self._settings)


class AveragePool(Composite):
    """`average_pool` as a layer without weights, for the places that checkpoints number."""

    def __init__(
        self, size, strides=None, padding=0, ceil_mode=False, count_padding=True, **kwargs
    ):
        super().__init__(**kwargs)
        self._settings = (size, strides, padding, ceil_mode, count_padding)

    def call(self, x):
        return average_pool(x, *self._settings)


class _Windows:
    """Where the windows of a pooling lie."""

    def __init__(self, x, size, strides, padding, ceil_mode):
        self.size = _pair(size)
        self.strides = self.size if strides is None else _pair(strides)
        self.pads = _pair(padding)
        if any(2 * pad > size for pad, size in zip(self.pads, self.size, strict=True)):
            raise ValueError(f"padding must be at most half of size {self.size}, got {self.pads}")
        self.lengths = x.shape[1:3]
        # Rows and columns that the ceil mode adds at the bottom and right.
        self.extra = [self._extra(axis) if ceil_mode else 0 for axis in (0, 1)]

    def _extra(self, axis) -> int:
        size, stride, pad = self.size[axis], self.strides[axis], self.pads[axis]
        length = self.lengths[axis] + 2 * pad
        count = -(-(length - size) // stride) + 1
        if (count - 1) * stride >= self.lengths[axis] + pad:
            count -= 1  # a window has to begin inside of the map or the padding before it
        return max((count - 1) * stride + size - length, 0)

    def padded(self, x, value):
        """x with its padding and what the ceil mode adds."""
        if not any(self.pads) and not any(self.extra):
            return x
        rows, columns = (
            (pad, pad + extra) for pad, extra in zip(self.pads, self.extra, strict=True)
        )
        return ops.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=value)

    def counted(self, axis, count_padding) -> np.ndarray:
        """How many pixels of one axis each window's mean counts."""
        pad, length = self.pads[axis], self.lengths[axis]
        counts = np.zeros(length + 2 * pad + self.extra[axis])
        if count_padding:
            counts[: length + 2 * pad] = 1
        else:
            counts[pad : pad + length] = 1
        starts = range(0, len(counts) - self.size[axis] + 1, self.strides[axis])
        return np.array([counts[i : i + self.size[axis]].sum() for i in starts])


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
