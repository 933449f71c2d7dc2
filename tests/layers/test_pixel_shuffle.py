import numpy as np
import pytest

from keras_pose.layers import pixel_shuffle


@pytest.mark.parametrize("factor", [2, 3])
def test_the_pixels_of_a_channel_follow_each_other_row_by_row(compiled, factor):
    area = factor**2
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 2 * area)).astype("f4")
    y = compiled(lambda x: pixel_shuffle(x, factor))(x)
    assert y.shape == (2, 4 * factor, 3 * factor, 2)
    for channel in range(2):
        for place in range(area):
            pixels = y[:, place // factor :: factor, place % factor :: factor, channel]
            np.testing.assert_array_equal(pixels, x[..., channel * area + place])


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="channels must be a multiple of 4, got 6"):
        pixel_shuffle(np.zeros((1, 2, 2, 6), "f4"))
