import json

import numpy as np
import pytest

from keras_pose.datasets.transforms.pixels_blur import (
    Blur,
    GaussianBlur,
    GaussianNoise,
    MedianBlur,
    add_noise,
    box_blur,
    gaussian_blur,
    median_blur,
)
from keras_pose.datasets.transforms.pixels_dropout import (
    CoarseDropout,
    GridDropout,
    cut_holes,
    grid_holes,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 36, 3), dtype=np.uint8)
RTMPOSE = CoarseDropout(1, 1, 0.4, 0.2, 0.4, 0.2, prob=1.0)


@pytest.mark.cases("transforms/albumentation")
def test_equals_reference(case, golden):
    """Blurs and holes do not mix channels: BGR or RGB, the same."""
    arrays = np.load(golden / "transforms/albumentation.npz")
    image = arrays[case["img"]]
    if case["transform"] == "CoarseDropout":
        ours = cut_holes(image, case["holes_x1y1x2y2"], case["fill_value"])
    else:
        ours = {"Blur": box_blur, "MedianBlur": median_blur}[case["transform"]](
            image, case["ksize"]
        )
    np.testing.assert_array_equal(ours, arrays[case["id"]])


@pytest.fixture(scope="module")
def facts(golden):
    return json.loads((golden / "transforms/albumentation.json").read_text())["facts"]


def agrees(draws, published):
    error = 4 * published["std"] * np.sqrt(1 / len(draws) + 1 / published["n"])
    assert abs(np.mean(draws) - published["mean"]) < error
    assert abs(np.std(draws) - published["std"]) < error


@pytest.mark.parametrize(
    ("fact", "transform"),
    [
        ("CoarseDropout_fraction", RTMPOSE),
        ("CoarseDropout_pixels", CoarseDropout(8, 1, 40, 10, 40, 10)),
    ],
)
def test_holes_are_drawn_as_published(facts, fact, transform):
    published = facts[fact]
    rng, size = np.random.default_rng(0), tuple(published["image_hw"][::-1])
    drawn = [transform.holes(size, rng) for _ in range(4000)]
    holes = np.concatenate(drawn)
    sides = holes[:, 2:] - holes[:, :2]
    agrees(sides[:, 0], published["width"])
    agrees(sides[:, 1], published["height"])
    agrees(holes[:, 0], published["x1"])
    agrees(holes[:, 1], published["y1"])
    agrees(sides.prod(-1) / np.prod(size), published["area_fraction"])
    assert {str(len(h)) for h in drawn} == set(published["number_of_holes"])
    assert (holes >= 0).all() and (holes[:, 2:] <= size).all()


def test_grid_is_drawn_as_published(facts):
    published = facts["GridDropout"]
    rng = np.random.default_rng(0)
    drawn = [GridDropout().holes((192, 256), rng) for _ in range(3000)]
    agrees([len(holes) for holes in drawn], {"n": 3000, **published["number_of_holes"]})
    agrees([holes[0, 2] - holes[0, 0] for holes in drawn], published["hole_width"])


def test_grid_covers_its_part_of_the_image():
    holes = grid_holes((192, 256), unit=16, hole=8, shift=(3, 5))
    cut = cut_holes(np.full((256, 192, 3), 255, np.uint8), holes)
    assert (cut == 0).mean() == 0.25
    assert (cut[5:13, 3:11] == 0).all() and cut[4, 3].all() and cut[13, 3].all()


@pytest.mark.parametrize("name", ["Blur", "MedianBlur"])
def test_kernels_are_drawn_as_published(facts, name):
    transform = {"Blur": Blur, "MedianBlur": MedianBlur}[name]()
    rng = np.random.default_rng(0)
    sizes = np.array([transform.draw_size(rng) for _ in range(8000)])
    for size, chance in facts[name]["kernel_probabilities"].items():
        assert abs((sizes == int(size)).mean() - chance) < 4 * 0.47 * np.sqrt(1 / 8000 + 1 / 20000)


def test_gaussian_follows_its_definition():
    spot = np.zeros((15, 15, 3), np.uint8)
    spot[7, 7] = 255
    for weights in ([1, 2, 1], [1, 4, 6, 4, 1], [1, 3.5, 7, 9, 7, 3.5, 1]):
        expected = np.zeros((15, 15))
        size, line = len(weights), np.divide(weights, sum(weights))
        inside = slice(7 - size // 2, 8 + size // 2)
        expected[inside, inside] = 255 * np.outer(line, line)
        assert np.abs(gaussian_blur(spot, size)[..., 0] - expected).max() < 1


def test_noise_has_the_variance_that_was_drawn():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = GaussianNoise((30, 30), prob=1.0)(grey, np.random.default_rng(0))
    difference = noisy.astype(float) - 128
    assert abs(difference.var() - 30) < 1 and abs(difference.mean() + 0.5) < 0.1  # truncated
    assert add_noise(grey, np.float32(1000)).min() == 255


@pytest.mark.parametrize(
    "transform",
    [Blur(), MedianBlur(), GaussianBlur(), GaussianNoise(), CoarseDropout(), GridDropout(4, 9)],
    ids=lambda transform: type(transform).__name__,
)
def test_happens_half_of_the_time_and_leaves_the_input_alone(transform):
    before = IMAGE.copy()
    outs = [transform(IMAGE, np.random.default_rng(seed)) for seed in range(400)]
    again = [transform(IMAGE, np.random.default_rng(seed)) for seed in range(400)]
    np.testing.assert_array_equal(outs, again)
    changed = [out is not IMAGE for out in outs]
    assert 150 < sum(changed) < 250
    np.testing.assert_array_equal(IMAGE, before)


def test_holes_larger_than_the_image_are_cut():
    holes = CoarseDropout(2, 2, 90, 90, 90, 90).holes((36, 48), np.random.default_rng(0))
    np.testing.assert_array_equal(holes, [[0, 0, 36, 48]] * 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blur((4, 7)), "Blur: sizes must be two ordered odd numbers"),
        (lambda: MedianBlur((7, 3)), "MedianBlur: sizes must be"),
        (lambda: CoarseDropout(1, 1, 0.4, 8), "min_height and max_height must be positive"),
        (lambda: CoarseDropout(1, 2), "min_holes and max_holes"),
        (lambda: GridDropout(1, 9), "GridDropout: min_unit and max_unit must be"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
