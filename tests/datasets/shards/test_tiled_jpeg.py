import cv2
import numpy as np
import pytest

from keras_pose.datasets.shards import tiled_jpeg
from keras_pose.datasets.shards.tiled_jpeg import decode_region, encode_tiled

DECODERS = (tiled_jpeg._decoder(), tiled_jpeg._decode_with_opencv)


def picture(height, width):
    rng = np.random.default_rng(height)
    small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 33), (333, 317), (40, 700), (100, 49)])
def test_the_file_is_an_ordinary_jpeg(size):
    image = picture(*size)
    data = encode_tiled(image, 90)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert len(read) == size[0] and 0 <= read.shape[1] - size[1] < 48
    whole, origin = decode_region(data, (0, 0), size[::-1])
    assert origin == (0, 0) and whole.shape == (*size, 4)
    np.testing.assert_array_equal(whole[..., :3], read[:, : size[1]])
    assert np.abs(whole[..., :3].astype(int) - image).mean() < 12


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((0, 0), (317, 16)),
        ((50, 1), (60, 20)),
        ((0, 130), (48, 150)),
        ((47, 150), (317, 333)),
        ((300, 320), (317, 333)),
        ((150, 200), (151, 201)),
        ((-20, -20), (500, 340)),
    ],
)
def test_a_region_is_that_of_the_whole(low, high):
    """But for its outermost pixels, where colour is interpolated across the cut."""
    data = encode_tiled(picture(333, 317), 90)
    whole, _ = decode_region(data, (0, 0), (317, 333))
    part, (left, top) = decode_region(data, low, high)
    height, width = part.shape[:2]
    assert left <= max(low[0], 0) and min(high[0], 317) <= left + width <= high[0] + 47
    assert top <= max(low[1], 0) and min(high[1], 333) <= top + height <= high[1] + 15
    expected = whole[top : top + height, left : left + width]
    assert part.shape == expected.shape
    np.testing.assert_array_equal(part[1:-1, 1:-1], expected[1:-1, 1:-1])


def test_regions_outside_give_the_nearest_tile():
    data = encode_tiled(picture(40, 120), 90)
    assert decode_region(data, (-80, -50), (-60, -20))[1] == (0, 0)
    part, origin = decode_region(data, (150, 90), (180, 99))
    assert origin == (96, 32) and part.shape == (8, 24, 4)


@pytest.mark.parametrize(
    "damage", [lambda d: b"\x00" * len(d), lambda d: d[: len(d) // 2], lambda d: d[:300]]
)
@pytest.mark.parametrize("decoder", DECODERS)
def test_damaged_data_are_named(damage, decoder, monkeypatch):
    monkeypatch.setattr(tiled_jpeg, "_decoder", lambda: decoder)
    data = damage(encode_tiled(picture(80, 200), 90))
    with pytest.raises(ValueError, match="the shard is damaged"):
        decode_region(data, (0, 0), (50, 40))


def test_too_large_pictures_are_refused():
    with pytest.raises(ValueError, match="4800x3600 pixels is too large"):
        encode_tiled(np.zeros((3600, 4800, 3), np.uint8), 50)


def test_all_decoders_give_the_same_pixels():
    pytest.importorskip("simplejpeg", reason="compares OpenCV with simplejpeg")
    first, second = DECODERS
    assert first is not second
    data = encode_tiled(picture(333, 317), 85)
    np.testing.assert_array_equal(first(data), second(data))
