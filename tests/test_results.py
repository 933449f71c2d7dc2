import json
import sys

import numpy as np
import pytest

from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton

MOUSE = Skeleton("mouse", ["snout", "leftear", "rightear", "tailbase"], links=[(0, 3)])
ARRAYS = (
    "keypoints",
    "scores",
    "boxes",
    "box_scores",
    "visible",
    "track_ids",
    "covariance",
)


def make(count=3, dimensions=2, **changes):
    rng = np.random.default_rng(7)
    arguments = {
        "keypoints": rng.uniform(0, 100, (count, 4, dimensions)),
        "scores": rng.uniform(0, 1, (count, 4)),
        "boxes": np.tile([10.0, 20.0, 40.0, 80.0], (count, 1)),
        "box_scores": rng.uniform(0, 1, count),
        "visible": rng.uniform(0, 1, (count, 4)),
        "track_ids": np.arange(count) + 5,
        "covariance": np.tile(np.eye(2), (count, 4, 1, 1)),
        "image_size": (640, 480),
    }
    return PoseResult(skeleton=MOUSE, **(arguments | changes))


def assert_same(a, b):
    assert a.skeleton == b.skeleton and a.image_size == b.image_size
    for name in ARRAYS:
        left, right = getattr(a, name), getattr(b, name)
        assert (left is None) == (right is None), name
        if left is not None:
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right, err_msg=name)


def test_arrays_become_float32_and_ids_int64():
    result = make()
    assert {getattr(result, name).dtype for name in ARRAYS if name != "track_ids"} == {
        np.dtype("float32")
    }
    assert result.track_ids.dtype == np.int64
    assert len(result) == 3


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keypoints": np.zeros((3, 5, 2))}, r"keypoints must be \(N, 4, 2\).*mouse.*\(3, 5, 2\)"),
        ({"keypoints": np.zeros((4, 2))}, "keypoints must be"),
        ({"keypoints": np.full((3, 4, 2), np.nan)}, "keypoints must be finite"),
        ({"scores": np.zeros((3, 3))}, r"scores must have shape \(3, 4\)"),
        ({"scores": None}, "scores must be"),
        ({"boxes": np.zeros((2, 4))}, r"boxes must have shape \(3, 4\)"),
        ({"box_scores": [0.5, np.inf, 0.5]}, "box_scores must be finite"),
        ({"box_scores": ["high"] * 3}, "box_scores must be an array of numbers"),
        ({"track_ids": [1.5, 2.0, 3.0]}, "track_ids must be an array of integers"),
        ({"covariance": np.zeros((3, 4, 2))}, "covariance must have shape"),
        ({"image_size": (640,)}, "image_size"),
        ({"image_size": (0, 480)}, "image_size"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    "index, rows",
    [
        (1, [1]),
        (-1, [2]),
        (np.int64(0), [0]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (np.array([True, False, True]), [0, 2]),
        ([], []),
        (np.zeros(3, bool), []),
    ],
)
def test_indexing_selects_in_all_arrays(index, rows):
    result = make()
    part = result[index]
    assert part.image_size == (640, 480)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(part, name), getattr(result, name)[rows])


@pytest.mark.parametrize("index", [3, -4, np.zeros(2, bool), [5]])
def test_indexing_outside_raises(index):
    with pytest.raises(IndexError):
        make()[index]


@pytest.mark.parametrize("index", ["snout", 1.0, [0.5], np.zeros((3, 4), bool)])
def test_indexing_by_something_else_raises(index):
    with pytest.raises(TypeError):
        make()[index]


def test_iterating_gives_single_poses():
    assert [len(pose) for pose in make()] == [1, 1, 1]


def test_instance_scores_follow_the_documented_rule():
    result = make()
    mean = result.scores.mean(axis=1)
    np.testing.assert_allclose(result.instance_scores(), result.box_scores * mean)
    np.testing.assert_allclose(make(box_scores=None).instance_scores(), mean)


def test_to_coco():
    result = make(dimensions=3)
    row = result.to_coco(image_id=42, category_id=2)[1]
    assert row["image_id"] == 42 and row["category_id"] == 2
    assert row["bbox"] == [10, 20, 30, 60]
    assert row["score"] == pytest.approx(float(result.instance_scores()[1]))
    flat = np.reshape(row["keypoints"], (4, 3))
    np.testing.assert_array_equal(flat[:, :2], result.keypoints[1, :, :2])
    np.testing.assert_array_equal(flat[:, 2], result.scores[1])
    json.dumps(result.to_coco(1))


def test_to_coco_without_boxes_has_no_bbox():
    assert "bbox" not in make(boxes=None).to_coco(1)[0]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_dict_round_trip_through_json(dimensions):
    result = make(dimensions=dimensions)
    assert_same(PoseResult.from_dict(json.loads(json.dumps(result.to_dict()))), result)


