import numpy as np
import pytest

from keras_pose.visualization import contact_sheet


def picture(width, height, value):
    return np.full((height, width, 3), value, np.uint8)


def test_pictures_lie_in_rows():
    images = [picture(20, 10, value) for value in (50, 100, 150)]
    sheet = contact_sheet(images, 2, (20, 10), gap=4, background=(1, 2, 3))
    assert sheet.shape == (4 + 2 * 14, 4 + 2 * 24, 3)
    assert [sheet[9, 14, 0], sheet[9, 38, 0], sheet[23, 14, 0]] == [50, 100, 150]
    assert sheet[0, 0].tolist() == [1, 2, 3] and sheet[23, 38].tolist() == [1, 2, 3]


def test_shapes_are_kept():
    sheet = contact_sheet([picture(10, 40, 200)], cell_size=(40, 40), gap=0, background=(0, 0, 0))
    lit = np.argwhere(sheet[..., 0] > 100)
    assert np.ptp(lit, axis=0).tolist() == [39, 9]
    assert lit.mean(axis=0).tolist() == [19.5, 19.5]


def test_default_is_about_square():
    sheet = contact_sheet([picture(10, 10, 9)] * 9)
    assert sheet.shape[0] == sheet.shape[1]


def test_more_columns_than_pictures_add_no_empty_cells():
    assert contact_sheet([picture(10, 10, 9)], 5, (10, 10), gap=0).shape == (10, 10, 3)


def test_titles_are_written_on_the_pictures():
    images = [picture(100, 100, 9)] * 2
    bare = contact_sheet(images, 2, (100, 100), gap=0)
    titled = contact_sheet(images, 2, (100, 100), gap=0, titles=["first", ""])
    changed = (bare != titled).any(axis=(0, 2))
    assert changed[:100].any() and not changed[100:].any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"images": []}, "at least one image"),
        ({"images": [np.zeros(3)]}, r"images\[0\]"),
        ({"columns": 0}, "at least 1"),
        ({"cell_size": (0, 10)}, "at least 1"),
        ({"gap": -1}, "at least 0"),
        ({"titles": ["a", "b"]}, "titles must be 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(**({"images": [picture(4, 4, 0)]} | arguments))
