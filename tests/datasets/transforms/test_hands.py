import json

import numpy as np
import pytest

from keras_pose.datasets.transforms.hands import flip_hands, map_single_hands
from keras_pose.datasets.transforms.keypoint_mapping import KeypointMapping
from keras_pose.skeleton import Skeleton

FLIPS = [f"hand{i}" for i in range(6)]
CONVERTERS = [f"conv{i}" for i in range(16)]
HANDS = [f"shc{i}" for i in range(4)]
# The reference takes the left mapping whatever hand_type says; see
# test_right_hands_have_their_own_mapping and test_no_hand_is_refused.
LEFT_OUT = {
    "shc1": "the reference maps a right hand as a left one",
    "shc3": "the reference maps a row that is no hand as a left one",
}


def _cases(golden, file):
    with np.load(golden / f"transforms/{file}.npz") as npz:
        arrays = dict(npz)

    def value(entry):
        return arrays[entry[1:]] if isinstance(entry, str) and entry[:1] == "@" else entry

    rows = json.loads((golden / f"transforms/{file}.json").read_text())["cases"]
    for row in rows:
        for side in ("input", "output"):
            row[side] = {key: value(entry) for key, entry in (row[side] or {}).items()}
    return {row["id"]: row for row in rows}


@pytest.fixture(scope="module")
def flips(golden):
    return _cases(golden, "hand_flip")


@pytest.fixture(scope="module")
def converters(golden):
    return _cases(golden, "converters")