def test_dict_round_trip_of_the_least():
    result = PoseResult(np.ones((1, 4, 2)), np.ones((1, 4)), MOUSE)
    data = result.to_dict()
    assert set(data["poses"][0]) == {"keypoints", "scores"}
    assert_same(PoseResult.from_dict(data), result)


def test_dict_can_name_the_skeleton_only():
    data = make().to_dict(with_skeleton=False)
    assert data["skeleton"] == "mouse"
    assert_same(PoseResult.from_dict(data, skeleton=MOUSE), make())
    with pytest.raises(ValueError, match="unknown skeleton 'mouse'"):
        PoseResult.from_dict(data)


def test_dict_round_trip_of_nothing():
    empty = PoseResult.empty(MOUSE, (640, 480))
    assert_same(PoseResult.from_dict(empty.to_dict()), empty)


@pytest.mark.parametrize(
    "poses, message",
    [
        (None, "list"),
        ([{"keypoints": [[0, 0]] * 4}], "scores"),
        ([{"keypoints": [[0, 0]] * 4, "scores": [1] * 4}, {"scores": [1] * 4}], "'keypoints'"),
    ],
)
def test_from_dict_refuses(poses, message):
    with pytest.raises(ValueError, match=message):
        PoseResult.from_dict({"skeleton": MOUSE.to_dict(), "poses": poses})


def test_empty_behaves_like_any_result():
    empty = PoseResult.empty("coco", (640, 480))
    assert len(empty) == 0 and empty.keypoints.shape == (0, 17, 2) and empty.boxes.shape == (0, 4)
    assert empty.to_coco(1) == [] and list(empty) == []
    assert empty.instance_scores().shape == (0,)
    image = np.full((8, 8, 3), 7, np.uint8)
    np.testing.assert_array_equal(empty.draw(image), image)


def test_empty_lists_are_no_poses():
    assert len(PoseResult([], [], MOUSE, boxes=[], track_ids=[])) == 0


def test_concatenate_joins_all_arrays():
    result = make()
    assert_same(PoseResult.concatenate([result[:1], PoseResult.empty(MOUSE), result[1:]]), result)


def test_concatenate_keeps_what_all_have():
    joined = PoseResult.concatenate([make(), make(boxes=None)])
    assert joined.boxes is None and joined.track_ids.shape == (6,)


@pytest.mark.parametrize(
    "others, message",
    [
        ([], "at least one"),
        ([make(), PoseResult.empty("coco")], "different skeletons"),
        ([make(), make(image_size=(64, 48))], "image sizes"),
        ([make(), make(dimensions=3)], "2D and 3D"),
    ],
)
def test_concatenate_refuses(others, message):
    with pytest.raises(ValueError, match=message):
        PoseResult.concatenate(others)


def test_draw_returns_a_changed_copy():
    image = np.zeros((100, 100, 3), np.uint8)
    drawn = make().draw(image, threshold=0.0)
    assert drawn.any() and not image.any()


def test_draw_shows_boxes_on_request():
    image = np.zeros((100, 100, 3), np.uint8)
    result = make(1, scores=np.zeros((1, 4)), track_ids=None)
    assert not result.draw(image).any()
    assert result.draw(image, show_boxes=True)[50, 10].any()


def test_draw_leaves_out_labels_of_untracked_poses():
    image = np.zeros((100, 100, 3), np.uint8)
    result = make(1, scores=np.zeros((1, 4)), track_ids=[-1])
    assert not result.draw(image).any()


def test_supervision_round_trip():
    pytest.importorskip("supervision", minversion="0.31")
    result = make()
    key_points = result.to_supervision()
    assert key_points.data["covariance"].shape == (3, 4, 2, 2)
    np.testing.assert_array_equal(key_points.visible, result.visible > 0.5)
    assert_same(PoseResult.from_supervision(key_points, MOUSE, (640, 480)), result)
    assert len(PoseResult.from_supervision(key_points[[0, 2]], MOUSE)) == 2


def test_supervision_takes_a_result_without_poses():
    pytest.importorskip("supervision", minversion="0.31")
    key_points = PoseResult.empty(MOUSE).to_supervision()
    assert len(key_points) == 0
    assert_same(PoseResult.from_supervision(key_points, MOUSE), PoseResult.empty(MOUSE))


def test_supervision_missing_keypoints_get_score_0():
    supervision = pytest.importorskip("supervision", minversion="0.31")
    xy = np.float32([[[1, 2], [np.nan, 3], [0, 0], [5, 6]]])
    result = PoseResult.from_supervision(supervision.KeyPoints(xy=xy), MOUSE)
    assert result.scores.tolist() == [[1, 0, 0, 1]]
    assert np.isfinite(result.keypoints).all()


def test_supervision_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=r"pip install keras-pose\[supervision\]"):
        make().to_supervision()
