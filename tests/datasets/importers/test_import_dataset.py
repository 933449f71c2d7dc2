"""`import_dataset`: what holds for every format."""

import json

import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, import_dataset, write_coco
from keras_pose.datasets.importers import FORMATS
from keras_pose.images import read_image

NAMES = (
    *("deeplabcut", "lightning_pose", "deeplabcut_h5", "sleap", "yolo", "cvat", "label_studio"),
    *("dlib", "coco"),
)


def _path(sources, name, folder):
    make, can = sources.SOURCES[name]
    return make(folder), can


def test_every_format_has_a_source(sources):
    assert set(NAMES) == set(sources.SOURCES)
    assert {name.split("_")[0] for name in NAMES} | {"mpii", "label-studio"} >= set(FORMATS)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_scene_is_read_from_every_format(sources, tmp_path, name):
    path, can = _path(sources, name, tmp_path)
    imported = import_dataset(path, tmp_path / "out/scene.json")
    coco = json.loads((tmp_path / "out/scene.json").read_text())
    assert coco == imported.coco
    (category,) = coco["categories"]
    assert sorted(category["keypoints"]) == sorted(sources.NAMES)
    order = [category["keypoints"].index(part) for part in sources.NAMES]
    for image, row, expected in zip(
        coco["images"], coco["annotations"], sources.POINTS.values(), strict=True
    ):
        assert (image["width"], image["height"]) == sources.SIZE
        assert read_image(imported.images / image["file_name"]).shape == (30, 40, 3)
        assert row["image_id"] == image["id"]
        points = np.array(row["keypoints"]).reshape(-1, 3)[order]
        expected = np.array(expected, float)
        if "hidden" not in can:
            expected[:, 2] = np.where(expected[:, 2] > 0, 2, 0)
        np.testing.assert_allclose(points, expected, atol=1e-4)
        assert row["num_keypoints"] == (expected[:, 2] > 0).sum()
        assert row["iscrowd"] == 0 and row["area"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_boxes_links_and_pairs(sources, tmp_path, name):
    path, can = _path(sources, name, tmp_path)
    imported = import_dataset(path, images=tmp_path / "frames" if name == "sleap" else None)
    boxes = np.array([row["bbox"] for row in imported.coco["annotations"]], float)
    boxes[:, 2:] += boxes[:, :2]
    if "boxes" in can:
        np.testing.assert_allclose(boxes, list(sources.BOXES.values()), atol=1e-3)
        assert imported.report.boxes_made == 0
    else:  # extent 11.5x7 and 7x15, at least 5 pixels more on every side, inside the image
        np.testing.assert_allclose(boxes, [(3.5, 0, 25, 17), (0, 0, 17, 25)], atol=1e-4)
        assert imported.report.boxes_made == 2
    skeleton = imported.skeleton
    nose, left, right = (skeleton.index(part) for part in sources.NAMES)
    assert skeleton.flip_indices[[nose, left, right]].tolist() == [nose, right, left]
    links = {frozenset(link) for link in skeleton.links.tolist()}
    assert links == (
        {frozenset((nose, left)), frozenset((nose, right))} if "links" in can else set()
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_and_written_again(sources, tmp_path, name):
    path, _ = _path(sources, name, tmp_path)
    imported = import_dataset(path, tmp_path / "scene.json")
    (skeleton,) = imported.files.values()
    first = KeypointDataset.from_coco(tmp_path / "scene.json", imported.images, skeleton)
    assert first.skeleton == imported.skeleton
    first.check_images()
    write_coco(first, tmp_path / "again.json", imported.images)
    second = KeypointDataset.from_coco(tmp_path / "again.json", imported.images, skeleton)
    for field in KeypointDataset.FIELDS:
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field), field)
    assert first.image_paths.tolist() == second.image_paths.tolist()
    states = [json.loads((tmp_path / f"{n}.json").read_text()) for n in ("scene", "again")]
    visible = [[row["keypoints"][2::3] for row in each["annotations"]] for each in states]
    assert visible[0] == visible[1]


def test_the_report_counts_everything(sources, tmp_path):
    path = sources.deeplabcut(tmp_path)
    report = import_dataset(path).report
    assert report.images == 2 and report.objects == {"mouse": 2} and report.complete
    assert report.keypoints == {"seen": 5, "hidden": 0, "not labelled": 1}
    text = str(report)
    for part in ("2 (40x30)", "2 mouse", "5 seen", "left_ear-right_ear (from the names)", "2 made"):
        assert part in text


def test_missing_and_damaged_images_are_left_out_and_counted(sources, tmp_path):
    path = sources.deeplabcut(tmp_path)
    clip = tmp_path / "labeled-data/clip"
    (clip / "b.png").unlink()
    report = import_dataset(path).report
    assert report.images == 1 and not report.complete
    assert report.skipped["images without a file"] == (1, "labeled-data/clip/b.png")
    assert report.skipped["objects in images without a file"][0] == 1
    sources.images(clip)
    (clip / "a.png").write_bytes((clip / "a.png").read_bytes()[:50])
    imported = import_dataset(path)
    assert imported.report.skipped["images that cannot be read"][0] == 1
    assert imported.coco["images"][0]["id"] == 2  # its place in the source
    (clip / "b.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the images .* can be read"):
        import_dataset(path)
    for image in clip.glob("*.png"):
        image.unlink()
    with pytest.raises(FileNotFoundError, match=r"none of the 2 images .* was found"):
        import_dataset(path)


