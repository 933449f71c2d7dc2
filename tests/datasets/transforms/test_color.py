import numpy as np

from keras_pose.datasets import RandomColor
from keras_pose.datasets.transforms import change_color

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def test_nothing_changes_nothing():
    np.testing.assert_array_equal(change_color(IMAGE), IMAGE)


def test_brightness_and_contrast_saturate():
    image = change_color(IMAGE, brightness=40, contrast=1.3)
    expected = np.clip(np.rint(IMAGE * 1.3 + 40), 0, 255)
    assert np.abs(image - expected).max() <= 1


def test_no_saturation_is_grey():
    grey = change_color(IMAGE, saturation=0)
    assert np.ptp(grey, axis=-1).max() == 0
    assert np.abs(grey[..., 0] - IMAGE @ [0.299, 0.587, 0.114]).max() <= 1


def test_grey_keeps_its_value_under_saturation():
    grey = np.repeat(IMAGE[..., :1], 3, axis=-1)
    assert np.abs(change_color(grey, saturation=1.5).astype(int) - grey).max() <= 1


def test_draws_are_repeatable_and_rare_enough():
    color = RandomColor(prob=0.5)
    unchanged = sum(color(IMAGE, np.random.default_rng(seed)) is IMAGE for seed in range(400))
    assert 20 < unchanged < 85  # expected 50
    one, same = (color(IMAGE, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
