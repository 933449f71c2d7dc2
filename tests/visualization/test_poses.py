import numpy as np
import pytest

from keras_pose.skeleton import Skeleton
from keras_pose.visualization import draw_poses

LEFT, RIGHT, MIDDLE, LINK = (0, 200, 0), (200, 0, 0), (0, 0, 200), (200, 200, 0)
TRIPOD = Skeleton(
    "tripod",
    ["top", "left", "right"],
    links=[("top", "left"), ("top", "right")],
    keypoint_colors=[MIDDLE, LEFT, RIGHT],
    link_colors=[LINK, LINK],
)
POINTS = np.float32([[[100, 20], [30, 170], [170, 170]]])
SURE = np.ones((1, 3))


def black(width=200, height=200):
    return np.zeros((height, width, 3), np.uint8)


def dot(center, radius=None, size=40, score=1.0, **style):
    """Brightness of one dot alone on black."""
    single = Skeleton("single", ["point"], keypoint_colors=[(255, 255, 255)])
    drawn = draw_poses(black(size, size), [[center]], [[score]], single, radius=radius, **style)
    return drawn.mean(axis=-1)


def test_the_picture_itself_stays_as_it_was():
    image = black()
    drawn = draw_poses(image, POINTS, SURE, TRIPOD)
    assert not image.any() and drawn.shape == image.shape and drawn.dtype == np.uint8


def test_dots_and_lines_have_the_skeletons_colours():
    drawn = draw_poses(black(), POINTS, SURE, TRIPOD)
    for (x, y), color in zip(POINTS[0].astype(int), (MIDDLE, LEFT, RIGHT), strict=True):
        assert tuple(drawn[y, x]) == color
    assert tuple(drawn[95, 65]) == LINK


def test_colours_by_instance_follow_the_ids():
    points = np.concatenate([POINTS, POINTS + 1])
    a, b = (
        draw_poses(black(), POINTS, SURE, TRIPOD, color_by="instance", instance_ids=[i])[170, 30]
        for i in (0, 1)
    )
    assert tuple(a) != tuple(b)
    both = draw_poses(
        black(), points, np.ones((2, 3)), TRIPOD, color_by="instance", instance_ids=[1, 1]
    )
    assert tuple(both[170, 30]) == tuple(b)


@pytest.mark.parametrize("radius", [1.0, 2.5, 5.0, 9.0])
@pytest.mark.parametrize("center", [(20.0, 20.0), (20.3, 19.6), (17.5, 22.5)])
def test_dots_lie_where_they_should_to_a_fraction_of_a_pixel(center, radius):
    light = dot(center, radius)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    found = (light * x).sum() / light.sum(), (light * y).sum() / light.sum()
    np.testing.assert_allclose(found, center, atol=0.1)


def test_edges_are_anti_aliased():
    assert len(np.unique(dot((20.3, 20.3), 5.0))) > 5


def test_a_rim_shows_lines_on_ground_of_their_own_colour():
    drawn = draw_poses(black() + np.uint8(LINK), POINTS, SURE, TRIPOD)
    assert (drawn.sum(axis=-1) < 120).sum() > 100


