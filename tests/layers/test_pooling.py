import numpy as np
import pytest
from keras import ops

from keras_pose.layers.pooling import average_pool, max_pool

IMAGE = np.random.default_rng(0).standard_normal((2, 7, 10, 3)).astype("float32")


def _windows(size, strides, padding, ceil_mode):
    """The rows and columns each window covers, counted from the unpadded map's first."""
    for length in IMAGE.shape[1:3]:
        starts = np.arange(-padding, length + padding, strides)
        if ceil_mode:
            starts = starts[starts < length + padding]
            reached = np.maximum.accumulate(np.r_[-np.inf, starts[:-1] + size])
            starts = starts[(reached < length + padding) & (starts < length)]
        else:
            starts = starts[starts + size <= length + padding]
        yield [range(start, min(start + size, length + padding)) for start in starts]


def _expected(size, strides, padding, ceil_mode, reduce):
    rows, columns = _windows(size, strides, padding, ceil_mode)
    return np.stack([np.stack([reduce(r, c) for c in columns], 1) for r in rows], 1)


def _inside(rows, columns):
    rows = [r for r in rows if 0 <= r < IMAGE.shape[1]]
    columns = [c for c in columns if 0 <= c < IMAGE.shape[2]]
    return IMAGE[:, rows][:, :, columns]


CASES = [(2, 2, 0, False), (3, 2, 1, False), (3, 2, 0, False), (2, 2, 0, True), (3, 2, 1, True)]


@pytest.mark.parametrize("case", [*CASES, (4, 3, 1, True)])
def test_maxima(case):
    expected = _expected(*case, lambda *window: _inside(*window).max((1, 2)))
    np.testing.assert_array_equal(ops.convert_to_numpy(max_pool(IMAGE, *case)), expected)


def test_maxima_of_nonnegative_maps():
    x = np.abs(IMAGE)
    pooled = max_pool(x, 3, 2, 1, nonnegative=True)
    np.testing.assert_array_equal(pooled, max_pool(x, 3, 2, 1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_maxima_in_half_precision_are_finite(dtype):
    pooled = max_pool(ops.cast(IMAGE - 9, dtype), 3, 2, 1)
    assert np.isfinite(ops.convert_to_numpy(ops.cast(pooled, "float32"))).all()
    assert float(ops.max(pooled)) < 0


@pytest.mark.parametrize("count_padding", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_means(case, count_padding):
    def mean(rows, columns):
        inside = _inside(rows, columns)
        count = len(rows) * len(columns) if count_padding else inside.shape[1] * inside.shape[2]
        return inside.sum((1, 2)) / count

    pooled = average_pool(IMAGE, *case, count_padding=count_padding)
    np.testing.assert_allclose(ops.convert_to_numpy(pooled), _expected(*case, mean), atol=1e-6)


def test_padding_beyond_half_a_window_is_refused():
    with pytest.raises(ValueError, match="padding must be at most half of size"):
        max_pool(IMAGE, 3, 2, 2)
