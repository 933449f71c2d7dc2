import cv2
import numpy as np
import pytest

from keras_pose.datasets.shards.banded_jpeg import decode_rows, encode_banded


def picture(height, width):
    rng = np.random.default_rng(height)
    small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 33), (333, 317), (40, 700)])
def test_the_file_is_an_ordinary_jpeg(size):
    image = picture(*size)
    data, starts = encode_banded(image, 90)
    assert len(starts) == -(-size[0] // 16) + 1
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    whole, first = decode_rows(data, starts, 0, size[0])
    assert first == 0 and whole.shape == (*size, 4)
    np.testing.assert_array_equal(whole[..., :3], read)


@pytest.mark.parametrize("rows", [(0, 16), (1, 20), (130, 150), (150, 333), (320, 333), (200, 201)])
def test_rows_are_those_of_the_whole(rows):
    """But for the outermost ones, where colour is interpolated across the cut."""
    data, starts = encode_banded(picture(333, 317), 90)
    whole, _ = decode_rows(data, starts, 0, 333)
    part, first = decode_rows(data, starts, *rows)
    assert first <= rows[0] and rows[1] <= first + len(part) <= rows[1] + 15
    np.testing.assert_array_equal(part[1:-1], whole[first + 1 : first + len(part) - 1])


def test_rows_outside_give_the_nearest_band():
    data, starts = encode_banded(picture(40, 20), 90)
    assert decode_rows(data, starts, -50, -20)[1] == 0
    assert decode_rows(data, starts, 90, 99)[1] == 32


def test_damaged_data_are_named():
    data, starts = encode_banded(picture(40, 20), 90)
    with pytest.raises(ValueError, match="the shard is damaged"):
        decode_rows(b"\x00" * len(data), starts, 0, 40)