def test_large_individuals_get_thicker_lines_but_not_in_proportion():
    widths = []
    for scale in (0.3, 1.0, 5.0):
        size = int(200 * scale)
        drawn = draw_poses(black(size, size), POINTS * scale, SURE, TRIPOD)
        row = drawn[int(95 * scale), : size // 2]
        widths.append((row.max(axis=-1) > 100).sum())
    assert widths[0] < widths[1] < widths[2]
    assert widths[2] < 5 * widths[1]


def test_dots_are_finer_where_keypoints_crowd():
    fan = Skeleton("fan", [str(i) for i in range(6)], keypoint_colors=[(255, 255, 255)] * 6)
    points = np.float32([[[20, 20], [24, 20], [28, 20], [380, 380], [380, 200], [200, 380]]])
    drawn = draw_poses(black(400, 400), points, None, fan)[..., 0] > 128
    crowded, alone = drawn[14:27, 14:22].sum(), drawn[360:400, 360:400].sum()
    assert 0 < crowded < alone / 4


def test_two_keypoints_in_one_place_are_no_crowd():
    points = np.float32([[[100, 20], [30, 170], [30, 170]]])
    drawn = draw_poses(black(), points, SURE, TRIPOD)
    single = draw_poses(black(), POINTS, SURE, TRIPOD)
    assert (drawn[150:190, 10:50] > 100).any(-1).sum() >= (single[150:190, 10:50] > 100).any(
        -1
    ).sum() * 0.8


def test_uncertain_keypoints_fade_and_improbable_ones_vanish():
    sure, unsure, no = (dot((20, 20), 6.0, score=score).max() for score in (0.9, 0.4, 0.29))
    assert sure > unsure > 60 and no == 0


def test_a_line_is_as_uncertain_as_its_less_certain_end():
    drawn = draw_poses(black(), POINTS, [[1.0, 0.35, 1.0]], TRIPOD)
    unsure, sure = drawn[95, 65, 0], drawn[95, 135, 0]
    assert 0 < unsure < sure


def test_a_line_needs_both_ends():
    drawn = draw_poses(black(), POINTS, [[1.0, 0.0, 1.0]], TRIPOD)
    assert not drawn[:, :90].any() and drawn[95, 135].any()


def test_half_transparent_parts_of_one_pose_do_not_add_up():
    points = np.float32([[[20, 20], [180, 180], [180, 180]]])
    drawn = draw_poses(black(), points, SURE, TRIPOD, opacity=0.5)
    np.testing.assert_allclose(drawn[100, 100], np.array(LINK) * 0.5, atol=2)


def test_opacity_zero_draws_nothing():
    assert not draw_poses(black(), POINTS, SURE, TRIPOD, opacity=0.0).any()


def test_small_individuals_are_drawn_over_large_ones():
    small = np.float32([[[100, 90], [90, 100], [110, 100]]])
    large = np.float32([[[20, 20], [100, 100], [180, 180]]])
    for points in (np.concatenate([small, large]), np.concatenate([large, small])):
        drawn = draw_poses(black(), points, np.ones((2, 3)), TRIPOD)
        assert tuple(drawn[100, 90]) == LEFT


@pytest.mark.parametrize(
    "point", [(np.nan, 10), (1e9, 10), (-np.inf, 3), (-50, -50), (250, 10), (199.9, 199.9)]
)
def test_points_outside_do_no_harm(point):
    points = POINTS.copy()
    points[0, 1] = point
    drawn = draw_poses(black(), points, SURE, TRIPOD)
    assert tuple(drawn[170, 170]) == RIGHT


def test_a_pose_outside_of_the_picture_is_not_drawn():
    drawn = draw_poses(black(), POINTS + 1000, SURE, TRIPOD, boxes=[[1000, 1000, 1100, 1100]])
    assert not drawn.any()


def test_scores_may_be_missing():
    drawn = draw_poses(black(), POINTS, None, TRIPOD)
    np.testing.assert_array_equal(drawn, draw_poses(black(), POINTS, SURE, TRIPOD))


def test_depth_is_not_looked_at():
    points = np.concatenate([POINTS, np.full((1, 3, 1), 1e6)], axis=-1)
    drawn = draw_poses(black(), points, SURE, TRIPOD)
    np.testing.assert_array_equal(drawn, draw_poses(black(), POINTS, SURE, TRIPOD))


@pytest.mark.parametrize("shape", [(200, 200), (200, 200, 1), (200, 200, 4)])
def test_grey_and_transparent_pictures_become_rgb(shape):
    assert draw_poses(np.zeros(shape, np.uint8), POINTS, SURE, TRIPOD).shape == (200, 200, 3)


def test_boxes_are_drawn_unless_hidden():
    box, unsure = [[20, 30, 180, 190]], np.zeros((1, 3))
    drawn = draw_poses(black(), POINTS, unsure, TRIPOD, boxes=box)
    assert drawn[30, 100].any() and drawn[100, 180].any() and not drawn[100, 100].any()
    assert not draw_poses(black(), POINTS, unsure, TRIPOD, boxes=box, show_boxes=False).any()


@pytest.mark.parametrize("offset", [-90, 0, 160])
def test_labels_stay_inside_the_picture(offset):
    bare = draw_poses(black(), POINTS + offset, SURE, TRIPOD)
    drawn = draw_poses(black(), POINTS + offset, SURE, TRIPOD, labels=["#12"])
    changed = np.argwhere((bare != drawn).any(axis=-1))
    assert len(changed) > 100
    assert np.ptp(changed[:, 0]) > 10 and np.ptp(changed[:, 1]) > 20


def test_names_are_written_on_request():
    bare = draw_poses(black(), POINTS, SURE, TRIPOD)
    assert (draw_poses(black(), POINTS, SURE, TRIPOD, show_names=True) != bare).any()


def test_nobody_is_drawn_as_nothing():
    empty = np.zeros((0, 3, 2))
    assert not draw_poses(black(), empty, np.zeros((0, 3)), TRIPOD, labels=[]).any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"keypoints": np.zeros((1, 4, 2))}, "keypoints must have shape"),
        ({"keypoints": np.zeros((3, 2))}, "keypoints must have shape"),
        ({"scores": np.zeros((1, 2))}, "scores must have shape"),
        ({"boxes": np.zeros((2, 4))}, "boxes must have shape"),
        ({"labels": ["a", "b"]}, "labels must have one item a pose"),
        ({"instance_ids": []}, "instance_ids"),
        ({"color_by": "side"}, "color_by"),
        ({"radius": 0}, "radius must be above 0"),
        ({"line_width": -1}, "line_width must be above 0"),
    ],
)
def test_refuses(arguments, message):
    defaults = {"keypoints": POINTS, "scores": SURE, "skeleton": TRIPOD}
    with pytest.raises(ValueError, match=message):
        draw_poses(black(), **(defaults | arguments))
