import json
import math

import numpy as np
import pytest

from keras_pose.datasets import RandomFlip, RandomHalfBody, RandomJitter, TopdownAugment
from keras_pose.datasets.transforms.crop import Crops
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.skeleton import Skeleton

COCO = Skeleton.load("coco")
MANY = 20_000
DRAWS = Draws(seed=0, epoch=0, rows=range(MANY))


def people(count=MANY, visible=None):
    points = np.random.default_rng(0).uniform(10, 90, (17, 2)).astype(np.float32)
    visible = np.ones(17, np.float32) if visible is None else visible
    return Crops(
        np.tile(points, (count, 1, 1)),
        np.tile(visible, (count, 1)),
        np.full((count, 2), 50, np.float32),
        np.full((count, 2), 80, np.float32),
        np.full((count, 2), 100),
    )


@pytest.fixture(scope="module")
def published(golden):
    return json.loads((golden / "transforms" / "distributions.json").read_text())


def assert_same_share(ours, theirs, their_count):
    """Two shares of independent draws, within four standard errors of their difference."""
    error = math.sqrt(max(theirs * (1 - theirs), 1e-6) * (1 / MANY + 1 / their_count))
    assert abs(ours - theirs) <= 4 * error


def assert_same_distribution(ours, theirs):
    """Mean and spread, within four standard errors of the difference."""
    count = 1 / len(ours) + 1 / theirs["n"]
    assert abs(ours.mean() - theirs["mean"]) <= 4 * theirs["std"] * math.sqrt(count)
    # standard error of a standard deviation, from the draws' fourth moment
    centered = (ours - ours.mean()) / ours.std()
    kurtosis = (centered**4).mean() - 1
    assert abs(ours.std() - theirs["std"]) <= 4 * theirs["std"] * math.sqrt(kurtosis * count / 4)
    low, high = theirs["quantiles"]["0"], theirs["quantiles"]["1"]
    reach = 0.02 * (high - low)
    assert low - reach < ours.min() and ours.max() < high + reach


def case(name):
    """Ids of the tests of a stored distribution, and its settings."""
    return lambda setting: f"transforms/distributions/{name}/{setting}"


FLIPS = {
    "default": RandomFlip(0.5),
    "prob1": RandomFlip(1.0),
    "list_probs_02_03": RandomFlip((0.2, 0.3), ("horizontal", "vertical")),
    "three_dirs_prob05": RandomFlip(0.5, ("horizontal", "vertical", "diagonal")),
}


@pytest.mark.parity
@pytest.mark.parametrize("recipe", FLIPS, ids=case("RandomFlip"))
def test_flip_is_drawn_as_published(published, recipe):
    theirs = published["RandomFlip"]
    mirror = FLIPS[recipe](people(), COCO, DRAWS).mirror
    x, y = mirror[:, 0, 0] < 0, mirror[:, 1, 1] < 0
    ours = {"None": ~x & ~y, "horizontal": x & ~y, "vertical": ~x & y, "diagonal": x & y}
    assert set(ours) == set(theirs["probabilities"][recipe])
    for direction, share in theirs["probabilities"][recipe].items():
        assert_same_share(ours[direction].mean(), share, theirs["draws"])


