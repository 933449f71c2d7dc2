"""Attention (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762), whole and in windows."""

import keras
import numpy as np
from keras import ops

from keras_pose.layers.composite import Composite
from keras_pose.layers.dense import Dense
from keras_pose.layers.initialization import LazyInitialization


def attend(query, key, value, scale=None, bias=None):
    """Means of values, weighted by how well their keys agree with the queries.

    Args:
        query: `(B, N, heads, d)`.
        key, value: `(B, M, heads, d)`.
        scale: float, factor of the products; default `d ** -0.5`.
        bias: `(W, heads, N, M)`, added to the scaled products, or None. Sample i reads row
            `i % W`.

    Returns:
        `(B, N, heads * d)`.
    """
    heads, depth = query.shape[2:]
    length, keys = ops.shape(query)[1], ops.shape(key)[1]
    scale = depth**-0.5 if scale is None else scale
    if keras.backend.backend() == "torch" and (bias is None or bias.shape[0] == 1):
        means = ops.dot_product_attention(query, key, value, bias=bias, scale=scale)
        return ops.reshape(means, (-1, length, heads * depth))
    products = ops.matmul(
        ops.transpose(query * scale, (0, 2, 1, 3)), ops.transpose(key, (0, 2, 3, 1))
    )
    if bias is not None:
        # Four axes at most, for LiteRT.
        shape = (-1, bias.shape[0], heads * length, keys)
        products = ops.reshape(products, shape) + ops.reshape(bias, (1, *shape[1:]))
        products = ops.reshape(products, (-1, heads, length, keys))
    weights = ops.cast(ops.softmax(ops.cast(products, "float32")), query.dtype)
    means = ops.matmul(weights, ops.transpose(value, (0, 2, 1, 3)))
    return ops.reshape(ops.transpose(means, (0, 2, 1, 3)), (-1, length, heads * depth))


def split_heads(x, parts: int, heads: int) -> list:
    """Tokens `(B, N, parts * heads * d)` as `parts` tensors `(B, N, heads, d)`."""
    length, channels = ops.shape(x)[1], x.shape[-1]
    depth = channels // (parts * heads)
    x = ops.reshape(x, (-1, length, parts * heads, depth))
    return [x[:, :, i * heads : (i + 1) * heads] for i in range(parts)]


class SelfAttention(Composite):
    """Tokens `(B, N, C)` attend to each other.

    Args:
        channels: int, C.
        heads: int, divides C.
        qkv_bias: bool, whether queries, keys and values have a bias.
        scale: as in `attend`.
    """

    def __init__(self, channels, heads, qkv_bias=True, scale=None, **kwargs):
        super().__init__(**kwargs)
        _check_heads(channels, heads)
        self.qkv = Dense(3 * channels, use_bias=qkv_bias)
        self.proj = Dense(channels)
        self._heads = heads
        self._scale = scale

    def call(self, x):
        return self.proj(attend(*split_heads(self.qkv(x), 3, self._heads), self._scale))


class MultiheadAttention(LazyInitialization, Composite):
    """Tokens `(B, N, C)` attend to others `(B, M, C)`, with the names of PyTorch's module.

    Args:
        channels: int, C.
        heads: int, divides C.
    """

    def __init__(self, channels, heads, **kwargs):
        super().__init__(**kwargs)
        _check_heads(channels, heads)
        self.out_proj = Dense(channels)
        self._channels = channels
        self._heads = heads

    def build(self, input_shape):
        # Queries, keys and values one below the other, in PyTorch's layout (outputs, inputs).
        self.in_proj_weight = self.add_weight(
            name="in_proj_weight",
            shape=(3 * self._channels, self._channels),
            initializer="glorot_uniform",
        )
        self.in_proj_bias = self.add_weight(
            name="in_proj_bias", shape=(3 * self._channels,), initializer="zeros"
        )
        super().build(input_shape)

    def call(self, x, others=None, positions=None):
        """Tokens from tokens.

        Args:
            x: `(B, N, C)`.
            others: `(B, M, C)`, those that are seen; default: `x`.
            positions: `(1, N, C)` or `(B, N, C)`, where the tokens x are: added to them for queries
                and keys, not for values; only without `others`.
        """
        kernel = ops.transpose(self.in_proj_weight)
        bias = ops.convert_to_tensor(self.in_proj_bias)
        own = self._channels
        if positions is not None:
            pair = ops.matmul(x + positions, kernel[:, : 2 * own]) + bias[: 2 * own]
            value = ops.matmul(x, kernel[:, 2 * own :]) + bias[2 * own :]
            parts = [*split_heads(pair, 2, self._heads), *split_heads(value, 1, self._heads)]
        elif others is None:
            parts = split_heads(ops.matmul(x, kernel) + bias, 3, self._heads)
        else:
            query = ops.matmul(x, kernel[:, :own]) + bias[:own]
            pair = ops.matmul(others, kernel[:, own:]) + bias[own:]
            parts = [*split_heads(query, 1, self._heads), *split_heads(pair, 2, self._heads)]
        return self.out_proj(attend(*parts))


