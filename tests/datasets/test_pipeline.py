import subprocess
import sys
import warnings
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest

from keras_pose.datasets import (
    KeypointDataset,
    RandomColor,
    TopdownAugment,
    TopdownCrops,
    topdown_dataset,
)
from keras_pose.datasets.batches import plain_errors
from keras_pose.datasets.damaged import DamagedImagesError
from keras_pose.datasets.transforms.schedule import AugmentSchedule
from keras_pose.skeleton import Skeleton

MOUSE = Skeleton("mouse", ["nose", "left_ear", "right_ear"])


@pytest.fixture
def mice(tmp_path):
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    for path in paths:
        cv2.imwrite(path, rng.integers(0, 256, (50, 60, 3), dtype=np.uint8))
    boxes = np.tile([[5.0, 5, 40, 45]], (7, 1)) + rng.uniform(0, 4, (7, 4))
    which = [0, 0, 0, 1, 1, 2, 2]
    return KeypointDataset(
        MOUSE,
        [paths[i] for i in which],
        which,
        [[60, 50]] * 7,
        boxes,
        rng.uniform(8, 40, (7, 3, 2)),
        np.ones((7, 3)),
        name="mice",
    )


def ids(batches):
    return [labels["ids"].tolist() for _, labels in batches.as_numpy_iterator()]


def test_batches_are_those_of_the_crops_in_order(mice):
    batches = topdown_dataset(mice, input_size=(24, 32), batch_size=3)
    assert len(batches) == 3
    assert ids(batches) == [[1, 2, 3], [4, 5, 6], [7]]
    images, labels = next(batches.as_numpy_iterator())
    expected, expected_labels = TopdownCrops(mice, (24, 32)).batch(np.arange(3))
    np.testing.assert_array_equal(images, expected)
    assert set(labels) == set(expected_labels)
    for key, value in labels.items():
        np.testing.assert_array_equal(value, expected_labels[key])


def test_shapes_are_static(mice):
    images, labels = topdown_dataset(mice, input_size=(24, 32), batch_size=3).element_spec
    assert images.shape.as_list() == [None, 32, 24, 3] and images.dtype.name == "uint8"
    assert labels["keypoints"].shape.as_list() == [None, 1, 3, 2]
    full, _ = topdown_dataset(mice, input_size=(24, 32), batch_size=3, training=True).element_spec
    assert full.shape.as_list() == [3, 32, 24, 3]


def test_training_drops_the_rest_and_evaluation_keys(mice):
    batches = topdown_dataset(mice, input_size=(24, 32), batch_size=3, training=True)
    assert len(batches) == 2
    assert set(batches.element_spec[1]) == {"keypoints", "visible", "affine"}
    small = topdown_dataset(mice, input_size=(24, 32), batch_size=64, training=True)
    assert len(small) == 1


def test_estimator_says_how_to_crop(mice):
    model = SimpleNamespace(input_size=(24, 32), skeleton=MOUSE, box_padding=1.5, udp=True)
    images, labels = next(topdown_dataset(mice, model, 2).as_numpy_iterator())
    expected = TopdownCrops(mice, (24, 32), MOUSE, 1.5, True).batch(np.arange(2))
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels["affine"], expected[1]["affine"])
    _, labels = next(topdown_dataset(mice, model, 2, udp=False).as_numpy_iterator())
    expected = TopdownCrops(mice, (24, 32), MOUSE, 1.5, False).batch(np.arange(2))
    np.testing.assert_array_equal(labels["affine"], expected[1]["affine"])


def affines(batches):
    return np.concatenate([labels["affine"] for _, labels in batches.as_numpy_iterator()])


def test_every_pass_is_a_new_epoch_and_runs_repeat(mice):
    def make(workers=2, **more):
        return topdown_dataset(
            mice, input_size=(24, 32), batch_size=2, training=True, seed=5, workers=workers, **more
        )

    batches, same = make(), make(workers=1)
    first, second = affines(batches), affines(batches)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(affines(same), first)
    np.testing.assert_array_equal(affines(same), second)
    np.testing.assert_array_equal(affines(make(first_epoch=1)), second)
    endless = make(repeat=True)
    np.testing.assert_array_equal(affines(endless.take(6)), np.concatenate([first, second]))