def test_flip_that_never_happens_changes_nothing():
    crops = people(100)
    assert RandomFlip(0.0)(crops, COCO, Draws(0, 0, range(100))) is crops


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0.2, 0.3, 0.1), ("horizontal", "vertical")), "3 probabilities for 2 directions"),
        ((1.5,), "whose sum is 0..1, got 1.5"),
        ((-0.5,), "whose sum is 0..1"),
    ],
)
def test_flip_checks_its_probabilities(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomFlip(*arguments)


@pytest.mark.parity
@pytest.mark.parametrize(
    "who",
    ["all_visible", "eight_visible", "lower_plus3", "upper_only"],
    ids=case("RandomHalfBody"),
)
def test_half_body_is_drawn_as_published(published, who):
    theirs = published["RandomHalfBody"]
    case = theirs["probabilities"][who]
    visible = np.zeros(17, np.float32)
    visible[case["visible"]] = 1
    crops = people(visible=visible)
    drawn = RandomHalfBody()(crops, COCO, DRAWS)
    upper = crops.keypoints[0, [i for i in case["visible"] if i in COCO.upper_body]].mean(0)
    none = (drawn.scale == crops.scale).all(axis=-1)
    is_upper = ~none & np.isclose(drawn.center, upper).all(axis=-1)
    ours = {"none": none, "upper": is_upper, "lower": ~none & ~is_upper}
    for half, happened in ours.items():
        assert_same_share(happened.mean(), case[half], theirs["draws"])


def test_half_body_leaves_skeletons_without_halves_alone():
    mouse = Skeleton("mouse", [f"p{i}" for i in range(17)])
    crops = people(20)
    assert RandomHalfBody(prob=1.0)(crops, mouse, Draws(0, 0, range(20))) is crops


@pytest.mark.parity
@pytest.mark.parametrize(
    "stored", ["RandomBBoxTransform"], ids="transforms/distributions/{}".format
)
def test_jitter_is_drawn_as_published(published, stored):
    recipes = published[stored]["recipes"]
    assert len(recipes) >= 3
    for theirs in recipes.values():
        jittered = RandomJitter(**theirs["args"])(people(), COCO, DRAWS)
        offsets, scales = (jittered.center - 50) / 80, jittered.scale[:, 0] / 80
        shifted, turned = (offsets != 0).any(axis=1), jittered.rotation != 0
        draws = published[stored]["draws"]
        if theirs["offset_x_when_shifted"] is None:
            assert not shifted.any()
        else:
            assert_same_share(shifted.mean(), theirs["prob_shift"], draws)
            for axis, name in enumerate("xy"):
                ours = offsets[shifted, axis]
                assert_same_distribution(ours, theirs[f"offset_{name}_when_shifted"])
        assert_same_share(turned.mean(), theirs["prob_rotate"], draws)
        assert_same_distribution(jittered.rotation[turned], theirs["rotate_deg_when_rotated"])
        assert_same_distribution(scales, theirs["scale"])


@pytest.mark.parity
@pytest.mark.parametrize(
    "stored", ["truncated_normal_-1_1"], ids="transforms/distributions/{}".format
)
def test_truncated_normal_is_that_of_the_reference(published, stored):
    assert_same_distribution(DRAWS.truncated_normal("x"), published[stored])


def test_steps_can_be_left_out():
    nothing = TopdownAugment(flip=None, half_body=None, jitter=None)
    crops = people(3)
    assert nothing(crops, COCO, Draws(0, 0, range(3))) is crops


def test_same_draws_make_the_same_crops():
    one, same = (TopdownAugment()(people(9), COCO, Draws(7, 0, range(9))) for _ in range(2))
    for field in ("center", "scale", "rotation", "keypoints"):
        np.testing.assert_array_equal(getattr(one, field), getattr(same, field))


def test_pixels_change_one_after_the_other_with_draws_of_the_row():
    image = np.zeros((2, 2, 3), np.uint8)
    add = lambda image, rng: image + rng.integers(1, 9, dtype=np.uint8)  # noqa: E731
    double = lambda image, rng: 2 * image  # noqa: E731
    augment = TopdownAugment(pixels=(add, double))
    found = [augment.change_pixels(image, Draws(0, 0, range(20)), i)[0, 0, 0] for i in range(20)]
    assert all(value % 2 == 0 for value in found) and len(set(found)) > 3
    assert augment.change_pixels(image, Draws(0, 0, [7]), 0)[0, 0, 0] == found[7]
    assert TopdownAugment().change_pixels(image, Draws(0, 0, [7]), 0) is image


def test_one_transform_of_pixels_is_still_a_tuple():
    with pytest.raises(ValueError, match="pixels must be a tuple of transforms"):
        TopdownAugment(pixels=lambda image, rng: image)
