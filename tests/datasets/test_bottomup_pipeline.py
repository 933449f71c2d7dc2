import warnings
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_pose.datasets.batch_resize import RandomBatchSize
from keras_pose.datasets.bottomup_pipeline import bottomup_dataset
from keras_pose.datasets.bottomup_scenes import BottomupScenes
from keras_pose.datasets.damaged import DamagedImagesError
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.transforms.bottomup import (
    BottomupAugment,
    FilterObjects,
    RandomAffine,
    RandomSceneFlip,
)
from keras_pose.datasets.transforms.mosaic import MixUp, Mosaic
from keras_pose.datasets.transforms.schedule import AugmentSchedule
from keras_pose.geometry import apply_affine
from keras_pose.skeleton import Skeleton

MOUSE = Skeleton("mouse", ["nose", "left_ear", "right_ear"], swaps=[("left_ear", "right_ear")])
STRONG = BottomupAugment(
    (
        Mosaic(),
        RandomAffine("perspective", clip=True, distribution="uniform", fill=114),
        MixUp(),
        RandomSceneFlip(),
        FilterObjects((1, 1)),
    ),
)


@pytest.fixture
def mice(tmp_path):
    """Five images of 2, 3, 0, 1 and 1 mice; the last has a region to ignore."""
    rng = np.random.default_rng(0)
    sizes = [(60, 50), (50, 60), (64, 48), (60, 50), (60, 50)]
    paths = [str(tmp_path / f"{i}.png") for i in range(5)]
    for path, (width, height) in zip(paths, sizes, strict=True):
        cv2.imwrite(path, rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    which = [0, 0, 1, 1, 1, 3, 4]
    return KeypointDataset(
        MOUSE,
        [paths[i] for i in which],
        which,
        [sizes[i] for i in which],
        np.tile([[5.0, 5, 40, 45]], (7, 1)) + rng.uniform(0, 4, (7, 4)),
        rng.uniform(8, 40, (7, 3, 2)),
        np.ones((7, 3)),
        name="mice",
        images={"paths": paths, "ids": range(5), "sizes": sizes},
        ignored={4: [[0.0, 0, 30, 0, 30, 50, 0, 50]]},
    )


def batches_of(*arguments, **settings):
    return list(bottomup_dataset(*arguments, **settings).as_numpy_iterator())


def test_evaluation_takes_all_images_whole(mice):
    (images, labels), (_, rest) = batches_of(mice, input_size=(64, 64), batch_size=4)
    assert images.shape == (4, 64, 64, 3) and len(rest["ids"]) == 1
    assert labels["image_ids"].tolist() == [0, 1, 2, 3]
    assert labels["objects"].sum(axis=1).tolist() == [2, 3, 0, 1]
    assert labels["ids"][:, :4].tolist() == [[1, 2, 0, 0], [3, 4, 5, 0], [0] * 4, [6, 0, 0, 0]]
    there = labels["objects"] > 0
    assert (labels["visible"] > 0).all(axis=-1).tolist() == there.tolist()
    back = apply_affine(labels["affine"][:2], labels["keypoints"][:2, :2].reshape(2, -1, 2))
    expected = mice.keypoints[[0, 1, 2, 3]].reshape(2, -1, 2)
    np.testing.assert_allclose(back, expected, atol=1e-3)
    scale = np.linalg.det(labels["affine"][0, :, :2])
    np.testing.assert_allclose(labels["areas"][0, :2] * scale, mice.areas[:2], rtol=1e-4)


def test_training_takes_images_with_objects(mice):
    train = bottomup_dataset(mice, input_size=(64, 64), batch_size=2, training=True)
    assert len(train) == 2
    images, labels = train.element_spec
    assert images.shape.as_list() == [2, 64, 64, 3]
    assert labels["keypoints"].shape.as_list() == [2, 30, 3, 2]
    assert not {"ids", "image_ids"} & set(labels)
    assert sum(labels["objects"].sum() for _, labels in train.as_numpy_iterator()) > 0


def test_growing_inputs_are_padded_in_a_batch(mice):
    batches = bottomup_dataset(
        mice, input_size=(64, 64), batch_size=2, resize_mode="expand", size_factor=16, masks=4
    )
    images, labels = next(batches.as_numpy_iterator())
    assert images.shape == (2, 80, 80, 3) and labels["masks"].shape == (2, 20, 20)
    assert not images[0, 64:].any() and not images[1, :, 64:].any()


def test_masks_leave_ignored_regions_out(mice):
    _, labels = batches_of(mice, input_size=(64, 64), batch_size=5, masks=4)[0]
    masks = labels["masks"]
    assert masks.shape == (5, 16, 16)
    assert not masks[4, :, :7].any() and masks[4, 3:12, 9:].all()
    assert masks[0, 3:12].all()
    _, outside = batches_of(mice, input_size=(64, 64), batch_size=5, masks=4, mask_outside=True)[0]
    assert outside["masks"][:4].all()


def test_largest_objects_are_kept(mice):
    _, labels = batches_of(mice, input_size=(64, 64), batch_size=5, max_objects=2)[0]
    kept = np.sort(2 + np.argsort(-mice.areas[2:5])[:2]) + 1
    assert labels["ids"][1].tolist() == kept.tolist()


@pytest.mark.parametrize("augment", [BottomupAugment(), STRONG], ids=["plain", "strong"])
def test_same_seed_gives_same_batches_whatever_the_workers(mice, augment):
    settings = dict(input_size=(64, 64), batch_size=2, training=True, augment=augment, seed=3)
    alone = bottomup_dataset(mice, workers=1, **settings)
    together = bottomup_dataset(mice, workers=4, cache_bytes=1, **settings)
    differ = False
    for _ in range(2):  # two epochs
        epoch = list(alone.as_numpy_iterator())
        for (a, b), (c, d) in zip(epoch, together.as_numpy_iterator(), strict=True):
            np.testing.assert_array_equal(a, c)
            for key, value in b.items():
                np.testing.assert_array_equal(value, d[key])
        other = bottomup_dataset(mice, **{**settings, "seed": 4})
        differ |= not np.array_equal(epoch[0][0], next(other.as_numpy_iterator())[0])
    assert differ


def test_an_image_depends_on_the_epoch_and_nothing_else(mice):
    scenes = BottomupScenes(mice, (64, 64), augment=STRONG, seed=1)
    image, scene = scenes.sample(1, epoch=2)
    together, labels = scenes.batch([0, 1, 3], epoch=2)
    np.testing.assert_array_equal(together[1], image)
    np.testing.assert_array_equal(labels["boxes"][1, : len(scene)], scene.boxes)
    assert not np.array_equal(scenes.sample(1, epoch=3)[0], image)


def test_schedule_changes_the_augmentation(mice):
    schedule = AugmentSchedule(STRONG, {1: None})
    train = bottomup_dataset(
        mice, input_size=(64, 64), batch_size=4, training=True, augment=schedule
    )
    strong, plain = (next(train.as_numpy_iterator()) for _ in range(2))
    assert np.all(plain[1]["affine"][:, 0, 1] == 0)
    assert not np.all(strong[1]["affine"][:, 0, 1] == 0)


def test_resize_changes_whole_batches(mice):
    batches = batches_of(
        mice,
        input_size=(64, 64),
        batch_size=1,
        training=True,
        masks=4,
        resize=RandomBatchSize(32, 96, 16, interval=2),
    )
    sides = [images.shape[1] for images, _ in batches]
    assert sides[:2] == [64, 64] and set(sides) <= {32, 48, 64, 80, 96}
    for images, labels in batches:
        assert labels["masks"].shape[1] == images.shape[1] // 4


def test_estimator_says_how_to_resize(mice):
    model = SimpleNamespace(input_size=(48, 32), skeleton=MOUSE, fill=7)
    (images, _), *_ = batches_of(mice, model, batch_size=1)
    assert images.shape == (1, 32, 48, 3) and (images[0, :, 0] == 7).all()


def damage(dataset, row):
    with open(dataset.images.paths[row], "wb") as file:
        file.write(b"no picture")


def test_damaged_images_become_empty_and_are_named(mice):
    damage(mice, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = batches_of(mice, input_size=(64, 64), batch_size=4, training=True, augment=STRONG)
    assert any("1.png" in str(warning.message) for warning in caught)
    assert len(batches) == 1
    with pytest.warns(UserWarning, match="could not be read"):
        ((images, labels),) = batches_of(mice, input_size=(64, 64), batch_size=5)
    assert labels["objects"].sum(axis=1).tolist() == [2, 0, 0, 1, 1]
    assert not images[1].any()


def test_too_many_damaged_images_stop_the_run(mice):
    damage(mice, 1)
    scenes = BottomupScenes(mice, (64, 64))
    with pytest.raises(ValueError, match=r"1\.png"):
        scenes.batch([0, 1])
    batches = bottomup_dataset(mice, input_size=(64, 64), max_damaged=0.0)
    with pytest.raises(Exception, match="cannot be read"):
        list(batches.as_numpy_iterator())
    assert issubclass(DamagedImagesError, ValueError)


def test_another_size_than_annotated_is_damage(mice):
    mice.images = replace(mice.images, sizes=mice.images.sizes[[1, 0, 2, 3, 4]])
    with pytest.raises(ValueError, match="pixels"):
        BottomupScenes(mice, (64, 64)).sample(0)


def test_sizes_that_no_file_says_come_from_the_pictures(mice):
    expected, _ = BottomupScenes(mice, (64, 64), augment=STRONG).batch([0, 1])
    mice.images = replace(mice.images, sizes=np.zeros((5, 2)))
    images, _ = BottomupScenes(mice, (64, 64), augment=STRONG).batch([0, 1])
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "input_size"),
        ({"input_size": (64, 64), "batch_size": 0}, "batch_size"),
        ({"input_size": (64, 64), "max_objects": 0}, "max_objects"),
        ({"input_size": (64, 64), "masks": 5}, "masks must divide"),
        ({"input_size": (64, 64), "skeleton": Skeleton("rat", ["nose"])}, "keypoints"),
    ],
)
def test_bad_arguments_are_refused(mice, settings, message):
    with pytest.raises(ValueError, match=message):
        bottomup_dataset(mice, **settings)


def test_empty_and_missing(mice, tmp_path):
    with pytest.raises(ValueError, match="is empty"):
        bottomup_dataset(mice[[]], input_size=(64, 64))
    (tmp_path / "2.png").unlink()
    assert len(bottomup_dataset(mice, input_size=(64, 64), training=True)) == 1
    with pytest.raises(FileNotFoundError, match=r"2\.png"):
        bottomup_dataset(mice, input_size=(64, 64))
