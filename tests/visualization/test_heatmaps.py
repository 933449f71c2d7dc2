import numpy as np
import pytest

from keras_pose.skeleton import Skeleton
from keras_pose.visualization import draw_heatmaps

PAIR = Skeleton("pair", ["a", "b"], keypoint_colors=[(255, 0, 0), (0, 0, 255)])


def peaks(size=(12, 16)):
    """A heatmap of two keypoints: a at x 3, y 4, b at x 9, y 12."""
    maps = np.zeros((size[1], size[0], 2), np.float32)
    maps[4, 3, 0] = 2.0
    maps[12, 9, 1] = 1.0
    return maps


def grey(width=48, height=64):
    return np.full((height, width, 3), 100, np.uint8)


def brightest(picture, channel):
    y, x = np.unravel_index(picture[..., channel].argmax(), picture.shape[:2])
    return int(x), int(y)


def test_spots_have_the_place_and_colour_of_their_keypoints():
    drawn = draw_heatmaps(grey(), peaks(), PAIR)
    assert brightest(drawn, 0) == (12, 16)
    assert brightest(drawn, 2) == (36, 48)


def test_brightness_is_in_proportion_to_the_value():
    drawn = draw_heatmaps(np.zeros_like(grey()), peaks(), PAIR, opacity=1.0)
    assert drawn[16, 12].tolist() == [255, 0, 0]
    assert drawn[48, 36].tolist() == [0, 0, 128]


def test_affine_puts_the_maps_where_the_crop_came_from():
    affine = np.array([[0.5, 0, 40], [0, 0.5, 10]])  # input 48x64 to a part of the image
    drawn = draw_heatmaps(grey(200, 100), peaks(), PAIR, affine, (48, 64))
    assert brightest(drawn, 0) == (46, 18)
    assert brightest(drawn, 2) == (58, 34)


def test_the_picture_gets_darker_where_nothing_is():
    drawn = draw_heatmaps(grey(), np.zeros((4, 4, 2)), PAIR, darken=0.35)
    assert (drawn == 65).all()


def test_one_map_needs_no_skeleton():
    assert draw_heatmaps(grey(), peaks()[..., 0]).shape == (64, 48, 3)


def test_values_that_are_no_numbers_are_dark():
    maps = peaks()
    maps[0, 0] = np.nan
    np.testing.assert_array_equal(
        draw_heatmaps(grey(), maps, PAIR), draw_heatmaps(grey(), peaks(), PAIR)
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"heatmaps": np.zeros(4)}, "heatmaps must be"),
        ({"heatmaps": np.zeros((0, 4, 2))}, "heatmaps must be"),
        ({"heatmaps": np.zeros((4, 4, 3))}, "2 channels"),
        ({"affine": np.eye(2, 3)}, "belong together"),
        ({"input_size": (48, 64)}, "belong together"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_heatmaps(grey(), **({"heatmaps": peaks(), "skeleton": PAIR} | arguments))
