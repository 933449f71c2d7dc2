import json

import keras
import numpy as np
import pytest

from keras_pose.skeleton import SIDE_COLORS, Skeleton

MOUSE = ["snout", "leftear", "rightear", "tailbase"]

# What the package's files repair in the published descriptions: file -> fields that differ.
REPAIRED = {
    "ap10k": {"lower_body", "upper_body"},
    "coco_aic": {"joint_weights"},
    "humanart_aic": {"joint_weights"},
    "deepfashion2": {"flip_indices"},
}


def published_names(shared):
    return sorted(path.stem for path in (shared / "zoo/metainfo").glob("*.json"))


def published(shared, name):
    return json.loads((shared / f"zoo/metainfo/{name}.json").read_text())


def test_every_published_skeleton_is_in_the_package(shared):
    assert Skeleton.names() == published_names(shared)
    assert len(Skeleton.names()) == 55


@pytest.mark.parametrize("name", Skeleton.names())
def test_file_equals_the_published_facts_except_for_repairs(name, shared):
    facts, skeleton = published(shared, name), Skeleton.load(name)
    points, links = facts["keypoints"], facts["skeleton"]
    expected = {
        "keypoints": [point["name"] for point in points],
        "links": [link["ids"] for link in links],
        "flip_indices": facts["flip_indices"],
        "sigmas": facts["sigmas"] or None,
        "joint_weights": facts["joint_weights"],
        "keypoint_colors": [point["color"] for point in points],
        "link_colors": [link["color"] for link in links],
        "upper_body": facts["upper_body_ids"],
        "lower_body": facts["lower_body_ids"],
    }
    differing = set()
    for field, value in expected.items():
        actual = getattr(skeleton, field)
        if actual is None or value is None:
            same = actual is value
        elif field in ("sigmas", "joint_weights"):
            same = np.array_equal(actual, np.float32(value))
        else:
            same = list(map(str, np.array(actual).tolist())) == list(map(str, value))
        if not same:
            differing.add(field)
    assert skeleton.name == name
    assert differing == REPAIRED.get(name, set())


@pytest.mark.parametrize("name", Skeleton.names())
def test_flip_indices_are_an_involution(name):
    flip = Skeleton.load(name).flip_indices
    np.testing.assert_array_equal(flip[flip], np.arange(len(flip)))


@pytest.mark.parametrize("name", Skeleton.names())
def test_dict_file_and_config_round_trips(name, tmp_path):
    skeleton = Skeleton.load(name)
    skeleton.save(tmp_path / "skeleton.json")
    for other in (
        Skeleton.load(tmp_path / "skeleton.json"),
        Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))),
        Skeleton.from_config(json.loads(json.dumps(skeleton.get_config()))),
    ):
        assert other == skeleton


def test_repairs():
    aic = Skeleton.load("coco_aic")
    assert aic.joint_weights.shape == (19,) and aic.joint_weights[aic.index("neck")] == 1
    fashion = Skeleton.load("deepfashion2")
    assert fashion.flip_indices[fashion.index("vest_kpt13")] == fashion.index("vest_kpt9")
    tiger = Skeleton.load("ap10k")
    assert {tiger.index("L_F_Paw"), tiger.index("R_F_Paw")} <= set(tiger.upper_body.tolist())


@pytest.mark.parametrize("name", sorted(REPAIRED))
def test_repaired_files_say_so(name):
    from keras_pose.paths import PRESETS

    assert json.loads((PRESETS / f"skeletons/{name}.json").read_text())["notes"]


def test_guessed_pairs_never_contradict_the_published_ones(shared):
    for name in Skeleton.names():
        facts = published(shared, name)
        declared = {frozenset((p["name"], p["swap"])) for p in facts["keypoints"] if p["swap"]}
        guessed = Skeleton.guess_swaps([p["name"] for p in facts["keypoints"]])
        assert {frozenset(pair) for pair in guessed} <= declared, name


@pytest.mark.parametrize(
    "left, right",
    [
        ("left_eye", "right_eye"),
        ("Eye_Left", "Eye_Right"),
        ("leftear", "rightear"),
        ("LEFT HIP", "RIGHT HIP"),
        ("medial_left_hip", "medial_right_hip"),
        ("L_Eye", "R_Eye"),
        ("hip.l", "hip.r"),
        ("l1", "r1"),
        ("eyeL", "eyeR"),
        ("forelegL1", "forelegR1"),
        ("LShoulder", "RShoulder"),
        ("lShoulder", "rShoulder"),
    ],
)
def test_guess_swaps_understands(left, right):
    assert Skeleton.guess_swaps(["nose", right, left]) == [(left, right)]


@pytest.mark.parametrize("names", [["cleft", "nose"], ["left_eye"], ["tail", "ears"]])
def test_guess_swaps_sees_no_pairs_in(names):
    assert Skeleton.guess_swaps(names) == []


def test_names_alone_make_a_skeleton():
    mouse = Skeleton("mouse", MOUSE)
    assert mouse.flip_indices.tolist() == [0, 2, 1, 3]
    assert mouse.links.shape == (0, 2) and mouse.link_colors.shape == (0, 3)
    assert mouse.sigmas is None and mouse.joint_weights.tolist() == [1, 1, 1, 1]
    expected = [SIDE_COLORS[side] for side in (None, "left", "right", None)]
    assert mouse.keypoint_colors.tolist() == list(map(list, expected))


def test_no_swaps_is_not_the_same_as_unknown_swaps():
    assert Skeleton("mouse", MOUSE, swaps=()).flip_indices.tolist() == [0, 1, 2, 3]