@pytest.mark.parity
@pytest.mark.parametrize("case", FLIPS, ids=lambda case: f"transforms/hand_flip/{case}")
def test_flips_equal_the_reference(flips, case):
    given, wanted = flips[case]["input"], flips[case]["output"]
    names = ("keypoints", "keypoints_visible", "hand_type", "rel_root_depth")
    values = [given[name] for name in names]
    image, box = given["img"], given["bbox"]
    width = given["img_shape"][1]
    if flips[case]["drawn"]["direction"] == "horizontal":
        values = flip_hands(*values, given["flip_indices"], width)
        image = image[:, ::-1]
        box = np.stack([width - 1 - box[:, 2], box[:, 1], width - 1 - box[:, 0], box[:, 3]], -1)
    for name, value in zip(names, values, strict=True):
        np.testing.assert_allclose(value, wanted[name], atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(image, wanted["img"])
    np.testing.assert_allclose(box, wanted["bbox"], atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("case", CONVERTERS, ids=lambda case: f"transforms/converters/{case}")
def test_mappings_equal_the_reference(converters, case):
    """Its visibility has a second channel: which keypoints are mapped.

    Its flip indices are not compared: it rebuilds them wrongly for middles of two, whereas a mapped
    data set has those of its skeleton. Where there are 3D keypoints, it puts their x and y in the
    place of the 2D ones (which are the same in the one data set that it does this for).
    """
    args, given, wanted = (converters[case][key] for key in ("args", "input", "output"))
    mapping = KeypointMapping.from_pairs(args["mapping"], args["num_keypoints"])
    visible = given.get("keypoints_visible")
    if visible is not None and visible.ndim == 3:
        visible = visible[..., 0]
    flat = given["keypoints_3d"][..., :2] if "keypoints_3d" in given else given["keypoints"]
    points, shown = mapping(flat, visible)
    np.testing.assert_allclose(points, wanted["keypoints"], atol=1e-3)
    np.testing.assert_allclose(shown, wanted["keypoints_visible"][..., 0], atol=1e-6)
    weights = wanted["keypoints_visible"][..., 1]
    np.testing.assert_array_equal(np.broadcast_to(mapping.mapped, weights.shape), weights)
    if "keypoints_3d" in given:
        points, shown = mapping(given["keypoints_3d"], visible)
        np.testing.assert_allclose(points, wanted["keypoints_3d"], atol=1e-3)
        at = given["target_idx"]
        np.testing.assert_allclose(points[at], wanted["lifting_target"], atol=1e-3)
        np.testing.assert_allclose(shown[at], wanted["lifting_target_visible"], atol=1e-6)


def hands():
    left = KeypointMapping.from_pairs([(i, i) for i in range(21)], 42)
    right = KeypointMapping.from_pairs([(i, i + 21) for i in range(21)], 42)
    return right, left


@pytest.mark.parity
@pytest.mark.parametrize("case", HANDS, ids=lambda case: f"transforms/converters/{case}")
def test_single_hands_equal_the_reference(converters, case):
    given, wanted = converters[case]["input"], converters[case]["output"]
    if case in LEFT_OUT:
        pytest.skip(LEFT_OUT[case])
    values = given["keypoints"], given["keypoints_visible"], given["hand_type"]
    if not wanted:
        with pytest.raises(ValueError, match="hand_type must say right"):
            map_single_hands(*values, *hands())
        return
    points, shown = map_single_hands(*values, *hands())
    np.testing.assert_allclose(points, wanted["keypoints"], atol=1e-3)
    np.testing.assert_array_equal(shown, wanted["keypoints_visible"][..., 0])


def test_right_hands_have_their_own_mapping():
    points = np.random.default_rng(0).uniform(size=(2, 21, 2))
    mapped, shown = map_single_hands(points, np.ones((2, 21)), [[1, 0], [0, 1]], *hands())
    np.testing.assert_array_equal(mapped[0, 21:], points[0])
    np.testing.assert_array_equal(mapped[1, :21], points[1])
    assert shown.sum(-1).tolist() == [21, 21] and not shown[0, :21].any()


def test_no_hand_is_refused():
    with pytest.raises(ValueError, match=r"hand_type must say right.*row 1 says \(0, 0\)"):
        map_single_hands(np.ones((2, 21, 2)), np.ones((2, 21)), [[1, 0], [0, 0]], *hands())


def test_two_flips_are_none():
    rng, skeleton = np.random.default_rng(0), Skeleton.load("interhand3d")
    given = (rng.uniform(size=(3, 42, 3)), rng.uniform(size=(3, 42)), rng.uniform(size=(3, 2)))
    once = flip_hands(*given, np.ones(3), skeleton.flip_indices, 64)
    twice = flip_hands(*once, skeleton.flip_indices, 64)
    for before, after in zip((*given, np.ones(3)), twice, strict=True):
        np.testing.assert_allclose(before, after)


def test_names_that_agree_are_mapped():
    mapping = KeypointMapping.between(Skeleton.load("aic"), Skeleton.load("coco"))
    assert mapping.mapped.sum() == 12
    points = np.arange(28.0).reshape(1, 14, 2)
    mapped, shown = mapping(points)
    coco, aic = Skeleton.load("coco"), Skeleton.load("aic")
    np.testing.assert_array_equal(
        mapped[0, coco.index("left_knee")], points[0, aic.index("left_knee")]
    )
    assert shown[0, coco.index("nose")] == 0 and not mapped[0, coco.index("nose")].any()


def test_the_middle_of_two():
    coco, h36m = Skeleton.load("coco"), Skeleton.load("h36m")
    mapping = KeypointMapping.between(coco, h36m, [(("left_hip", "right_hip"), "root"), (13, 5)])
    points, visible = np.random.default_rng(0).uniform(size=(17, 2)), np.ones(17)
    visible[11] = 0
    mapped, shown = mapping(points, visible)
    np.testing.assert_allclose(mapped[0], points[[11, 12]].mean(0))
    assert shown[0] == 0 and shown[5] == 1 and shown.sum() == 1


def test_a_single_source_counts_its_visibility_once():
    mapping = KeypointMapping.from_pairs([(0, 0)], 1)
    assert mapping(np.ones((1, 2)), np.array([0.5]))[1].tolist() == [0.5]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("nase", "nose")], "no keypoint 'nase'; did you mean 'nose'"),
        ([("nose", 99)], "has 17 keypoints, there is none with number 99"),
        ([(0, 0), (1, 0)], "keypoint 0 is mapped twice"),
        ([((0, 1, 2), 0)], "must come from one keypoint or two"),
        ([], "have no keypoint name in common"),
    ],
)
def test_faulty_pairs(pairs, message):
    coco = Skeleton.load("coco")
    with pytest.raises(ValueError, match=message.replace("'nose'", ".*nose")):
        KeypointMapping.between(coco, coco, pairs)
