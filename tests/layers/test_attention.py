import numpy as np
import pytest
from keras import ops

from keras_pose.layers.attention import SelfAttention, WindowAttention, attend


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attention(query, key, value, scale, bias):
    products = np.einsum("bnhd,bmhd->bhnm", query, key) * scale + bias
    means = np.einsum("bhnm,bmhd->bnhd", softmax(products), value)
    return means.reshape(*means.shape[:2], -1)


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("f4")


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_values_are_averaged_by_agreement(rows, scale):
    query, key, value = random(6, 5, 2, 4), random(6, 3, 2, 4), random(6, 3, 2, 4) + 1
    bias = random(rows, 2, 5, 3) if rows else None
    actual = attend(*map(ops.convert_to_tensor, (query, key, value)), scale, bias)
    added = np.tile(bias, (6 // rows, 1, 1, 1)) if rows else 0
    expected = attention(query, key, value, scale or 0.5, added)
    np.testing.assert_allclose(ops.convert_to_numpy(actual), expected, rtol=0, atol=1e-5)


def filled(layer, shape):
    """Builds a layer and gives it weights that are not small."""
    layer.build(shape)
    for variable in layer.weights:
        variable.assign(np.random.default_rng(variable.shape[0]).normal(0, 0.5, variable.shape))


def test_tokens_attend_to_each_other():
    layer = SelfAttention(8, 2)
    filled(layer, (None, 5, 8))
    x = random(2, 5, 8)
    (kernel, bias), (out, out_bias) = layer.qkv.get_weights(), layer.proj.get_weights()
    query, key, value = (
        (x @ kernel + bias)[..., i : i + 8].reshape(2, 5, 2, 4) for i in (0, 8, 16)
    )
    expected = attention(query, key, value, 0.5, 0) @ out + out_bias
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


def windows_by_pixel(layer, x, size, shift, centered):
    """The same by loops over single pixels: who sees whom, and from how far."""
    height, width, channels = x.shape[1:]
    down, across = -height % size, -width % size
    top, left = (down // 2, across // 2) if centered else (0, 0)
    x = np.pad(x, ((0, 0), (top, down - top), (left, across - left), (0, 0)))
    rows, columns = x.shape[1:3]
    kernel, bias = layer.qkv.get_weights()
    query, key, value = np.split(x @ kernel + bias, 3, axis=-1)
    table = ops.convert_to_numpy(layer.relative_position_bias_table)
    heads = table.shape[1]
    depth = channels // heads
    out = np.zeros_like(x)

    def place(i, n):
        """Window and offset within it of a row or column, and whether it came around the edge."""
        moved = (i - shift) % n
        return moved // size, moved % size, bool(shift) and i < shift

    for i, j, h in np.ndindex(rows, columns, heads):
        (wi, oi, ai), (wj, oj, aj) = place(i, rows), place(j, columns)
        part = slice(h * depth, (h + 1) * depth)
        seen, products = [], []
        for k, m in np.ndindex(rows, columns):
            (wk, ok, ak), (wm, om, am) = place(k, rows), place(m, columns)
            if (wi, wj, ai, aj) != (wk, wm, ak, am):
                continue
            row = (oi - ok + size - 1) * (2 * size - 1) + oj - om + size - 1
            product = (query[:, i, j, part] * key[:, k, m, part]).sum(-1) * depth**-0.5
            products.append(product + table[row, h])
            seen.append(value[:, k, m, part])
        weights = softmax(np.stack(products, -1))
        out[:, i, j, part] = np.einsum("bn,nbd->bd", weights, np.stack(seen))
    kernel, bias = layer.proj.get_weights()
    return (out @ kernel + bias)[:, top : top + height, left : left + width]


@pytest.mark.parametrize(
    ("shape", "size", "shift", "centered"),
    [
        ((6, 3), 3, 0, False),
        ((4, 5), 3, 0, True),
        ((5, 3), 3, 0, False),
        ((5, 6), 3, 1, False),
        ((3, 2), 3, 1, False),
    ],
    ids=["whole", "centered", "filled", "shifted", "one_window_shifted"],
)
def test_pixels_attend_to_their_window(shape, size, shift, centered):
    layer = WindowAttention(4, 2, size, shift, centered)
    filled(layer, (None, *shape, 4))
    x = random(2, *shape, 4)
    expected = windows_by_pixel(layer, x, size, shift, centered)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", [SelfAttention, WindowAttention])
def test_heads_must_divide_the_channels(layer):
    with pytest.raises(ValueError, match="heads must divide the 8 channels, got 3"):
        layer(8, 3)
