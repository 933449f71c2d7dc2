"""DeepLabCut and lightning-pose: label tables and projects."""

import json

import numpy as np
import pytest

from keras_pose.datasets import import_dataset


def _write(sources, tmp_path, text):
    sources.images(tmp_path / "labeled-data/clip")
    path = tmp_path / "CollectedData_me.csv"
    path.write_text(text)
    return path


def _points(row):
    return np.array(row["keypoints"]).reshape(-1, 3)


def test_several_animals_and_the_scene(sources, tmp_path):
    """Four rows of heads; what exists once belongs to the individual `single`."""
    heads = ["scorer" + 10 * ",me", "individuals,m1,m1,m1,m1,m2,m2,m2,m2,single,single"]
    heads += ["bodyparts,nose,nose,tail,tail,nose,nose,tail,tail,door,door", "coords" + 5 * ",x,y"]
    rows = [
        "labeled-data/clip/a.png,1,2,3,4,11,12,13,14,30,5",
        "labeled-data/clip/b.png,,,5,6,,,,,,",
    ]
    imported = import_dataset(_write(sources, tmp_path, "\n".join(heads + rows)))
    first, second = imported.coco["categories"]
    assert first["keypoints"] == ["nose", "tail"] and second["keypoints"] == ["door"]
    rows = imported.coco["annotations"]
    assert [row["category_id"] for row in rows] == [1, 1, 2, 1]
    assert [row["individual"] for row in rows] == ["m1", "m2", "single", "m1"]
    assert _points(rows[1]).tolist() == [[11, 12, 2], [13, 14, 2]]
    assert _points(rows[3]).tolist() == [[0, 0, 0], [5, 6, 2]]
    assert len(imported.dataset("animal")) == 3


def test_paths_in_three_columns(sources, tmp_path):
    text = sources.table().replace("scorer,", "scorer,,,").replace("bodyparts,", "bodyparts,,,")
    text = text.replace("coords,", "coords,,,").replace("labeled-data/clip/", "labeled-data,clip,")
    imported = import_dataset(_write(sources, tmp_path, text))
    assert [i["file_name"] for i in imported.coco["images"]] == [
        "labeled-data/clip/a.png",
        "labeled-data/clip/b.png",
    ]
    assert _points(imported.coco["annotations"][0])[1].tolist() == [8.5, 6, 2]


def test_paths_with_backslashes(sources, tmp_path):
    text = sources.table().replace("labeled-data/clip/", "labeled-data\\clip\\")
    assert import_dataset(_write(sources, tmp_path, text)).report.images == 2


def test_a_config_orders_the_keypoints_and_says_the_links(sources, tmp_path):
    path = sources.deeplabcut(tmp_path)
    config = sources.CONFIG.replace("- nose\n- left_ear", "- tail\n- left_ear\n- nose")
    (tmp_path / "config.yaml").write_text(config + "- - nose\n  - wing\n")
    imported = import_dataset(path / "config.yaml")
    assert imported.skeleton.keypoints == ("tail", "left_ear", "nose", "right_ear")
    assert imported.skeleton.links.tolist() == [[2, 1], [2, 3]]
    assert _points(imported.coco["annotations"][0])[[0, 2]].tolist() == [[0, 0, 0], [10, 12, 2]]
    assert "1 links in `skeleton` of config.yaml" in str(imported.report)


def test_half_a_keypoint_is_none_and_counted(sources, tmp_path):
    text = sources.table().replace(",8.5,6,", ",,6,")
    imported = import_dataset(_write(sources, tmp_path, text))
    assert _points(imported.coco["annotations"][0])[1].tolist() == [0, 0, 0]
    assert imported.report.skipped["keypoints of which only x or only y is there"][0] == 1


