from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from keras_pose.datasets.image_cache import ImageCache
from keras_pose.images import read_image


@pytest.fixture
def paths(tmp_path):
    names = [str(tmp_path / f"{i}.png") for i in range(4)]
    for value, name in enumerate(names):
        cv2.imwrite(name, np.full((10, 10, 3), value, np.uint8))
    return names


@pytest.fixture
def reads():
    """Paths that `reader` was asked for."""
    return []


@pytest.fixture
def reader(reads):
    def read(path):
        reads.append(path)
        return read_image(path)

    return read


def test_image_is_read_once(paths, reads, reader):
    cache = ImageCache(read_image=reader)
    for _ in range(3):
        assert (cache.read(paths[1]) == 1).all()
    assert reads == paths[1:2] and cache.decoded == 1


def test_oldest_images_make_room(paths, reads, reader):
    cache = ImageCache(2 * 300, reader)
    for index in (0, 1, 0, 2, 0, 1):  # 1 is the oldest when 2 comes
        assert (cache.read(paths[index]) == index).all()
    assert reads == [paths[i] for i in (0, 1, 2, 1)]


def test_without_memory_nothing_is_kept_for_long(paths, reads, reader):
    cache = ImageCache(0, reader)
    for index in (0, 1, 0, 1):
        assert (cache.read(paths[index]) == index).all()
    assert len(reads) == 4


def test_threads_share_a_reading(paths, reads, reader):
    cache = ImageCache(read_image=reader)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(cache.read, paths * 50))
    assert sorted(reads) == sorted(paths)
    assert all((image == i % 4).all() for i, image in enumerate(images))


def test_error_is_passed_on_every_time(tmp_path):
    cache = ImageCache()
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            cache.read(str(tmp_path / "nowhere.png"))
