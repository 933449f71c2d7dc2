import numpy as np
import pytest

from keras_pose import geometry


def test_crop_of_a_box_follows_the_published_formula():
    box = np.array([[100.0, 50.0, 180.0, 250.0]])
    affine = geometry.crop_affine(box, (192, 256))
    points = np.array([[[0.0, 0.0], [191.0, 3.0], [96.0, 128.0]]])
    scale = np.array([200 * 1.25 * 192 / 256, 200 * 1.25])
    expected = points / [192, 256] * scale + [140, 150] - scale / 2
    np.testing.assert_allclose(geometry.apply_affine(affine, points), expected, atol=1e-4)


def test_udp_crop_maps_corners_to_corners():
    affine = geometry.crop_affine([10, 20, 40, 60], (30, 40), padding=1.0, udp=True)
    corners = geometry.apply_affine(affine, np.array([[0.0, 0.0], [29.0, 39.0]]))
    np.testing.assert_allclose(corners, [[10, 20], [40, 60]], atol=1e-4)


def test_crop_can_stretch():
    affine = geometry.crop_affine([0, 0, 10, 100], (20, 20), padding=1.0, fix_aspect=False)
    np.testing.assert_allclose(affine, [[0.5, 0, 0], [0, 5, 0]], atol=1e-5)


def test_rotation_turns_the_content_counter_clockwise():
    affine = geometry.center_scale_affine([50, 50], [100, 100], (100, 100), rotation=30)
    x, y = geometry.apply_affine(geometry.invert_affine(affine), np.array([[80.0, 50.0]]))[0]
    assert y < 50 < x


def test_one_rotation_per_box():
    boxes = np.array([[0, 0, 10, 10], [5, 5, 30, 40]], np.float32)
    both = geometry.crop_affine(boxes, (32, 32), rotation=[0, 40])
    np.testing.assert_array_equal(both[1], geometry.crop_affine(boxes[1], (32, 32), rotation=40))
    assert both.shape == (2, 2, 3) and both.dtype == np.float32


def test_inverse_and_composition():
    a = geometry.center_scale_affine([50, 60], [90, 120], (192, 256), rotation=33)
    b = geometry.center_scale_affine([10, 80], [30, 20], (64, 64), rotation=-70)
    points = np.random.default_rng(0).uniform(0, 200, (7, 2))
    np.testing.assert_allclose(
        geometry.apply_affine(geometry.compose_affine(a, b), points),
        geometry.apply_affine(a, geometry.apply_affine(b, points)),
        atol=1e-3,
    )
    back = geometry.apply_affine(geometry.invert_affine(a), geometry.apply_affine(a, points))
    np.testing.assert_allclose(back, points, atol=1e-3)


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_flip_moves_pixels_as_the_array_is_flipped(direction):
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    axes = {"horizontal": 1, "vertical": 0, "diagonal": (0, 1)}[direction]
    flipped = geometry.warp(image, geometry.flip_affine((4, 3), direction), (4, 3))
    np.testing.assert_array_equal(flipped, np.flip(image, axes))


def test_unknown_flip_direction_is_named():
    with pytest.raises(ValueError, match="direction must be one of"):
        geometry.flip_affine((4, 3), "sideways")


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_flips_of_many_sizes(direction):
    sizes = np.array([[4, 3], [10, 20]])
    flips = geometry.flip_affine(sizes, direction)
    assert flips.shape == (2, 2, 3) and flips.dtype == np.float32
    for size, flip in zip(sizes, flips, strict=True):
        np.testing.assert_array_equal(flip, geometry.flip_affine(tuple(size), direction))
