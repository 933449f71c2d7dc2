"""dlib, MPII's MATLAB file, and COCO files of other tools."""

import json

import numpy as np
import pytest

from keras_pose.datasets import import_dataset
from keras_pose.skeleton import Skeleton


def _edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return path


def test_dlib_boxes_to_ignore_are_crowds(sources, tmp_path):
    path = _edit(sources.dlib(tmp_path), '<box left="1"', '<box ignore="1" left="1"')
    rows = import_dataset(path).coco["annotations"]
    assert [row["iscrowd"] for row in rows] == [0, 1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('x="8.5"', 'x="far"', "part x must be a number, got 'far'"),
        ('top="2"', "", "top must be a number, got None"),
        ("part", "dot", "no boxes with named parts"),
        ("<images>", "<pictures>", "is not an XML file"),
    ],
)
def test_dlib_damaged(sources, tmp_path, old, new, words):
    with pytest.raises(ValueError, match=words):
        import_dataset(_edit(sources.dlib(tmp_path), old, new))


@pytest.mark.parametrize("split", ["training", "testing"])
def test_dlib_faces(shared, split):
    data = shared / "data/face68_dlib"
    if not data.is_dir():
        pytest.skip("the data set face68_dlib is not there")
    imported = import_dataset(data / f"{split}_with_face_landmarks.xml", skeleton="300w")
    name = {"training": "train", "testing": "test"}[split]
    expected = json.loads((data / f"annotations/{name}.json").read_text())
    assert len(imported.coco["images"]) == len(expected["images"])
    for row, other in zip(imported.coco["annotations"], expected["annotations"], strict=True):
        assert row["keypoints"] == other["keypoints"]
        assert row["bbox"] == other["bbox"]
    assert imported.skeleton == Skeleton.load("300w")


def test_mpii_boxes_heads_and_splits(sources, tmp_path):
    pytest.importorskip("scipy")
    imported = import_dataset(sources.mpii(tmp_path))
    assert imported.skeleton.keypoints == Skeleton.load("mpii").keypoints
    assert imported.report.splits == {"train": 1, "test": 1}
    first, second = imported.coco["annotations"]
    assert first["keypoints"][:9] == [10, 12, 2, 8.5, 6, 1, 20, 5, 2]
    assert (first["num_keypoints"], second["num_keypoints"]) == (3, 2)
    # 0.1 times 200 pixels around (15, 12)
    assert first["bbox"] == [5, 2, 20, 20]
    assert first["head_box"] == [2, 3, 8, 11]


def test_mpii_sample(shared, tmp_path, sources):
    pytest.importorskip("scipy")
    path = shared / "data/importers/mpii_mat/mpii_human_pose_v1_u12_1.mat"
    if not path.is_file():
        pytest.skip("the importers' samples are not there")
    import cv2

    for number in (1, 2, 3):
        picture = np.zeros((720, 1280, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / f"00000000{number}.jpg"), picture)
    imported = import_dataset(path, images=tmp_path)
    assert imported.report.objects == {"person": 4}
    first = imported.coco["annotations"][0]
    # ankle (620, 394) and a person of scale 3.021 around (594, 257), counted from 1
    assert first["keypoints"][:3] == [619, 393, 2]
    assert first["keypoints"][9:12] == [646, 187, 1]
    np.testing.assert_allclose(first["bbox"], [290.9, 0, 604.2, 558.1], atol=1e-3)


def test_coco_keeps_what_it_does_not_read(sources, tmp_path):
    imported = import_dataset(sources.coco(tmp_path))
    assert [image["id"] for image in imported.coco["images"]] == [7, 8]
    assert [row["id"] for row in imported.coco["annotations"]] == [10, 11]
    assert imported.coco["annotations"][0]["track_id"] == 3
    assert imported.report.skipped["objects of categories without keypoints"][0] == 1
    assert imported.coco["categories"][0]["skeleton"] == [[1, 2], [1, 3]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("categories"), "has no list `categories`"),
        (lambda d: d["images"][1].update(id=7), "image id 7 occurs twice"),
        (lambda d: d["images"][1].update(id="8"), "image 1 needs an integer `id`, got '8'"),
        (lambda d: d["annotations"][1].update(image_id=3), "has the image_id 3, which the file"),
        (lambda d: d["annotations"][1].update(category_id=[]), "has the category_id a list, which"),
        (
            lambda d: d["annotations"][1]["keypoints"].pop(),
            r"has 2\.6+\d* keypoints, its category 3",
        ),
        (
            lambda d: d["annotations"][1]["keypoints"].__setitem__(0, None),
            "must be a number, got None",
        ),
        (lambda d: d["annotations"][1]["keypoints"].__setitem__(2, 7), "must be 0, 1 or 2"),
        (lambda d: d["annotations"][1].update(bbox=[1, 2]), "bbox must be x, y, width, height"),
        (lambda d: d["annotations"][1].update(iscrowd="no"), "iscrowd must be 0 or 1"),
        (
            lambda d: d["categories"][1].update(keypoints=["a", "a", "b"]),
            "two keypoints called 'a'",
        ),
    ],
)
def test_coco_damaged(sources, tmp_path, change, words):
    path = sources.coco(tmp_path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=words):
        import_dataset(path)


def test_coco_of_two_splits(shared):
    data = shared / "data/importers/datumaro_coco_keypoints"
    if not data.is_dir():
        pytest.skip("the importers' samples are not there")
    imported = import_dataset(data)
    assert imported.report.splits == {"train": 1, "val": 1}
    assert imported.report.objects == {"a": 1}
    assert imported.skeleton.links.tolist() == [[0, 1], [1, 2]]
