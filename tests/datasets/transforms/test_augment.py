import json

import numpy as np
import pytest

from keras_pose.datasets import RandomFlip, RandomHalfBody, RandomJitter, TopdownAugment
from keras_pose.datasets.transforms.augment import truncated_normal
from keras_pose.datasets.transforms.crop import Crop
from keras_pose.skeleton import Skeleton

COCO = Skeleton.load("coco")


def person(visible=None):
    points = np.random.default_rng(0).uniform(10, 90, (17, 2)).astype(np.float32)
    visible = np.ones(17, np.float32) if visible is None else visible
    return Crop(points, visible, np.full(2, 50, np.float32), np.full(2, 80, np.float32), (100, 100))


@pytest.fixture(scope="module")
def published(golden):
    return json.loads((golden / "transforms" / "distributions.json").read_text())


def test_truncated_normal_is_cut_off_not_clipped():
    rng = np.random.default_rng(0)
    draws = np.concatenate([truncated_normal(rng, 4) for _ in range(5000)])
    assert np.abs(draws).max() <= 1
    assert abs(draws.mean()) < 4 * 0.54 / np.sqrt(len(draws))
    assert abs(draws.std() - 0.5396) < 0.012
    assert abs((np.abs(draws) < 0.5).mean() - 0.5609) < 4 * 0.5 / np.sqrt(len(draws))


def test_flip_happens_as_often_as_asked():
    rng = np.random.default_rng(0)
    crop = person()
    flipped = [RandomFlip(0.5)(crop, COCO, rng).mirror is not None for _ in range(2000)]
    assert abs(np.mean(flipped) - 0.5) < 4 * 0.5 / np.sqrt(2000)
    assert RandomFlip(0.0)(crop, COCO, rng) is crop
    assert RandomFlip(1.0)(crop, COCO, rng) is not crop


def test_half_body_is_drawn_as_published(published):
    rng = np.random.default_rng(0)
    for case in published["RandomHalfBody"]["probabilities"].values():
        visible = np.zeros(17, np.float32)
        visible[case["visible"]] = 1
        crop = person(visible)
        upper = crop.keypoints[[i for i in case["visible"] if i in COCO.upper_body]].mean(0)
        counts = {"none": 0, "upper": 0, "lower": 0}
        for _ in range(2000):
            drawn = RandomHalfBody()(crop, COCO, rng)
            half = "none"
            if drawn is not crop:
                half = "upper" if np.allclose(drawn.center, upper) else "lower"
            counts[half] += 1
        for half, count in counts.items():
            assert abs(count / 2000 - case[half]) < 4 * 0.46 / np.sqrt(2000) + 0.005


def test_half_body_leaves_skeletons_without_halves_alone():
    mouse = Skeleton("mouse", [f"p{i}" for i in range(17)])
    crop, rng = person(), np.random.default_rng(0)
    assert all(RandomHalfBody(prob=1.0)(crop, mouse, rng) is crop for _ in range(5))


def test_jitter_is_drawn_as_published(published):
    expected = published["RandomBBoxTransform"]["recipes"]["default"]
    rng = np.random.default_rng(0)
    jitter = RandomJitter()
    draws = [jitter.amounts(truncated_normal(rng, 4), rng.uniform(size=3)) for _ in range(6000)]
    offsets = np.array([offset for offset, _, _ in draws])
    rotations = np.array([rotation for _, _, rotation in draws])
    scales = np.array([scale for _, scale, _ in draws])
    shifted, turned = (offsets != 0).any(axis=1), rotations != 0
    error = 4 * 0.5 / np.sqrt(len(draws))
    assert abs(shifted.mean() - expected["prob_shift"]) < error + 0.01
    assert abs(turned.mean() - expected["prob_rotate"]) < error + 0.01
    theirs = expected["offset_x_when_shifted"]
    assert abs(offsets[shifted, 0].std() - theirs["std"]) < 0.006
    assert abs(rotations[turned].std() - expected["rotate_deg_when_rotated"]["std"]) < 2
    assert 0.5 <= scales.min() < 0.53 and 1.47 < scales.max() <= 1.5


def test_steps_can_be_left_out():
    nothing = TopdownAugment(flip=None, half_body=None, jitter=None)
    crop = person()
    assert nothing(crop, COCO, np.random.default_rng(0)) is crop


def test_same_draws_make_the_same_crop():
    one, same = (TopdownAugment()(person(), COCO, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.center, same.center)
    np.testing.assert_array_equal(one.keypoints, same.keypoints)
    assert one.rotation == same.rotation