def test_a_frame_without_labels_stays_as_an_image(sources, tmp_path):
    text = sources.table().rsplit("\n", 2)[0] + "\nlabeled-data/clip/b.png,,,,,,\n"
    imported = import_dataset(_write(sources, tmp_path, text))
    assert imported.report.images == 2 and imported.report.objects == {"animal": 1}
    assert imported.report.skipped["objects without a labelled keypoint"][0] == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("coords,x,y", "coords,x,z", r"has no column \('nose', 'y'\)"),
        (",8.5,", ",eight,", "x of left_ear of labeled-data/clip/a.png must be a number"),
        (",8.5,", ",inf,", "must be a finite number"),
        (",8.5,", ",1e9,", "the coordinate 1e.09, which is no place in an image"),
        (",8.5,6,", ",8.5,6,7,", "has 8 columns, the heads 7"),
        ("bodyparts,nose,nose", "bodyparts,nose", "row 'bodyparts' has 5 columns"),
        ("left_ear,left_ear", "nose,nose", "two columns of the same bodypart"),
        ("coords", "cords", "no row of heads 'coords'"),
        ("labeled-data/clip/a.png", "0", None),
        ("scorer", "scorer", None),
    ],
)
def test_damaged_tables(sources, tmp_path, old, new, words):
    path = _write(sources, tmp_path, sources.table().replace(old, new))
    if words is None:
        assert import_dataset(path).report.images >= 1
        return
    with pytest.raises(ValueError, match=words):
        import_dataset(path)


def test_predictions_for_a_video_are_refused(sources, tmp_path):
    text = sources.table().replace("labeled-data/clip/a.png", "0")
    path = _write(sources, tmp_path, text.replace("labeled-data/clip/b.png", "1"))
    with pytest.raises(ValueError, match="predictions for a video"):
        import_dataset(path)


def test_unknown_bodyparts_are_named(sources, tmp_path):
    path = sources.deeplabcut(tmp_path)
    (tmp_path / "config.yaml").write_text(sources.CONFIG.replace("- right_ear\nsk", "sk"))
    with pytest.raises(
        ValueError, match=r"labels 'right_ear', which is not among the bodyparts of"
    ):
        import_dataset(path)


def test_a_project_without_tables_says_so(sources, tmp_path):
    (tmp_path / "config.yaml").write_text(sources.CONFIG)
    with pytest.raises(FileNotFoundError, match="no label table labeled-data"):
        import_dataset(tmp_path)


def test_a_pickle_in_a_table_is_not_executed(tmp_path, sources):
    """The heads of an appendable table are a pickle, which may name any function."""
    import h5py

    path = tmp_path / "CollectedData_me.h5"
    dtype = np.dtype([("index", "S8"), ("values_block_0", "f8", (2,))])
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = "frame_table"
        table = group.create_dataset("table", data=np.zeros(1, dtype))
        table.attrs["values_block_0_kind"] = np.bytes_(b"cposix\nsystem\n(S'false'\ntR.")
    with pytest.raises(ValueError, match=r"described by posix\.system, which is not read"):
        import_dataset(path)


def test_the_open_field_project(shared):
    """Equal to the labels that were made of the same table by hand."""
    data = shared / "data/dlc_openfield"
    if not data.is_dir():
        pytest.skip("the data set dlc_openfield is not there")
    imported = import_dataset(data / "project", images=data / "images")
    expected = json.loads((data / "annotations/all.json").read_text())
    names = [image["file_name"] for image in imported.coco["images"]]
    assert names == [image["file_name"] for image in expected["images"]]
    assert imported.coco["categories"][0]["keypoints"] == expected["categories"][0]["keypoints"]
    got = np.array([row["keypoints"] for row in imported.coco["annotations"]])
    np.testing.assert_allclose(
        got, [row["keypoints"] for row in expected["annotations"]], atol=6e-4
    )
    assert imported.report.skipped["images without a file"][0] == 12
    assert imported.skeleton.flip_indices.tolist() == [0, 2, 1, 3]
    table = data / "project/labeled-data/m4s1/CollectedData_Pranav.h5"
    other = import_dataset(table, images=data / "images")
    assert other.coco["annotations"] == imported.coco["annotations"]


def test_the_mirror_mouse_table(shared):
    data = shared / "data/mirror_mouse"
    if not data.is_dir():
        pytest.skip("the data set mirror_mouse is not there")
    imported = import_dataset(data / "CollectedData.csv")
    expected = {}
    for split in ("train", "val"):
        document = json.loads((data / f"annotations/{split}.json").read_text())
        names = {image["id"]: image["file_name"] for image in document["images"]}
        for row in document["annotations"]:
            expected[f"images/{names[row['image_id']]}"] = row["keypoints"]
    names = {image["id"]: image["file_name"] for image in imported.coco["images"]}
    got = {names[row["image_id"]]: row["keypoints"] for row in imported.coco["annotations"]}
    assert got.keys() == expected.keys()
    for name, points in got.items():
        np.testing.assert_allclose(points, expected[name], atol=6e-3)
    assert imported.skeleton.flip_indices.tolist() == list(range(17))
