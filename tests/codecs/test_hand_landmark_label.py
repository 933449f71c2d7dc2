"""Hands: mirrored they are hands of the other side; their scores are their presence."""

import numpy as np
import pytest

from keras_pose.codecs import HandLandmarkLabel

CODEC = HandLandmarkLabel((96, 64))


@pytest.fixture
def outputs():
    """Of one confident left hand and one doubtful right one, with 5 keypoints each."""
    random = np.random.default_rng(0)
    return {
        "coordinates": random.uniform(0, 1, (2, 5, 2)).astype("f4"),
        "depths": random.uniform(-1, 1, (2, 5)).astype("f4"),
        "presence": np.float32([[0.9], [0.2]]),
        "handedness": np.float32([[0.1], [0.7]]),
        "world": random.uniform(-0.1, 0.1, (2, 5, 3)).astype("f4"),
    }


def test_scores_are_the_presence_of_the_hand(outputs, compiled):
    decoded = compiled(CODEC.decode)(outputs)
    expected = outputs["coordinates"] * np.float32([96, 64])
    np.testing.assert_allclose(decoded["keypoints"][:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(decoded["scores"], [[[0.9] * 5], [[0.2] * 5]], rtol=1e-6)


def test_a_mirrored_hand_is_one_of_the_other_side(outputs, compiled):
    flipped = compiled(lambda outputs: CODEC.flip(outputs, np.arange(5)))(outputs)
    x, y = np.split(outputs["coordinates"] * np.float32([96, 64]), 2, axis=-1)
    found = flipped["coordinates"] * np.float32([96, 64])
    np.testing.assert_allclose(found, np.concatenate([95 - x, y], axis=-1), rtol=0, atol=1e-4)
    np.testing.assert_allclose(flipped["handedness"], [[0.9], [0.3]], rtol=1e-6)
    np.testing.assert_array_equal(flipped["world"], outputs["world"] * [-1, 1, 1])
    for same in ("depths", "presence"):
        np.testing.assert_array_equal(flipped[same], outputs[same])


def test_decoding_what_was_encoded_gives_the_keypoints(outputs, compiled):
    keypoints = np.random.default_rng(1).uniform(0, 63, (2, 1, 5, 2)).astype("f4")
    labels = {"keypoints": keypoints, "visible": np.ones((2, 1, 5), "f4")}
    targets = compiled(CODEC.encode)(labels)
    decoded = compiled(CODEC.decode)(outputs | {"coordinates": targets["coordinates"]})
    np.testing.assert_allclose(decoded["keypoints"], keypoints, rtol=0, atol=1e-4)