def test_names_and_indices_mean_the_same():
    by_name = Skeleton("m", MOUSE, links=[("snout", "leftear")], swaps=[("leftear", "rightear")])
    assert by_name == Skeleton("m", MOUSE, links=[(0, 1)], swaps=[(1, 2), (2, 1)])


def test_links_take_the_colour_of_their_side():
    mouse = Skeleton("mouse", MOUSE, links=[(0, 1), (0, 2), (0, 3), (1, 2)])
    expected = [SIDE_COLORS[side] for side in ("left", "right", None, None)]
    assert mouse.link_colors.tolist() == list(map(list, expected))


def test_pairs_whose_names_tell_no_side_still_get_two_colours():
    face = Skeleton("face", ["kpt-0", "kpt-1", "kpt-2"], swaps=[(0, 2)])
    assert len({tuple(color) for color in face.keypoint_colors.tolist()}) == 3


def test_a_dict_written_by_hand_may_be_short():
    mouse = Skeleton.from_dict(
        {"name": "mouse", "keypoints": MOUSE, "links": [["snout", "tailbase"]]}
    )
    assert mouse == Skeleton("mouse", MOUSE, links=[(0, 3)])


def test_values_cannot_be_changed_by_accident():
    with pytest.raises(ValueError):
        Skeleton.load("coco").flip_indices[0] = 3


def test_keras_serialises_it():
    coco = Skeleton.load("coco")
    data = keras.saving.serialize_keras_object(coco)
    assert data["registered_name"] == "keras_pose>Skeleton"
    assert keras.saving.deserialize_keras_object(data) == coco == Skeleton.resolve(data)


def test_resolve_accepts_every_form(tmp_path):
    coco = Skeleton.load("coco")
    coco.save(tmp_path / "mine.json")
    path = tmp_path / "mine.json"
    for form in (coco, "coco", path, str(path), coco.to_dict()):
        assert Skeleton.resolve(form) == coco


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": ""}, "non-empty"),
        ({"keypoints": []}, "at least one"),
        ({"keypoints": "nose"}, "list of names"),
        ({"keypoints": ["a", "b", "a"]}, "two keypoints called 'a'"),
        ({"links": [("snout", "tail")]}, "links.*'tail'.*tailbase"),
        ({"links": [(0, 4)]}, "links.*4"),
        ({"links": [(1, 1)]}, "two different"),
        ({"links": [("snout", 0)]}, "two different"),
        ({"links": ["snout"]}, "pairs"),
        ({"links": [(0, 1), (1, 0)]}, "linked twice"),
        ({"swaps": [("leftear", "rightear"), ("snout", "rightear")]}, "swaps with both"),
        ({"sigmas": [0.1]}, "sigmas must be 4"),
        ({"sigmas": [0.1, 0.1, 0, 0.1]}, "above 0"),
        ({"joint_weights": [1, 1, 1, float("nan")]}, "finite"),
        ({"keypoint_colors": [(0, 0, 0)]}, "4 RGB"),
        ({"keypoint_colors": [(0, 0, 256)] * 4}, "0..255"),
        ({"link_colors": [(0, 0, 0)]}, "0 RGB"),
        ({"upper_body": ["snout"], "lower_body": [0]}, "upper_body and lower_body"),
    ],
)
def test_constructor_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Skeleton(**({"name": "mouse", "keypoints": MOUSE} | arguments))


@pytest.mark.parametrize(
    "data, message",
    [
        ([], "must be a dict"),
        ({"name": "m"}, "needs"),
        ({"name": "m", "keypoints": ["a"], "sigma": []}, "has no .'sigma'"),
        ({"name": "m", "keypoints": [{"name": "a", "swap": "b"}, {"name": "b"}]}, "swaps with"),
        ({"name": "m", "keypoints": [{"name": "a", "swap": "z"}]}, "'z'"),
        ({"name": "m", "keypoints": ["a", "b"], "links": [["a"]]}, "pairs of two"),
        ({"name": "m", "keypoints": [{"name": "a", "part": "middle"}]}, "middle"),
        ({"name": "m", "keypoints": [{"name": "a", "color": [1, 2, 3]}, "b"]}, "color"),
    ],
)
def test_from_dict_refuses(data, message):
    with pytest.raises(ValueError, match=message):
        Skeleton.from_dict(data)


def test_unknown_names_get_suggestions():
    with pytest.raises(ValueError, match="coco"):
        Skeleton.load("cocoo")
    with pytest.raises(ValueError, match="left_wrist"):
        Skeleton.load("coco").index("left_wirst")


def test_bad_files_give_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        Skeleton.load(tmp_path / "nothing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json is not a JSON file"):
        Skeleton.load(tmp_path / "bad.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match=r"list\.json"):
        Skeleton.load(tmp_path / "list.json")


def test_some_keypoints_make_a_skeleton_of_their_own():
    coco = Skeleton.load("coco")
    arms = coco.select(["right_wrist", "left_wrist", "left_elbow"], name="arms")
    assert arms.keypoints == ("right_wrist", "left_wrist", "left_elbow")
    assert arms.flip_indices.tolist() == [1, 0, 2]
    assert arms.links.tolist() == [[2, 1]]
    np.testing.assert_array_equal(arms.sigmas, coco.sigmas[[10, 9, 7]])
    np.testing.assert_array_equal(arms.keypoint_colors, coco.keypoint_colors[[10, 9, 7]])


def test_no_keypoint_is_selected_twice():
    with pytest.raises(ValueError, match="has two keypoints called 'nose'"):
        Skeleton.load("coco").select(["nose", 0])
