import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import adaptive_average_pool, resize, upsample

ROW = np.array([0.0, 4.0, 8.0], np.float32)


def _upsampled(maps, factor, interpolation):
    return ops.convert_to_numpy(upsample(ops.convert_to_tensor(maps), factor, interpolation))


def _row(interpolation, factor=2):
    """A row of pixels enlarged; every row of the result must be the same."""
    maps = _upsampled(ROW.reshape(1, 1, 3, 1), factor, interpolation)
    assert maps.shape == (1, factor, 3 * factor, 1)
    np.testing.assert_array_equal(maps[0, 0], maps[0, -1])
    return maps[0, 0, :, 0]


@pytest.mark.parametrize(
    ("interpolation", "factor", "expected"),
    [
        ("nearest", 2, [0, 0, 4, 4, 8, 8]),
        ("bilinear", 2, [0, 1, 3, 5, 7, 8]),
        ("bilinear", 4, [0, 0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8, 8]),
        ("bilinear_legacy", 2, [0, 2, 4, 6, 8, 8]),
    ],
)
def test_columns(interpolation, factor, expected):
    np.testing.assert_allclose(_row(interpolation, factor), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bilinear_legacy"])
def test_rows_are_enlarged_as_columns_are(interpolation):
    maps = np.random.default_rng(0).random((2, 3, 4, 2), np.float32)
    turned = _upsampled(maps.swapaxes(1, 2), 2, interpolation)
    straight = _upsampled(maps, 2, interpolation)
    assert straight.shape == (2, 6, 8, 2)
    np.testing.assert_allclose(straight, turned.swapaxes(1, 2), rtol=0, atol=1e-6)


def test_legacy_enlarges_by_two_only():
    with pytest.raises(ValueError, match="by 2, got factor 4"):
        upsample(np.zeros((1, 2, 2, 1), np.float32), 4, "bilinear_legacy")


def _sampled(row, size, interpolation, align_corners):
    """PyTorch's sampling of one row, pixel by pixel."""
    values = []
    for i in range(size):
        if interpolation == "nearest":
            values.append(row[int(np.floor(i * len(row) / size))])
            continue
        if align_corners:
            position = i * (len(row) - 1) / (size - 1) if size > 1 else 0.0
        else:
            position = np.clip((i + 0.5) * len(row) / size - 0.5, 0, len(row) - 1)
        before = int(position)
        after = min(before + 1, len(row) - 1)
        values.append(row[before] + (position - before) * (row[after] - row[before]))
    return np.array(values)


@pytest.mark.parametrize("size", [(3, 4), (6, 8), (9, 7), (2, 2), (1, 1), (3, 9)])
@pytest.mark.parametrize(
    ("interpolation", "align_corners"),
    [("nearest", False), ("bilinear", False), ("bilinear", True)],
)
def test_resize_samples_as_pytorch(size, interpolation, align_corners):
    maps = np.random.default_rng(0).random((2, 3, 4, 2), np.float32)
    expected = maps
    for axis in (1, 2):
        expected = np.apply_along_axis(
            _sampled, axis, expected, size[axis - 1], interpolation, align_corners
        )
    x = ops.convert_to_tensor(maps)
    actual = ops.convert_to_numpy(resize(x, size, interpolation, align_corners))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(6, 8), (3, 2), (1, 1), (4, 3), (6, 5)])
def test_adaptive_pooling_averages_bins_that_may_overlap(size):
    maps = np.random.default_rng(0).random((2, 6, 8, 3), np.float32)
    expected = np.zeros((2, *size, 3), np.float32)
    edges = [
        [(i * old // new, -(-(i + 1) * old // new)) for i in range(new)]
        for old, new in zip((6, 8), size, strict=True)
    ]
    for i, (top, bottom) in enumerate(edges[0]):
        for j, (left, right) in enumerate(edges[1]):
            expected[:, i, j] = maps[:, top:bottom, left:right].mean(axis=(1, 2))
    actual = ops.convert_to_numpy(adaptive_average_pool(ops.convert_to_tensor(maps), size))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: resize(x, (6, 8), "nearest"),
        lambda x: resize(x, (6, 8), align_corners=True),
        lambda x: resize(x, (6, 8)),
        lambda x: adaptive_average_pool(resize(x, (12, 16), "nearest"), (6, 8)),
        lambda x: adaptive_average_pool(resize(x, (7, 9), "nearest"), (6, 8)),
    ],
)
def test_symbols_have_the_shape_and_dtype_of_values(change):
    result = change(keras.KerasTensor((None, 3, 4, 5), dtype="float16"))
    assert (result.shape, result.dtype) == ((None, 6, 8, 5), "float16")


def test_an_unknown_interpolation_is_refused():
    with pytest.raises(ValueError, match='"bilinear" or "nearest", got "cubic"'):
        resize(np.zeros((1, 2, 2, 1), np.float32), (4, 4), "cubic")
