"""Label Studio's JSON export."""

import json

import numpy as np
import pytest

from keras_pose.datasets import import_dataset


def _tasks(sources, tmp_path):
    return json.loads(sources.label_studio(tmp_path).read_text())


def _read(tmp_path, tasks, **arguments):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    return import_dataset(path, **arguments)


def _results(tasks, kind=None):
    results = tasks[0]["annotations"][0]["result"]
    return [r for r in results if kind is None or r["type"] == kind]


def test_without_parents_the_smallest_rectangle_around_a_keypoint_counts(sources, tmp_path):
    tasks = _tasks(sources, tmp_path)
    for result in _results(tasks):
        result.pop("parentID", None)
    around = json.loads(json.dumps(_results(tasks, "rectanglelabels")[0]))
    around["id"], around["value"] = "cage", {**around["value"], "x": 0, "y": 0, "width": 100}
    around["value"] |= {"height": 100, "rectanglelabels": ["cage"]}
    tasks[0]["annotations"][0]["result"].append(around)
    imported = _read(tmp_path, tasks)
    assert imported.report.objects == {"mouse": 2}
    assert imported.report.skipped["rectangles without keypoints"][0] == 1
    outside = _results(tasks, "keypointlabels")[0]
    outside["value"]["x"] = 99
    tasks[0]["annotations"][0]["result"].remove(around)
    report = _read(tmp_path, tasks).report
    assert report.skipped["keypoints in no rectangle"][0] == 1


def test_relations_tie_keypoints_to_rectangles(sources, tmp_path):
    tasks = _tasks(sources, tmp_path)
    point = _results(tasks, "keypointlabels")[0]
    del point["parentID"]
    point["value"]["x"] = 90
    relation = {"type": "relation", "from_id": "box0", "to_id": point["id"], "direction": "right"}
    tasks[0]["annotations"][0]["result"].append(relation)
    assert _read(tmp_path, tasks).coco["annotations"][0]["num_keypoints"] == 3


def test_without_rectangles_a_task_is_one_object(sources, tmp_path):
    tasks = _tasks(sources, tmp_path)
    for task in tasks:
        results = task["annotations"][0]["result"]
        task["annotations"][0]["result"] = [r for r in results if r["type"] != "rectanglelabels"]
    imported = _read(tmp_path, tasks)
    assert imported.report.objects == {"object": 2} and imported.report.boxes_made == 2
    twin = {**_results(tasks)[0], "id": "twin"}
    tasks[0]["annotations"][0]["result"].append(twin)
    with pytest.raises(ValueError, match="has 'nose' twice in one object; draw a rectangle"):
        _read(tmp_path, tasks)


def test_a_turned_rectangle_is_enclosed(sources, tmp_path):
    tasks = _tasks(sources, tmp_path)
    value = _results(tasks, "rectanglelabels")[0]["value"]
    # 20 x 6 pixels from (30, 2), turned by 90 degrees clockwise: to the left and down
    value |= {"x": 75, "y": 2 / 0.3, "width": 50, "height": 20, "rotation": 90}
    imported = _read(tmp_path, tasks)
    np.testing.assert_allclose(imported.coco["annotations"][0]["bbox"], [24, 2, 6, 20], atol=1e-3)


def test_the_ground_truth_else_the_newest_annotation_counts(sources, tmp_path):
    tasks = _tasks(sources, tmp_path)
    good = tasks[0]["annotations"][0]
    others = [{"id": 9, "result": []}, {"id": 3, "result": [], "was_cancelled": True}]
    tasks[0]["annotations"] = [*others, good | {"id": 2, "ground_truth": True}]
    report = _read(tmp_path, tasks).report
    assert report.objects == {"mouse": 2}
    assert report.skipped["annotations besides the ground truth or the newest"][0] == 1
    assert report.skipped["annotations that their annotator cancelled"][0] == 1
    tasks[0]["annotations"][2]["ground_truth"] = False
    assert _read(tmp_path, tasks).report.objects == {"mouse": 1}


@pytest.mark.parametrize(
    "image",
    [
        "a.png",
        "/data/upload/1/0a1b2c3d-a.png",
        "/data/local-files/?d=photos/a.png",
        "s3://bucket/folder/a.png",
        "https://example.com/x/a.png?token=1",
        "/data/upload/1/0a1b2c3d-a.jpg",
    ],
)
def test_addresses_of_images(sources, tmp_path, image):
    tasks = _tasks(sources, tmp_path)[:1]
    tasks[0]["data"] = {"id": "7", "image": image}
    (found,) = _read(tmp_path, tasks).coco["images"]
    assert found["file_name"] == "images/a.png"


def test_old_exports_have_no_sizes(sources, tmp_path):
    tasks = _tasks(sources, tmp_path)
    for result in _results(tasks):
        del result["original_width"], result["original_height"]
    tasks[0]["completions"] = tasks[0].pop("annotations")
    assert _read(tmp_path, tasks).coco["annotations"][0]["keypoints"][:2] == [8.5, 6]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: _results(t)[0]["value"].update(x="left"), "x must be a number, got 'left'"),
        (
            lambda t: _results(t, "keypointlabels")[0].update(original_width=0),
            "must be 1 to 999999 pixels",
        ),
        (lambda t: _results(t, "keypointlabels")[0].update(value=3), "needs one label"),
        (lambda t: t[0].update(annotations={"a": 1}), "annotations must be a list"),
        (lambda t: t[0].update(data={"text": "hello"}), "has no image in `data`"),
        (lambda t: t.append(3), "must be a list of tasks"),
        (lambda t: [each.pop("annotations") for each in t], r"export the project as JSON \(not"),
        (
            lambda t: [each.update(annotations=[]) for each in t],
            "has no keypoints .results of the type keypointlabels.",
        ),
    ],
)
def test_damaged_exports(sources, tmp_path, change, words):
    tasks = _tasks(sources, tmp_path)
    change(tasks)
    with pytest.raises(ValueError, match=words):
        _read(tmp_path, tasks)


def test_a_picture_that_was_turned_in_the_tool_is_left_out(sources, tmp_path):
    tasks = _tasks(sources, tmp_path)
    for result in _results(tasks):
        result["image_rotation"] = 90
    report = _read(tmp_path, tasks).report
    assert report.skipped["tasks whose image was rotated in the tool"][0] == 1
    assert report.objects == {"mouse": 1}
