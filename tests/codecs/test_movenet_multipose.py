"""MoveNet MultiPose's decoding of maps whose people are known; the real network has its goldens."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.codecs import MoveNetMultiPoseCodec

HEIGHT, WIDTH, KEYPOINTS = 24, 32, 2
# Column, row and logit of people's centres; their keypoints lie 2 cells to either side.
PEOPLE = [(6, 6, 1.0), (24, 8, 3.0), (8, 18, 2.0), (22, 18, -1.0)]


@pytest.fixture
def maps():
    def make(people):
        channels = {
            "center": 1,
            "heatmaps": KEYPOINTS,
            "box_sizes": 2,
            "box_offsets": 2,
            "displacements": 2 * KEYPOINTS,
            "offsets": 2 * KEYPOINTS,
        }
        found = {n: np.zeros((1, HEIGHT, WIDTH, c), np.float32) for n, c in channels.items()}
        found["center"] -= 9
        found["heatmaps"] -= 9
        found["offsets"][..., :] = (0.25, 0.5, 0.25, 0.5)
        for x, y, logit in people:
            found["center"][0, y, x] = logit
            found["box_sizes"][0, y, x] = (4, 8)
            found["displacements"][0, y, x] = (0, -2, 0, 2)
            for k, shift in enumerate((-2, 2)):
                found["heatmaps"][0, y, x + shift, k] = 2
        return {name: ops.convert_to_tensor(values) for name, values in found.items()}

    return make


def _decoded(maps, **settings):
    decoded = MoveNetMultiPoseCodec(**settings).decode(maps)
    return {name: ops.convert_to_numpy(values)[0] for name, values in decoded.items()}


def test_people_are_found_with_boxes_and_keypoints(maps):
    found = _decoded(maps(PEOPLE[:2]))
    assert found["keypoints"].shape == (6, KEYPOINTS, 2)
    sure = found["box_scores"] > 0.1
    assert sure.tolist() == [True, True, *4 * [False]]
    # Cells of 4 pixels: x is the column and half a cell, y the row and a quarter.
    np.testing.assert_allclose(found["keypoints"][0], [[90, 33], [106, 33]], atol=1e-4)
    np.testing.assert_allclose(found["boxes"][1], [8, 16, 40, 32], atol=1e-4)
    scores = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(found["scores"][:2], scores, atol=1e-5)
    expected = scores / (1 + np.exp([-3.0, -1.0]))
    np.testing.assert_allclose(found["box_scores"][:2], expected, atol=1e-5)


def test_of_more_people_than_slots_the_weakest_are_left_out(maps):
    found = _decoded(maps(PEOPLE), max_people=2)
    np.testing.assert_allclose(found["boxes"][:, 0], [80, 16], atol=1e-4)


def test_nobody_is_sure_where_nobody_is(maps):
    assert _decoded(maps([]))["box_scores"].max() == 0


def test_keypoints_outside_the_box_do_not_count(maps):
    outputs = {name: ops.convert_to_numpy(values).copy() for name, values in maps(PEOPLE).items()}
    outputs["heatmaps"][0, 8, 14, 0] = 9  # far from the person at (24, 8)
    found = _decoded({name: ops.convert_to_tensor(v) for name, v in outputs.items()})
    np.testing.assert_allclose(found["keypoints"][0, 0], [90, 33], atol=1e-4)


def test_a_mirrored_input_gives_mirrored_people(maps):
    codec, outputs = MoveNetMultiPoseCodec(), maps(PEOPLE[:2])
    flipped = codec.flip(outputs, [1, 0])
    found = ops.convert_to_numpy(codec.decode(flipped)["keypoints"])[0, :2]
    expected = _decoded(outputs)["keypoints"][:2, ::-1] * [-1, 1] + [4 * WIDTH - 1, 0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_config_gives_the_codec_back():
    config = keras.saving.serialize_keras_object(MoveNetMultiPoseCodec(3, 8))
    copy = keras.saving.deserialize_keras_object(config)
    assert (copy.max_people, copy.stride) == (3, 8)


def test_no_slots_are_refused():
    with pytest.raises(ValueError, match="max_people must be at least 1, got 0"):
        MoveNetMultiPoseCodec(0)
