"""The batches of a training, from images and from shards."""

import numpy as np
import pytest

from keras_pose import TopdownEstimator
from keras_pose.datasets import ShardSettings, prepare_shards
from keras_pose.datasets.shares import share_of_batches
from keras_pose.training.batching import TrainingBatches, read_data


@pytest.fixture(params=["images", "shards"])
def batches(request, tiny_job, tmp_path):
    job = tiny_job()
    data = read_data(job.train)
    if request.param == "shards":
        settings = ShardSettings(input_sizes=[(32, 32)])
        prepare_shards(data, tmp_path / "shards", settings)
        data = read_data({"shards": str(tmp_path / "shards")})
    estimator = TopdownEstimator.from_preset(tmp_path / "tiny")
    return TrainingBatches(data, job.resolved(), estimator)


def test_the_rest_of_an_epoch_is_that_of_a_whole_one(batches):
    whole = list(batches.stream(3).as_numpy_iterator())
    rest = list(batches.stream(3, skip=1).as_numpy_iterator())
    assert (len(whole), len(rest)) == (4, 3)
    for (images, labels), (same, also) in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels["keypoints"], also["keypoints"])


def test_every_iterator_over_an_endless_stream_begins_with_the_first_epoch(batches):
    once = [images for epoch in (3, 4) for images, _ in batches.stream(epoch).as_numpy_iterator()]
    endless = batches.stream(3, endless=True)
    next(iter(endless))
    for images, (same, _) in zip(once, endless.as_numpy_iterator(), strict=False):
        np.testing.assert_array_equal(images, same)


def test_processes_share_every_batch(batches):
    whole = [images for images, _ in batches.stream(0).as_numpy_iterator()]
    parts = []
    for index in range(2):
        with share_of_batches(index, 2):
            parts.append([images for images, _ in batches.stream(0).as_numpy_iterator()])
    for images, *halves in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(images, np.concatenate(halves))


def test_images_of_a_batch_are_named(tiny_job, tmp_path):
    job = tiny_job({"batch_size": 6, "accumulate": 2})
    estimator = TopdownEstimator.from_preset(tmp_path / "tiny")
    batches = TrainingBatches(read_data(job.train), job.resolved(), estimator)
    assert (batches.batch_size, batches.steps) == (3, 4)
    names = [name for batch in range(5) for name in batches.images(0, batch)]
    assert len(set(names)) == 15
    assert names != [name for batch in range(5) for name in batches.images(1, batch)]
