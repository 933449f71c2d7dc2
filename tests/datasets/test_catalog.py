"""The catalog of data sets: rows of JSON that agree with the readers and skeletons."""

import inspect
import json

import cv2
import numpy as np
import pytest

from keras_pose.datasets import dataset_names, describe, load
from keras_pose.datasets.catalog import FOLDER
from keras_pose.datasets.readers import READERS, find_reader
from keras_pose.skeleton import Skeleton

KEYS = [
    "name",
    "reader",
    "settings",
    "skeleton",
    "homepage",
    "licence",
    "reference_class",
    "notes",
]


@pytest.mark.parametrize("name", dataset_names())
def test_row_names_what_exists(name):
    row = describe(name)
    assert list(row) == KEYS and row["name"] == name
    assert row["skeleton"] in Skeleton.names()
    assert row["reader"] in READERS
    assert row["homepage"].startswith("http") and row["licence"]
    parameters = inspect.signature(find_reader(row["reader"])).parameters
    assert set(row["settings"]) <= set(parameters)


def test_every_row_is_a_file_of_its_name():
    assert {json.loads(path.read_text())["name"] for path in FOLDER.glob("*.json")} == set(
        dataset_names()
    )


def test_unknown_names_get_a_hint():
    with pytest.raises(ValueError, match=r"unknown data set 'crowdpos'; did you mean crowdpose"):
        describe("crowdpos")


def test_unknown_settings_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"'coco' has no setting 'interval'; it has .*sample_"):
        load("coco", {}, tmp_path, interval=2)


def test_unknown_readers_are_named():
    with pytest.raises(ValueError, match=r"no reader 'xml'; there are .*coco"):
        find_reader("xml")


def points(count, at=5.0):
    return [value for i in range(count) for value in (at + i, at, 2)]


def coco(annotations, **image):
    return {
        "images": [{"id": 4, "file_name": "4.png", "width": 200, "height": 100, **image}],
        "annotations": [
            {"id": number, "image_id": 4, "category_id": 1, **annotation}
            for number, annotation in enumerate(annotations, start=1)
        ],
        "categories": [{"id": 1, "name": "object"}],
    }


@pytest.mark.parametrize("name", ["mhp", "cofw", "macaque", "onehand10k"])
def test_data_sets_without_a_parsed_sample_are_plain_coco(name, tmp_path):
    count = Skeleton.load(describe(name)["skeleton"]).num_keypoints
    data = coco([{"bbox": [-5, 2, 50, 60], "keypoints": points(count)}])
    dataset = load(name, data, tmp_path)
    assert dataset.boxes.tolist() == [[0, 2, 45, 62]]
    assert dataset.num_keypoints.tolist() == [count]


@pytest.mark.parametrize(
    ("name", "file", "objects"),
    [
        ("cofw", "cofw/test_cofw.json", 2),
        ("macaque", "macaque/test_macaque.json", 2),
        ("onehand10k", "onehand10k/test_onehand10k.json", 4),
    ],
)
def test_data_sets_without_a_parsed_sample_read_real_files(shared, name, file, objects):
    path = shared / "data" / "format_samples" / file
    dataset = load(name, path, path.parent)
    assert len(dataset) == objects
    dataset.check_images()
    low, high = np.nanmin(dataset.keypoints, axis=1), dataset.keypoints.max(axis=1)
    assert (low >= -1).all() and (high <= dataset.image_sizes).all()
    middles = (dataset.boxes[:, :2] + dataset.boxes[:, 2:]) / 2
    labelled = dataset.visible[..., None] > 0
    means = (dataset.keypoints * labelled).sum(1) / labelled.sum(1)
    sides = dataset.boxes[:, 2:] - dataset.boxes[:, :2]
    assert (np.abs(means - middles) < sides / 2).all()


def test_first_pixel_of_jhmdb_is_one(tmp_path):
    data = coco([{"bbox": [11, 11, 20, 20], "keypoints": points(15)}])
    dataset = load("jhmdb", data, tmp_path)
    assert dataset.boxes.tolist() == [[10, 10, 30, 30]]
    assert dataset.keypoints[0, 0].tolist() == [4, 4]
    # the ground truth is what was read, not the file's pixels
    assert dataset.annotations["annotations"][0]["bbox"] == [10, 10, 20, 20]


def test_ignored_regions_keep_run_lengths_whole(tmp_path):
    """The reference leaves the keys of a run-length dict among the polygons."""
    crowd = {"size": [100, 200], "counts": [0, 20000]}
    body = {"bbox": [1, 1, 20, 20], "keypoints": points(17)}
    unlabelled = {"bbox": [1, 1, 20, 20], "keypoints": [0] * 51, "num_keypoints": 0}
    polygons = [[1, 1, 5, 1, 5, 5], [7, 7, 9, 7, 9, 9]]
    data = coco(
        [
            {**unlabelled, "segmentation": polygons},
            {**body, "iscrowd": 1, "segmentation": crowd},
            {**body, "segmentation": [[3, 3, 4, 3, 4, 4]]},
            {**unlabelled},
        ]
    )
    for drop in (True, False):
        dataset = load("coco", data, tmp_path, drop_unlabelled=drop)
        assert dataset.ignored == {4: [*polygons, crowd]}


