import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from keras_pose.datasets.damaged import DamagedImages, DamagedImagesError


def add(counter, count, epoch=0):
    for number in range(count):
        counter.add(epoch, f"{number}.jpg", ValueError(f"{number}.jpg is truncated"))


@pytest.mark.parametrize(
    ("images", "share", "limit"),
    [(1000, 0.01, 10), (100, 0.01, 3), (4, 0.01, 2), (1, 0.01, 0), (1000, 0, 0), (10, 0.5, 5)],
)
def test_limit_is_a_share_but_a_few_are_forgiven(images, share, limit):
    counter = DamagedImages("mice", images, 1, share)
    add(counter, limit)
    with pytest.raises(DamagedImagesError, match=rf"mice: {limit + 1} of {images} images cannot"):
        add(counter, limit + 1)


def test_end_of_the_epoch_names_some():
    counter = DamagedImages("mice", 500, batches=3)
    add(counter, 5, epoch=4)
    add(counter, 5, epoch=4)  # the same again
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counter.end_batch(4)
        counter.end_batch(4)
    with pytest.warns(UserWarning) as caught:
        counter.end_batch(4)
    (message,) = [str(warning.message) for warning in caught]
    assert message == (
        "mice: 5 of 500 images could not be read in epoch 4 and were skipped, for example "
        "0.jpg is truncated; 1.jpg is truncated; 2.jpg is truncated, and 2 more"
    )


def test_epochs_are_counted_apart():
    counter = DamagedImages("mice", 100, batches=1)
    for epoch in range(10):
        add(counter, 1, epoch)
        with pytest.warns(UserWarning, match=f"mice: 1 of 100 .* in epoch {epoch} "):
            counter.end_batch(epoch)


def test_nothing_damaged_nothing_said():
    counter = DamagedImages("mice", 100, batches=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counter.end_batch(0)


def test_epochs_left_early_are_forgotten():
    counter = DamagedImages("mice", 100, batches=2)
    add(counter, 1, epoch=0)
    counter.end_batch(0)
    counter.end_batch(1)
    counter.end_batch(1)
    assert not counter._errors and not counter._done


def test_threads_may_count_at_once():
    counter = DamagedImages("mice", 10_000, batches=1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: counter.add(0, str(i % 50), ValueError("no")), range(2000)))
    with pytest.warns(UserWarning, match="50 of 10000"):
        counter.end_batch(0)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_shares_are_checked(share):
    with pytest.raises(ValueError, match="max_damaged is a share of the images between 0 and 1"):
        DamagedImages("mice", 10, 1, share)
