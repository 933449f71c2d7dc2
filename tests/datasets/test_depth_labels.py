"""Crops with depths, for networks that see poses in space."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_pose.codecs import Hand3DHeatmap, SimCC3DLabel, SimCCLabel
from keras_pose.datasets import (
    KeypointDataset,
    KeypointMapping,
    PoseSequences,
    RandomFlip,
    RandomJitter,
    TopdownAugment,
    frames_dataset,
    topdown_dataset,
)
from keras_pose.datasets.depth_labels import DepthLabels
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.geometry import Camera
from keras_pose.skeleton import Skeleton

SIZE = (32, 48)
HANDS = Skeleton("hands", ["right_tip", "right_wrist", "left_tip", "left_wrist"])
CODEC = Hand3DHeatmap(SIZE, (8, 12))


def _estimator(codec):
    head = SimpleNamespace(codec=codec)
    return SimpleNamespace(head=head, input_size=SIZE, skeleton=HANDS, box_padding=1.25, udp=False)


@pytest.fixture
def pictures(tmp_path):
    """A data set of three pictures of hands."""
    random = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    for path in paths:
        cv2.imwrite(path, random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    return KeypointDataset(
        HANDS,
        paths,
        [1, 2, 3],
        [[80, 60]] * 3,
        [[10, 5, 50, 55]] * 3,
        random.uniform(15, 45, (3, 4, 2)),
        np.ones((3, 4)),
        extras={
            "joint_depths": random.uniform(-100, 100, (3, 4)),
            "hand_type": [[1, 0], [0, 1], [1, 1]],
            "root_depth": [10.0, 20.0, 30.0],
            "keypoints_3d": random.uniform(3, 4, (3, 4, 3)),
        },
    )


def _crops(pictures, codec, augment=None):
    depths = DepthLabels(pictures, codec, HANDS)
    return TopdownCrops(pictures, SIZE, augment=augment, depths=depths)


def test_keypoints_have_depths(pictures):
    rows = np.array([2, 0])
    plain = TopdownCrops(pictures, SIZE).batch(rows)[1]["keypoints"]
    for codec, expected in (
        (CODEC, pictures.extras["joint_depths"]),
        (SimCC3DLabel(SIZE), pictures.extras["keypoints_3d"][..., 2]),
    ):
        labels = _crops(pictures, codec).batch(rows)[1]
        np.testing.assert_array_equal(labels["keypoints"][..., :2], plain)
        np.testing.assert_allclose(labels["keypoints"][:, 0, :, 2], expected[rows], rtol=1e-6)


def test_mirrored_hands_change_sides(pictures):
    mirror = TopdownAugment(RandomFlip(1.0), half_body=None, jitter=None)
    rows, flips = np.arange(3), HANDS.flip_indices
    labels = _crops(pictures, CODEC, mirror).batch(rows)[1]
    depths = np.float32(pictures.extras["joint_depths"])[:, flips]
    np.testing.assert_array_equal(labels["keypoints"][:, 0, :, 2], depths)
    np.testing.assert_array_equal(labels["hand_type"], [[0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(labels["root_depth"], [-10, -20, -30])


def test_turned_hands_keep_their_depths(pictures):
    turn = RandomJitter(rotate_factor=80, rotate_prob=1.0)
    both = TopdownAugment(RandomFlip(1.0, "diagonal"), half_body=None, jitter=turn)
    labels = _crops(pictures, CODEC, both).batch(np.arange(3))[1]
    depths = np.float32(pictures.extras["joint_depths"])
    np.testing.assert_array_equal(labels["keypoints"][:, 0, :, 2], depths)
    np.testing.assert_array_equal(labels["root_depth"], [10, 20, 30])


def test_batches_for_fit(pictures):
    batches = topdown_dataset(pictures, _estimator(CODEC), batch_size=3, training=True)
    shapes = {key: tuple(spec.shape) for key, spec in batches.element_spec[1].items()}
    assert shapes["keypoints"] == (3, 1, 4, 3)
    assert shapes["hand_type"] == (3, 2) and shapes["root_depth"] == (3,)
    _, labels = next(iter(batches))
    assert {key: value.shape for key, value in labels.items()} == shapes


def test_networks_without_depths_get_none(pictures):
    assert DepthLabels.of(pictures, _estimator(SimCCLabel(SIZE)), HANDS) is None
    assert DepthLabels.of(pictures, None, HANDS) is None


def test_depths_may_be_missing_where_a_codec_can_do_without(pictures):
    pictures.extras = {}
    assert DepthLabels.of(pictures, _estimator(SimCC3DLabel(SIZE)), HANDS) is None
    message = "its extras lack 'joint_depths', which a Hand3DHeatmap learns"
    with pytest.raises(ValueError, match=message):
        DepthLabels.of(pictures, _estimator(CODEC), HANDS)


def _sequences(**changes):
    random = np.random.default_rng(0)
    settings = {
        "visible_3d": np.ones((2, 4)) * [1, 1, 1, 0],
        "image_paths": ["a.png", "b.png"],
        "cameras": [Camera((100, 100), (40, 30), size=(80, 60))],
        "camera_ids": [0, 0],
        "extras": {"boxes": [[10, 5, 50, 55]] * 2},
        **changes,
    }
    points = random.uniform(15, 45, (2, 4, 3))
    return PoseSequences(HANDS, points[..., :2], points, **settings)


def test_frames_of_films_are_pictures_with_depths():
    sequences = _sequences()
    found = frames_dataset(sequences)
    np.testing.assert_array_equal(found.extras["keypoints_3d"], sequences.keypoints_3d)
    np.testing.assert_array_equal(found.image_sizes, [[80, 60]] * 2)
    np.testing.assert_array_equal(found.extras["visible_3d"][:, 3], 0)


def test_frames_of_another_skeleton():
    target = Skeleton("tips", ["left_tip", "right_tip", "nose"])
    found = frames_dataset(_sequences(), target)
    np.testing.assert_array_equal(found.visible, [[1, 1, 0]] * 2)
    mapping = KeypointMapping.from_pairs([(3, 2)], 3)
    found = frames_dataset(_sequences(), target, mapping)
    np.testing.assert_array_equal(found.extras["visible_3d"], 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "mm"}, "depths must be in metres, they are in 'mm'"),
        ({"extras": None}, "every frame needs a box"),
        ({"cameras": [Camera((1, 1), (0, 0))]}, "a camera with the size of the picture"),
    ],
)
def test_frames_that_lack_something_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        frames_dataset(_sequences(**changes))
