import importlib.util

import cv2
import numpy as np
import pytest

from keras_pose.images import as_rgb, decode_image, read_image

GRADIENT = np.stack(np.broadcast_arrays(np.arange(60)[:, None], np.arange(90), 128), -1).astype(
    np.uint8
)


@pytest.fixture
def write(tmp_path):
    def _write(name, array, *options):
        path = tmp_path / name
        path.write_bytes(cv2.imencode(path.suffix, array, options)[1].tobytes())
        return path

    return _write


@pytest.mark.parametrize("kind", ["color_png", "color_jpg", "gray_png", "alpha_png", "exif6_jpg"])
def test_reading_equals_reference(golden, kind):
    arrays = np.load(golden / "transforms" / "load_image.npz")
    spec = importlib.util.spec_from_file_location("goldens", golden / "goldens.py")
    goldens = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(goldens)
    image = decode_image(arrays[f"file.{kind}"])
    difference = goldens.compare(arrays, f"{kind}.default", image[..., ::-1])
    assert difference["max_abs"] <= (3 if kind.endswith("jpg") else 0)


def test_channels_are_rgb(write):
    path = write("red.png", np.full((4, 5, 3), (0, 0, 255), np.uint8))
    assert (read_image(path) == (255, 0, 0)).all()


def test_odd_characters_in_the_path(write):
    np.testing.assert_array_equal(
        read_image(write("käse 写真 #1.png", GRADIENT[..., ::-1])), GRADIENT
    )


def test_sixteen_bits_become_eight(write):
    path = write("deep.png", GRADIENT[..., ::-1].astype(np.uint16) * 256 + 7)
    image = read_image(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, GRADIENT)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no image file .*nowhere\.jpg"):
        read_image(tmp_path / "nowhere.jpg")


def test_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
@pytest.mark.parametrize("part", [0.0, 0.05, 0.5, 0.95])
def test_truncated_file_is_named(write, suffix, part):
    noise = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    path = write(f"cut{suffix}", noise)
    assert read_image(path).shape == (64, 80, 3)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ValueError, match=rf"cut\{suffix} is (truncated|corrupt|empty|a truncated)"):
        read_image(path)


def test_truncated_jpeg_with_thumbnail_is_found(write):
    data = write("photo.jpg", GRADIENT).read_bytes()
    thumbnail = b"\xff\xe1" + (2 + len(data)).to_bytes(2, "big") + data
    photo = data[:2] + thumbnail + data[2:]
    np.testing.assert_array_equal(decode_image(photo), decode_image(data))
    with pytest.raises(ValueError, match="truncated"):
        decode_image(photo[:-40])


def test_progressive_jpeg_is_read(write):
    path = write("slow.jpg", GRADIENT, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert read_image(path).shape == GRADIENT.shape


def test_text_file_is_no_image(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not a picture")
    with pytest.raises(ValueError, match=r"notes\.jpg is corrupt or not an image"):
        read_image(path)


@pytest.mark.parametrize(
    "array",
    [
        GRADIENT,
        np.dstack([GRADIENT, GRADIENT[..., :1]]),
        GRADIENT.astype(np.uint16) * 256 + 9,
        GRADIENT.astype(np.int64),
        GRADIENT.astype(np.float32),
        GRADIENT / 255.0,
    ],
    ids=["uint8", "alpha", "uint16", "int64", "float255", "float1"],
)
def test_arrays_become_rgb(array):
    image = as_rgb(array)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, GRADIENT)


@pytest.mark.parametrize("grey", [GRADIENT[..., 1], GRADIENT[..., 1:2]])
def test_grey_gets_three_channels(grey):
    np.testing.assert_array_equal(as_rgb(grey), np.repeat(GRADIENT[..., 1:2], 3, 2))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.uint8), r"^photo must be \(H, W\).*got shape \(2, 4, 4, 3\)"),
        (np.zeros((3, 40, 40), np.uint8), r"^photo must be \(H, W\)"),
        (np.zeros((0, 4, 3), np.uint8), "^photo has no pixels"),
        (np.full((4, 4, 3), 256), "^photo of dtype int64 must lie in 0..255"),
        (np.full((4, 4, 3), -0.5), "^photo of dtype float64 must lie in"),
        (np.full((4, 4, 3), np.nan), "^photo of dtype float64 must lie in"),
        (np.zeros((4, 4), bool), "^photo must be uint8, uint16 or float, got dtype bool"),
        ("photo.jpg", r"^photo must be \(H, W\)"),
    ],
)
def test_bad_arrays_are_named(array, message):
    with pytest.raises(ValueError, match=message):
        as_rgb(array, name="photo")


def test_alpha_is_an_opaque_fourth_channel(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    with_alpha = read_image(tmp_path / "a.png", alpha=True)
    np.testing.assert_array_equal(with_alpha[..., :3], read_image(tmp_path / "a.png"))
    assert with_alpha.shape == (5, 7, 4) and (with_alpha[..., 3] == 255).all()
