"""YOLO-pose data sets."""

import json

import numpy as np
import pytest

from keras_pose.datasets import import_dataset


def _edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def _label(root, text):
    (root / "labels/train/a.txt").write_text(text)


def test_two_numbers_a_keypoint(sources, tmp_path):
    root = sources.yolo(tmp_path)
    _edit(root / "mice.yaml", "[3, 3]", "[3, 2]")
    _label(root, "1 0.5 0.5 0.2 0.4 0.25 0.5 0 0 1 1")
    (root / "labels/val/b.txt").unlink()
    imported = import_dataset(root / "mice.yaml")
    (row,) = imported.coco["annotations"]
    assert row["keypoints"] == [10, 15, 2, 0, 0, 0, 40, 30, 2]
    assert imported.coco["categories"][row["category_id"] - 1]["name"] == "rat"
    assert row["bbox"] == [16, 9, 8, 12]
    assert imported.report.images == 2  # the one without labels too


def test_lists_of_images_and_of_folders(sources, tmp_path):
    root = sources.yolo(tmp_path)
    (root / "train.txt").write_text("images/train/a.png\n\nimages/val/b.png\n")
    _edit(root / "mice.yaml", "train: images/train\nval: images/val", "train: train.txt")
    assert import_dataset(root).report.splits == {"train": 2}
    _edit(root / "mice.yaml", "train: train.txt", "train: [images/train, images/val]")
    assert import_dataset(root).report.splits == {"train": 2}


def test_an_image_of_two_splits_is_read_once(sources, tmp_path):
    root = sources.yolo(tmp_path)
    _edit(root / "mice.yaml", "val: images/val", "val: [images/val, images/train]")
    report = import_dataset(root).report
    assert report.images == 2
    assert report.skipped["images that are in two splits, kept in the first"][0] == 1


def test_seventeen_keypoints_with_cocos_pairs_are_cocos(sources, tmp_path):
    root = sources.yolo(tmp_path)
    flips = [0, *(i + 1 if i % 2 else i - 1 for i in range(1, 17))]
    settings = f"train: images/train\nkpt_shape: [17, 2]\nflip_idx: {flips}\nnames: [person]\n"
    (root / "mice.yaml").write_text(settings)
    _label(root, "0 0.5 0.5 0.2 0.4 " + " ".join(["0.5"] * 34))
    assert import_dataset(root).skeleton.name == "coco"


def test_numbers_stand_for_names_that_are_missing(sources, tmp_path):
    root = sources.yolo(tmp_path)
    settings = (root / "mice.yaml").read_text().split("kpt_names")[0]
    (root / "mice.yaml").write_text(settings)
    imported = import_dataset(root)
    assert imported.skeleton.keypoints == ("keypoint_0", "keypoint_1", "keypoint_2")
    assert imported.skeleton.flip_indices.tolist() == [0, 2, 1]
    assert "keypoint_1-keypoint_2 (from flip_idx)" in str(imported.report)
    assert "does not name the keypoints" in str(imported.report)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2 .5 .5 .2 .4 .1 .1 2 .1 .1 2 .1 .1 2", "line 1: class 2 is not among the 2"),
        ("0.5 .5 .5 .2 .4 .1 .1 2 .1 .1 2 .1 .1 2", "class must be a whole number"),
        ("0 .5 .5 .2 .4 .1 .1 2 .1 .1 2 .1 .1", "expected 14 numbers .* got 13"),
        ("\n0 .5 .5 .2 .4 .1 nan 2 .1 .1 2 .1 .1 2", "line 2 must be a finite number, got 'nan'"),
        ("0 .5 .5 .2 .4 .1 .1 3 .1 .1 2 .1 .1 2", "visibility must be 0, 1 or 2, got 3"),
        (
            "0 20 15 8 12 10 15 2 .1 .1 2 .1 .1 2",
            "shares of the image's sides .0 to 1., not pixels",
        ),
        ("0 .5 .5 .2 x .1 .1 2 .1 .1 2 .1 .1 2", "must be a number, got 'x'"),
    ],
)
def test_damaged_label_files(sources, tmp_path, text, words):
    root = sources.yolo(tmp_path)
    _label(root, text)
    with pytest.raises(ValueError, match=words):
        import_dataset(root)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[3, 3]", "[3, 4]", "kpt_shape must be"),
        ("[0, 2, 1]", "[0, 2]", "flip_idx must be 3 numbers"),
        ("[0, 2, 1]", "[1, 2, 0]", "flip_idx must exchange pairs of keypoints, but takes 0 to 1"),
        ("train: images/train", "train: pictures", "neither a folder nor a .txt file"),
        ("names:\n  0: mouse\n  1: rat", "names:", "names must list the classes, got None"),
        ("  1: rat", "  2: rat", "names must number the classes from 0"),
        ("path: .", "path: [", "is not a YAML file"),
    ],
)
def test_damaged_settings(sources, tmp_path, old, new, words):
    root = sources.yolo(tmp_path)
    _edit(root / "mice.yaml", old, new)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        import_dataset(root)


def test_a_twin_row_is_left_out(sources, tmp_path):
    root = sources.yolo(tmp_path)
    label = root / "labels/train/a.txt"
    label.write_text(2 * label.read_text())
    report = import_dataset(root).report
    assert report.objects == {"mouse": 2}
    assert report.skipped["objects that are in a label file twice"][0] == 1


def test_coco8(shared):
    """Eight of COCO's photos: at COCO's own boxes and keypoints, where these are beside it."""
    data = shared / "data/importers/coco8_pose_yolo"
    if not data.is_dir():
        pytest.skip("the importers' samples are not there")
    imported = import_dataset(data)
    assert imported.skeleton.name == "coco"
    assert imported.report.splits == {"train": 4, "val": 4}
    points = np.array([row["keypoints"] for row in imported.coco["annotations"]])
    # COCO's annotations are whole pixels
    np.testing.assert_allclose(points, np.round(points), atol=1e-3)
    assert set(points[:, 2::3].ravel()) == {0, 1, 2}
    json.dumps(imported.coco, allow_nan=False)
