import numpy as np
import pytest
from keras import ops

from keras_pose.layers import upsample

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