def everything(batches):
    return [
        array
        for images, labels in batches.as_numpy_iterator()
        for array in (images, *labels.values())
    ]


def test_parallelism_and_company_change_nothing(mice):
    """Pixels too: 1 or 4 workers, a cache or none, and each object as it is alone."""
    pixels = (RandomColor(),)

    def make(**more):
        return topdown_dataset(
            mice,
            input_size=(24, 32),
            training=True,
            augment=TopdownAugment(pixels=pixels),
            seed=3,
            drop_remainder=False,
            **{"batch_size": 2, **more},
        )

    expected = everything(make(workers=1))
    for other in (make(workers=4), make(workers=4, cache_bytes=2**20), make()):
        for ours, theirs in zip(everything(other), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    crops = TopdownCrops(mice, (24, 32), augment=TopdownAugment(pixels=pixels), seed=3)
    order = crops.rows(0, shuffle=True)
    images = np.concatenate([images for images, _ in make(batch_size=5).as_numpy_iterator()])
    for image, row in zip(images, order, strict=True):
        np.testing.assert_array_equal(image, crops.crop(row)[0])


def test_augmentation_changes_at_its_epoch_also_when_training_goes_on(mice):
    schedule = AugmentSchedule(TopdownAugment(), {2: None})

    def make(**more):
        return topdown_dataset(
            mice, None, 7, True, schedule, input_size=(24, 32), shuffle=False, **more
        )

    plain = TopdownCrops(mice, (24, 32)).batch(np.arange(7))[1]["affine"]
    batches, resumed = make(), make(first_epoch=2)
    found = [affines(batches) for _ in range(3)]
    assert not np.allclose(found[0], plain) and not np.allclose(found[1], plain)
    np.testing.assert_array_equal(found[2], plain)
    np.testing.assert_array_equal(affines(resumed), plain)


class Twice(KeypointDataset):
    """The first three objects of an epoch come twice."""

    def epoch_rows(self, epoch, seed):
        return np.array([0, 1, 2, 0, 1, 2, 3 + epoch % 4])


def test_data_set_may_say_what_an_epoch_has(mice):
    mice.__class__ = Twice
    batches = topdown_dataset(mice, input_size=(24, 32), batch_size=7)
    assert ids(batches) == [[1, 2, 3, 1, 2, 3, 4]]
    assert ids(batches) == [[1, 2, 3, 1, 2, 3, 5]]
    train = topdown_dataset(mice, input_size=(24, 32), batch_size=7, training=True, shuffle=False)
    found = affines(train)
    assert len(found) == 7
    assert not np.isclose(found[:3], found[3:6]).all(axis=(1, 2)).any()  # draws of their own


def cut_short(path):
    with open(path, "r+b") as file:
        file.truncate(100)


def test_damaged_image_is_skipped_and_named(mice):
    batches = topdown_dataset(mice, input_size=(24, 32), batch_size=3)
    cut_short(mice.image_paths[0])
    for epoch in range(2):
        with pytest.warns(
            UserWarning, match=rf"mice: 1 of 3 .* epoch {epoch} .*0\.png is a truncated"
        ):
            found = list(batches.as_numpy_iterator())
    (images, labels), (others, other_labels), _ = found
    assert not images.any() and not labels["visible"].any()
    assert others.any(axis=(1, 2, 3)).all() and other_labels["visible"].all()
    assert labels["ids"].tolist() == [1, 2, 3]


def test_sound_images_are_not_mentioned(mice):
    batches = topdown_dataset(mice, input_size=(24, 32), batch_size=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(batches.as_numpy_iterator())


def test_too_many_damaged_images_stop_the_run_with_one_sentence(mice):
    batches = topdown_dataset(mice, input_size=(24, 32), batch_size=3, workers=1)
    cut_short(mice.image_paths[0])
    cut_short(mice.image_paths[6])
    sentence = r"^mice: 2 of 3 images cannot be read, more than the 1 that max_damaged allows, "
    with pytest.raises(DamagedImagesError, match=sentence), plain_errors():
        list(batches)
    strict = topdown_dataset(mice, input_size=(24, 32), batch_size=3, max_damaged=0)
    with pytest.raises(DamagedImagesError, match="more than the 0 that"), plain_errors():
        list(strict)


def test_other_errors_pass_as_they_are():
    with pytest.raises(KeyError), plain_errors():
        raise KeyError("mine")


def test_python_ends_well_while_batches_are_made(mice, tmp_path):
    """TensorFlow's threads would go on calling us, and abort the process."""
    code = f"""
import numpy as np
from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.skeleton import Skeleton
count = 400
data = KeypointDataset(
    Skeleton("mouse", ["a", "b", "c"]), [{mice.image_paths[0]!r}] * count, [0] * count,
    [[60, 50]] * count, [[5, 5, 40, 45]] * count, np.zeros((count, 3, 2)), np.ones((count, 3)))
batches = iter(topdown_dataset(data, input_size=(192, 256), training=True, repeat=True))
for _ in range(3):
    next(batches)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_object_comes_once_an_epoch(mice):
    batches = topdown_dataset(mice, input_size=(24, 32), batch_size=2, shuffle=True)
    one, two = ([i for batch in ids(batches) for i in batch] for _ in range(2))
    assert sorted(one) == sorted(two) == list(range(1, 8)) and one != two


def test_no_augmentation_on_request(mice):
    batches = topdown_dataset(
        mice, input_size=(24, 32), batch_size=7, training=True, augment=None, shuffle=False
    )
    expected = TopdownCrops(mice, (24, 32)).batch(np.arange(7))[1]["affine"]
    np.testing.assert_array_equal(affines(batches), expected)


class KeypointMean(keras.Model):
    """Learns one position per keypoint: enough to see that labels arrive in a training step."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(6)

    def call(self, images):
        pixels = keras.ops.mean(keras.ops.cast(images, "float32"), axis=(1, 2)) / 255
        return keras.ops.reshape(self.dense(pixels), (-1, 1, 3, 2))

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        error = keras.ops.square(y_pred - y["keypoints"])
        return keras.ops.mean(error * keras.ops.expand_dims(y["visible"], -1))


def test_fit_takes_it_under_every_backend(mice):
    model = KeypointMean()
    model.compile(keras.optimizers.Adam(0.5))
    train = topdown_dataset(mice, input_size=(24, 32), batch_size=3, training=True)
    test = topdown_dataset(mice, input_size=(24, 32), batch_size=3)
    history = model.fit(train, validation_data=test, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert model.predict(test, verbose=0).shape == (7, 1, 3, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(), "needs an estimator, or input_size="),
        (dict(input_size=(24, 32), batch_size=0), "batch_size must be an integer of at least 1"),
        (dict(input_size=(24, 32), max_damaged=2), "max_damaged is a share of the images"),
        (dict(input_size=(24, 32), seed=-1), "seed must be an integer of at least 0"),
        (dict(input_size=(24, 32), skeleton=Skeleton.load("coco")), "the model has 17"),
    ],
)
def test_bad_arguments_are_named(mice, arguments, message):
    with pytest.raises(ValueError, match=message):
        topdown_dataset(mice, **arguments)


def test_empty_data_set_is_refused(mice):
    with pytest.raises(ValueError, match="mice is empty"):
        topdown_dataset(mice[:0], input_size=(24, 32))


def test_missing_image_is_found_before_training(mice, tmp_path):
    (tmp_path / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"mice: 1 of 3 images are missing.*1\.png"):
        topdown_dataset(mice, input_size=(24, 32))


def test_augmentation_changes_pixels(mice):
    arguments = dict(input_size=(24, 32), batch_size=7, training=True, shuffle=False)
    plain = next(topdown_dataset(mice, augment=None, **arguments).as_numpy_iterator())[0]
    drawn = next(topdown_dataset(mice, augment=TopdownAugment(), **arguments).as_numpy_iterator())
    assert not np.array_equal(plain, drawn[0])
