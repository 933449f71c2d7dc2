import numpy as np
import pytest

from keras_pose.datasets import walking_sequences
from keras_pose.skeleton import Skeleton
from keras_pose.visualization import draw_pose_3d


@pytest.fixture(scope="module")
def pose():
    film = walking_sequences(films=1, frames=1)
    return film.keypoints_3d[0] - film.keypoints_3d[0, 0]


def drawn(pose, **options):
    """Where the figure is, painted white: rows and columns."""
    picture = draw_pose_3d(pose, "h36m", (200, 200), color=(255, 255, 255), **options)
    assert picture.dtype == np.uint8
    return np.argwhere(picture.min(axis=-1) > 200)


def test_the_figure_stands_upright_and_fits(pose):
    rows, columns = drawn(pose).T
    assert 90 < np.ptp(rows) < 185
    assert np.ptp(columns) < 120
    assert (rows.min(), columns.min()) > (3, 3)
    assert (rows.max(), columns.max()) < (197, 197)


def test_the_eye_goes_around(pose):
    flat = pose * [1, 1, 0]  # as flat as a picture
    widths = [np.ptp(drawn(flat, azimuth=angle, elevation=0)[:, 1]) for angle in (0, 90)]
    assert widths[1] < 12 < widths[0]


def test_left_is_left_from_the_camera(pose):
    picture = draw_pose_3d(
        np.add(pose, (0.5, 0, 0)), "h36m", (200, 200), azimuth=0, color=(255,) * 3
    )
    assert np.argwhere(picture.min(axis=-1) > 200)[:, 1].mean() > 120


def test_near_limbs_cover_far_ones():
    links = [("a", "b"), ("c", "d")]
    colors = np.array([(255, 0, 0), (0, 255, 0)])
    skeleton = Skeleton("cross", list("abcd"), links=links, swaps=(), link_colors=colors)
    cross = np.array([[-0.3, 0, -0.3], [0.3, 0, -0.3], [0, -0.3, 0.3], [0, 0.3, 0.3]])
    options = {"floor": 0.95, "azimuth": 0, "elevation": 0}
    middles = [
        draw_pose_3d(points, skeleton, (300, 300), **options)[148:152, 148:152].mean(axis=(0, 1))
        for points in (cross, cross * [1, 1, -1])
    ]
    assert np.abs(middles[0] - colors[0]).max() < 40
    assert np.abs(middles[1] - colors[1]).max() < 40


def test_the_floor_alone():
    assert draw_pose_3d(None, "h36m", (50, 40)).shape == (40, 50, 3)


@pytest.mark.parametrize("points", [np.zeros((17, 2)), np.full((17, 3), np.nan), np.zeros((3, 3))])
def test_other_keypoints_are_refused(points):
    with pytest.raises(ValueError, match="keypoints must be"):
        draw_pose_3d(points, "h36m")