def test_two_subsets_of_deepfashion_do_not_touch_each_other(tmp_path):
    """In the reference the second one changes the skeleton of the first."""
    full = load("deepfashion_full", coco([]), tmp_path)
    upper = load("deepfashion_upper", coco([]), tmp_path)
    assert (full.skeleton.num_keypoints, upper.skeleton.num_keypoints) == (8, 6)


def hands(**more):
    empty = {"box": [0, 0, 0, 0], "kpts": [0] * 63, "valid": False}
    return {
        f"{side}hand_{key}": value
        for side, hand in {"left": empty, "right": empty, **more}.items()
        for key, value in hand.items()
    }


def test_hands_know_their_side_and_keep_the_interval(tmp_path):
    """The reference reads hands of all images, whatever the interval."""
    hand = {"box": [150, 80, 100, 60], "kpts": points(21), "valid": True}
    data = coco([hands(right=hand), hands(left=hand, right=hand), hands()])
    dataset = load("coco_wholebody_hand", data, tmp_path)
    assert dataset.ids.tolist() == [1, 2, 3]
    assert dataset.extras["hand_type"].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert dataset.boxes[0].tolist() == [150, 80, 250, 140]
    assert len(load("coco_wholebody_hand", data, tmp_path, sample_interval=3)) == 0
    assert len(load("coco_wholebody_hand", data, tmp_path, sample_interval=2)) == 3


def test_whole_bodies_are_true_with_all_their_points(tmp_path):
    fields = {
        "keypoints": points(17),
        "foot_kpts": points(6, at=20),
        "face_kpts": points(68, at=30),
        "lefthand_kpts": points(21, at=40),
        "righthand_kpts": points(21, at=50),
    }
    fields["face_kpts"][2::3] = [0.5] * 68
    data = coco([{"bbox": [1, 1, 90, 90], "num_keypoints": 17, **fields}])
    dataset = load("coco_wholebody", data, tmp_path)
    assert dataset.keypoints[0, [0, 17, 23, 91, 112], 1].tolist() == [5, 20, 30, 40, 50]
    assert dataset.visible.all()
    assert len(dataset.annotations["annotations"][0]["keypoints"]) == 399


def test_extras_are_nothing_where_the_file_has_none(tmp_path):
    face = {"center": [50, 50], "scale": 0.4, "keypoints": points(19), "num_keypoints": 19}
    dataset = load("aflw", coco([{**face, "box_size": 80}, face]), tmp_path)
    np.testing.assert_array_equal(dataset.extras["box_sizes"], [80, np.nan])
    np.testing.assert_allclose(dataset.boxes[0], [10, 10, 90, 90], rtol=1e-6)


def mpii_entry(**changes):
    return {
        "image": "000012.png",
        "center": [50.0, 40.0],
        "scale": 0.2,
        "joints": [[10.0 + i, 20.0] for i in range(16)],
        "joints_vis": [1] * 16,
        **changes,
    }


@pytest.fixture
def mpii_folder(tmp_path):
    cv2.imwrite(str(tmp_path / "000012.png"), np.zeros((60, 80, 3), np.uint8))
    return tmp_path


def test_boxes_of_mpii(mpii_folder):
    people = load("mpii", [mpii_entry(), mpii_entry(center=[-1, 40.0])], mpii_folder)
    # 200 pixels a scale; 15 lower; counted from 1
    np.testing.assert_allclose(people.boxes[0], [29, 22, 69, 62], rtol=1e-6)
    np.testing.assert_allclose(people.boxes[1], [-22, 19, 18, 59], rtol=1e-6)
    assert people.image_ids.tolist() == [12, 12] and people.ids.tolist() == [1, 2]
    assert people.image_sizes.tolist() == [[80, 60]] * 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"images": []}, "must be a JSON list of people"),
        ([mpii_entry(), {"image": "1.png"}], "entry 2 .*has no `center`"),
        ([mpii_entry(image="a.png")], "must be named after a number"),
        ([mpii_entry(joints=[[1, 2]])], "`joints` of every annotation must be a list of 32"),
        ([mpii_entry(scale="big")], "`scale` of annotation 1 must be a number"),
    ],
)
def test_faults_of_mpii_are_named(mpii_folder, data, message):
    with pytest.raises(ValueError, match=f"^mice.* {message}"):
        load("mpii", data, mpii_folder, name="mice")


def test_head_boxes_must_fit(mpii_folder):
    pytest.importorskip("scipy")
    from scipy.io import savemat

    savemat(mpii_folder / "boxes.mat", {"headboxes_src": np.zeros((2, 2, 3))})
    with pytest.raises(ValueError, match=r"shape \(2, 2, 1\).*got \(2, 2, 3\)"):
        load("mpii", [mpii_entry()], mpii_folder, head_boxes=mpii_folder / "boxes.mat")
    with pytest.raises(FileNotFoundError, match="no file of head boxes"):
        load("mpii", [mpii_entry()], mpii_folder, head_boxes=mpii_folder / "none.mat")
    (mpii_folder / "wrong.mat").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"no \.mat file"):
        load("mpii", [mpii_entry()], mpii_folder, head_boxes=mpii_folder / "wrong.mat")