@pytest.mark.parametrize(
    ("stored", "suffix"),
    [
        ("labeled-data/clip", ".png"),
        ("moved", ".png"),
        ("", ".jpg"),
        ("labeled-data/clip", ".jpg"),
    ],
)
def test_images_that_were_moved_or_converted_are_found(sources, tmp_path, stored, suffix):
    sources.images(tmp_path / "made")
    folder = tmp_path / "photos" / stored
    folder.mkdir(parents=True)
    for image in (tmp_path / "made").iterdir():
        image.rename(folder / f"{image.stem}{suffix}")
    (tmp_path / "CollectedData_me.csv").write_text(sources.table())
    imported = import_dataset(tmp_path / "CollectedData_me.csv", images=tmp_path / "photos")
    names = [image["file_name"] for image in imported.coco["images"]]
    assert names == [f"{stored}/{stem}{suffix}".lstrip("/") for stem in "ab"]


def test_no_image_stands_for_another_of_the_same_name(sources, tmp_path):
    """A label of clip2/a.png must not get clip/a.png because that exists."""
    sources.images(tmp_path / "labeled-data/clip")
    text = (
        sources.table() + sources.table("labeled-data/clip2").partition("coords,x,y,x,y,x,y\n")[2]
    )
    (tmp_path / "CollectedData_me.csv").write_text(text)
    imported = import_dataset(tmp_path / "CollectedData_me.csv")
    assert imported.report.images == 2
    assert imported.report.skipped["images without a file"] == (2, "labeled-data/clip2/a.png")


def test_a_skeleton_gives_order_names_and_pairs(sources, tmp_path):
    path = sources.label_studio(tmp_path)
    skeleton = {"name": "mouse", "keypoints": ["nose", "left_ear", "right_ear"], "swaps": []}
    imported = import_dataset(path, skeleton=skeleton)
    assert imported.coco["categories"][0]["keypoints"] == skeleton["keypoints"]
    assert imported.coco["annotations"][0]["keypoints"][:2] == [10, 12]
    assert imported.skeleton.flip_indices.tolist() == [0, 1, 2]
    wrong = {"name": "fly", "keypoints": ["nose", "left_ear", "antenna"]}
    with pytest.raises(ValueError, match=r"keypoint 'right_ear', which skeleton 'fly'"):
        import_dataset(path, skeleton=wrong)
    with pytest.raises(ValueError, match="3 keypoints"):
        import_dataset(path, skeleton="coco")


def test_made_boxes_follow_the_padding(sources, tmp_path):
    path = sources.deeplabcut(tmp_path)
    row = import_dataset(path, box_padding=0.6).coco["annotations"][0]
    np.testing.assert_allclose(row["bbox"], [1.6, 0, 25.3, 18.9])
    assert row["area"] == pytest.approx(0.53 * 25.3 * 18.9, abs=1e-4)
    with pytest.raises(ValueError, match="box_padding must be 0 to 10, got -1"):
        import_dataset(path, box_padding=-1)


def test_splits_are_chosen_and_kept_apart(sources, tmp_path):
    path = sources.yolo(tmp_path)
    both = import_dataset(path)
    assert both.report.splits == {"train": 1, "val": 1}
    parts = [import_dataset(path, split=name) for name in ("train", "val")]
    images = [image for part in parts for image in part.coco["images"]]
    assert images == both.coco["images"]
    assert parts[0].images == both.images
    with pytest.raises(ValueError, match="no split 'test'; the source has train, val"):
        import_dataset(path, split="test")


def test_words_for_wrong_sources(sources, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        import_dataset(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match="of no format that is read: DeepLabCut"):
        import_dataset(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match="of no format"):
        import_dataset(tmp_path)
    (tmp_path / "export.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match="is an archive: unpack it"):
        import_dataset(tmp_path / "export.zip")
    with pytest.raises(ValueError, match="unknown format 'labelme'; known are deeplabcut"):
        import_dataset(tmp_path / "notes.txt", format="labelme")
    path = sources.coco(tmp_path)
    with pytest.raises(ValueError, match="is the source itself"):
        import_dataset(path, path)
    with pytest.raises(ValueError, match=r"written as .json, got .*scene\.csv"):
        import_dataset(path, tmp_path / "scene.csv")
    with pytest.raises(ValueError, match="no category 'rat'; the source has mouse"):
        import_dataset(path, category="rat")


def test_frames_inside_a_file_need_a_place(sources, tmp_path):
    path = sources.sleap(tmp_path)
    with pytest.raises(ValueError, match="say with images= in which folder"):
        import_dataset(path)


def test_the_dataset_is_one_call_away(sources, tmp_path):
    dataset = import_dataset(sources.cvat(tmp_path)).dataset()
    assert isinstance(dataset, KeypointDataset)
    assert dataset.keypoints.shape == (2, 3, 2)
    assert dataset.visible.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_images_that_lie_in_folders_above_by_chance_are_not_taken(sources, tmp_path):
    project = tmp_path / "work/project"
    sources.images(project / "labeled-data/clip")
    sources.images(tmp_path / "work")
    (project / "labeled-data/clip/b.png").unlink()
    (project / "CollectedData_me.csv").write_text(sources.table())
    imported = import_dataset(project / "CollectedData_me.csv")
    assert imported.images == project
    assert imported.report.images == 1
