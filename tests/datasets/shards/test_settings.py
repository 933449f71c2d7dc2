import numpy as np
import pytest

from keras_pose.datasets import RandomJitter, ShardSettings, TopdownAugment
from keras_pose.datasets.shards.crops import REACH
from keras_pose.datasets.transforms.crop import crops_of_boxes, to_input
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.geometry import apply_affine


@pytest.mark.parametrize("input_size", [(48, 64), (64, 48)])
def test_no_crop_of_the_recipes_leaves_what_is_stored(people, input_size):
    regions, _ = ShardSettings(input_sizes=(input_size,)).regions(people)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]]) * (np.array(input_size) - 1)
    augment = TopdownAugment()
    for epoch in range(200):
        crops = crops_of_boxes(
            people.boxes, people.keypoints, people.visible, people.image_sizes, 1.25
        )
        crops = augment(crops, people.skeleton, Draws(0, epoch, np.arange(len(people))))
        seen = apply_affine(to_input(crops, input_size)[0], np.tile(corners, (len(people), 1, 1)))
        seen = np.clip(seen, 0, people.image_sizes[:, None] - 1)
        assert (seen >= regions[:, None, :2]).all()
        assert (seen <= regions[:, None, 2:] - 1).all()
    assert REACH >= 2


def test_the_long_side_is_bounded_as_stated(people):
    settings = ShardSettings(input_sizes=((48, 64),), resolution=1.25)
    regions, stored = settings.regions(people)
    assert stored.max() <= 1.25 * (1.5 * np.hypot(48, 64) + 2 * 0.16 * 64 + 8)
    assert (stored <= regions[:, 2:] - regions[:, :2]).all()  # never enlarged
    assert (stored < regions[:, 2:] - regions[:, :2]).any()


def test_without_augmentation_the_padded_box_is_stored(people):
    settings = ShardSettings.of_augment(None, input_sizes=((48, 64),))
    regions, _ = settings.regions(people)
    larger, _ = ShardSettings(input_sizes=((48, 64),)).regions(people)
    assert (regions[:, :2] >= larger[:, :2]).all() and (regions[:, 2:] <= larger[:, 2:]).all()
    assert (regions != larger).any()


@pytest.mark.parametrize(
    ("input_size", "augment", "message"),
    [
        ((96, 128), None, "not of 96x128: prepare them again with --size 96x128"),
        ((48, 48), None, "prepared for inputs of 48x64, not of 48x48"),
        ((48, 64), TopdownAugment(jitter=RandomJitter(rotate_factor=90)), "rotation up to 80"),
        ((48, 64), TopdownAugment(jitter=RandomJitter(scale_factor=(0.5, 2))), "asks for 2:"),
    ],
)
def test_more_than_was_stored_is_refused(input_size, augment, message):
    with pytest.raises(ValueError, match=message):
        ShardSettings(input_sizes=((48, 64),)).check_serves(
            input_size, ShardSettings.of_augment(augment)
        )


@pytest.mark.parametrize(
    "change", [{"input_sizes": ()}, {"input_sizes": ((0, 3),)}, {"quality": 0}, {"scale": -1}]
)
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ShardSettings(**change)