class WindowAttention(LazyInitialization, Composite):
    """Pixels of maps `(B, H, W, C)` attend to those of their window (section 3.2 of Liu et al.,
    2021, https://arxiv.org/abs/2103.14030).

    The map is filled up with zeros to whole windows. What was filled in is seen by the others.

    Args:
        channels: int, C.
        heads: int, divides C.
        window_size: int, height and width of a window in pixels.
        shift: int, how many pixels down and right the windows are moved, around the edge; pixels
            of opposite edges do not see each other.
        centered: bool, whether zeros are added on all sides rather than at the bottom and right.
        qkv_bias: bool, whether queries, keys and values have a bias.
        scale: as in `attend`.
    """

    def __init__(
        self,
        channels,
        heads,
        window_size=7,
        shift=0,
        centered=False,
        qkv_bias=True,
        scale=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _check_heads(channels, heads)
        self.qkv = Dense(3 * channels, use_bias=qkv_bias)
        self.proj = Dense(channels)
        self._heads = heads
        self._window_size = window_size
        self._shift = shift
        self._centered = centered
        self._scale = scale

    def build(self, input_shape):
        self.relative_position_bias_table = self.add_weight(
            name="relative_position_bias_table",
            shape=((2 * self._window_size - 1) ** 2, self._heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )
        super().build(input_shape)

    def call(self, x):
        height, width, channels = x.shape[1:]
        size = self._window_size
        down, across = -height % size, -width % size
        top, left = (down // 2, across // 2) if self._centered else (0, 0)
        if down or across:
            x = ops.pad(x, ((0, 0), (top, down - top), (left, across - left), (0, 0)))
        grid = (height + down, width + across)
        windows = _partition(_rolled(x, self._shift), size)
        windows = attend(
            *split_heads(self.qkv(windows), 3, self._heads), self._scale, self._bias(grid)
        )
        x = _rolled(_merge(windows, size, grid, channels), -self._shift)
        # The last layer sees each pixel on its own, so what was filled in need not pass it.
        return self.proj(x[:, top : top + height, left : left + width])

    def _bias(self, grid):
        length = self._window_size**2
        bias = ops.take(
            self.relative_position_bias_table, _relative_positions(self._window_size), axis=0
        )
        bias = ops.reshape(ops.transpose(bias), (1, self._heads, length, length))
        if not self._shift:
            return bias
        apart = _apart(grid, self._window_size, self._shift)
        return bias + ops.convert_to_tensor(-100.0 * apart, dtype=bias.dtype)


def _check_heads(channels, heads):
    if channels % heads:
        raise ValueError(f"heads must divide the {channels} channels, got {heads}")


def _partition(x, size):
    """Maps `(B, H, W, C)` as windows `(B * number, size * size, C)`."""
    width, channels = x.shape[2:]
    # Four axes instead of six: those that stay together are one.
    x = ops.reshape(x, (-1, size, width // size, size * channels))
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (-1, size * size, channels))


def _merge(windows, size, grid, channels):
    """The inverse of `_partition`."""
    height, width = grid
    x = ops.reshape(windows, (-1, width // size, size, size * channels))
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (-1, height, width, channels))


def _rolled(x, shift):
    """Maps moved up and left around the edge; down and right if the shift is negative."""
    if not shift:
        return x
    x = ops.concatenate([x[:, shift:], x[:, :shift]], axis=1)
    return ops.concatenate([x[:, :, shift:], x[:, :, :shift]], axis=2)


def _relative_positions(size) -> np.ndarray:
    """The table's row for each pair of pixels of a window, flattened."""
    y, x = np.divmod(np.arange(size * size), size)
    rows, columns = y[:, None] - y + size - 1, x[:, None] - x + size - 1
    return (rows * (2 * size - 1) + columns).reshape(-1).astype("int32")


def _apart(grid, size, shift) -> np.ndarray:
    """`(windows, 1, n, n)`: 1 where two pixels of a shifted window were no neighbours before."""
    height, width = grid
    # Which of three bands each row and column belongs to: the last window's are cut in two.
    rows, columns = (
        (np.arange(n) >= n - size).astype(int) + (np.arange(n) >= n - shift) for n in grid
    )
    regions = 3 * rows[:, None] + columns
    regions = regions.reshape(height // size, size, width // size, size)
    regions = regions.transpose(0, 2, 1, 3).reshape(-1, 1, size * size)
    return (regions[..., None] != regions[..., None, :]).astype("float32")
