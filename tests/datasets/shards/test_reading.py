from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MoveNetCodec
from keras_pose.datasets import (
    RandomColor,
    RandomJitter,
    ShardSettings,
    TopdownAugment,
    TopdownCrops,
    prepare_shards,
    prepared_dataset,
    topdown_dataset,
)
from keras_pose.datasets.transforms.schedule import AugmentSchedule
from keras_pose.heads import MoveNetHead

SIZE = (48, 64)
SETTINGS = ShardSettings(input_sizes=(SIZE,))


def batches(shards, **arguments):
    arguments = {"input_size": SIZE, "batch_size": 4, **arguments}
    return list(prepared_dataset(shards, **arguments).as_numpy_iterator())


@pytest.mark.parametrize("training", [False, True])
def test_labels_are_those_of_the_photos_and_pixels_are_close(people, shards, training):
    augment = TopdownAugment()
    crops = TopdownCrops(people, SIZE, augment=augment if training else None, seed=3)
    found = batches(shards, training=training, seed=3, drop_remainder=False, batch_size=16)
    images, labels = found[0]
    if training:
        # nothing says which objects these are: look for equal labels
        expected, theirs = crops.batch(np.arange(16), 0, evaluation=False)
        distance = np.abs(labels["affine"][:, None] - theirs["affine"][None]).max((2, 3))
        rows = distance.argmin(axis=1)
    else:
        rows = labels["ids"] - 100
    expected, theirs = crops.batch(rows, 0, evaluation=not training)
    assert sorted(rows) == list(range(16)) and set(labels) == set(theirs)
    for key in labels:
        np.testing.assert_allclose(labels[key], theirs[key], atol=1e-3)
    difference = np.abs(images.astype(int) - expected)
    assert difference.mean() < 4 and difference.mean((1, 2, 3)).max() < 8


def test_pixels_lie_where_those_of_the_photo_lie(people, tmp_path):
    """Moved crops of the photos are less like the stored ones, alike to either side."""
    settings = ShardSettings(input_sizes=(SIZE,), resolution=10, quality=100)
    (images, labels), *_ = batches(prepare_shards(people, tmp_path / "s", settings), batch_size=16)
    crops, rows = TopdownCrops(people, SIZE), labels["ids"] - 100

    def difference(axis, shift):
        moved = labels["affine"].astype(np.float64)
        moved[:, :, 2] += shift * moved[:, :, axis]
        pixels, _ = crops._warp(rows, moved, 0)
        return ((images[:, 8:-8, 8:-8].astype(float) - pixels[:, 8:-8, 8:-8]) ** 2).mean()

    for axis in (0, 1):
        before, here, after = (difference(axis, shift) for shift in (-0.25, 0.0, 0.25))
        best = 0.125 * (before - after) / (before + after - 2 * here)
        assert here < min(before, after) and abs(best) < 0.02


def test_the_same_batches_however_many_make_them(shards):
    augment = TopdownAugment(pixels=(RandomColor(prob=1),))
    for first, second in zip(
        batches(shards, training=True, augment=augment, seed=1, workers=1),
        batches(shards, training=True, augment=augment, seed=1, workers=4),
        strict=True,
    ):
        np.testing.assert_array_equal(first[0], second[0])
        for key in first[1]:
            np.testing.assert_array_equal(first[1][key], second[1][key])


def test_epochs_differ_and_go_on_where_they_stopped(shards):
    data = prepared_dataset(shards, input_size=SIZE, batch_size=4, training=True)
    first, second = list(data.as_numpy_iterator()), list(data.as_numpy_iterator())
    assert any((a[0] != b[0]).any() for a, b in zip(first, second, strict=True))
    again = batches(shards, training=True, first_epoch=1)
    for a, b in zip(second, again, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_the_global_seed_of_tensorflow_does_not_matter(shards):
    before = batches(shards, training=True, seed=2)
    keras.utils.set_random_seed(7)
    for a, b in zip(before, batches(shards, training=True, seed=2), strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_every_object_comes_once_an_epoch_in_random_order(shards):
    found = [
        np.concatenate(
            [y["ids"] for _, y in batches(shards, shuffle=True, seed=seed, open_shards=2)]
        )
        for seed in (0, 1)
    ]
    for ids in found:
        assert sorted(ids) == list(range(100, 116))
    assert found[0].tolist() != found[1].tolist()


def test_shapes_and_number_of_batches_are_static(shards):
    data = prepared_dataset(
        shards, input_size=SIZE, batch_size=5, training=True, joint_weights=True
    )
    images, labels = data.element_spec
    assert images.shape.as_list() == [5, 64, 48, 3] and len(data) == 3
    assert labels["keypoints"].shape.as_list() == [5, 1, 17, 2] and "weights" in labels
    assert len(prepared_dataset(shards, input_size=SIZE, batch_size=5)) == 4
    assert len(list(data.repeat(1))) == 3


def test_keys_are_those_of_photos(people, shards):
    for training in (False, True):
        first = prepared_dataset(shards, input_size=SIZE, training=training, batch_size=8)
        second = topdown_dataset(people, input_size=SIZE, training=training, batch_size=8)
        assert first.element_spec == second.element_spec


def test_a_schedule_is_followed(shards):
    schedule = AugmentSchedule(TopdownAugment(), {1: None})
    plain = batches(shards, training=True, augment=None, first_epoch=1)
    later = batches(shards, training=True, augment=schedule, first_epoch=1)
    for a, b in zip(plain, later, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def small_estimator(skeleton):
    keras.utils.set_random_seed(0)
    head = MoveNetHead(17, MoveNetCodec((64, 64), (16, 16)), hidden=8)
    backbone = ResNet(18, out_indices=(0,), base_channels=8)
    return keras_pose.TopdownEstimator(backbone, head, skeleton=skeleton, input_size=(64, 64))


def test_they_train_the_same_model(people, tmp_path):
    """All objects are one batch, so that their order does not matter."""
    shards = prepare_shards(people, tmp_path / "s", ShardSettings(input_sizes=((64, 64),)))
    curves = []
    for make, source in ((topdown_dataset, people), (prepared_dataset, shards)):
        estimator = small_estimator(people.skeleton)
        estimator.compile(keras.optimizers.Adam(1e-2))
        data = make(source, estimator, batch_size=16, training=True)
        curves.append(estimator.fit(data, epochs=8, verbose=0).history["loss"])
    direct, prepared = map(np.array, curves)
    assert direct[-1] < 0.97 * direct[0]
    np.testing.assert_allclose(prepared, direct, rtol=0.005)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": (96, 128)}, "--size 96x128"),
        ({"input_size": None}, "needs an estimator, or input_size"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"seed": -1}, "seed must be"),
        ({"box_padding": 2.0}, "box_padding up to 1.25, training asks for 2"),
        ({"skeleton": keras_pose.Skeleton("dot", ["dot"])}, "keypoints"),
        (
            {"training": True, "augment": TopdownAugment(jitter=RandomJitter(shift_factor=0.5))},
            "shift up to 0.16",
        ),
    ],
)
def test_what_cannot_be_is_refused(shards, arguments, message):
    with pytest.raises(ValueError, match=message):
        batches(shards, **arguments)


def test_an_estimator_says_what_its_batches_are(shards):
    estimator = SimpleNamespace(
        input_size=SIZE, skeleton=shards.skeleton, box_padding=1.1, udp=True
    )
    images, _ = next(iter(prepared_dataset(shards, estimator, batch_size=2)))
    assert images.shape == (2, 64, 48, 3)
