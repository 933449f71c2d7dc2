import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset
from keras_pose.skeleton import Skeleton

MOUSE = Skeleton("mouse", ["nose", "left_ear", "right_ear"])


def mice(**changes):
    rng = np.random.default_rng(0)
    fields = dict(
        image_paths=["a.png", "a.png", "b.png"],
        image_ids=[1, 1, 2],
        image_sizes=[[40, 30], [40, 30], [20, 20]],
        boxes=[[0, 0, 10, 20], [5, 5, 9, 9], [1, 2, 3, 4]],
        keypoints=rng.uniform(0, 20, (3, 3, 2)),
        visible=[[1, 1, 0], [1, 1, 1], [0, 0, 1]],
    )
    return KeypointDataset(MOUSE, **{**fields, **changes})


def test_defaults():
    dataset = mice()
    assert len(dataset) == 3
    assert dataset.ids.tolist() == [1, 2, 3]
    assert dataset.num_keypoints.tolist() == [2, 3, 1]
    np.testing.assert_allclose(dataset.areas, [106, 8.48, 2.12], rtol=1e-6)
    assert not dataset.iscrowd.any()


def test_one_object_is_a_dict():
    item = mice()[1]
    assert item["image_path"] == "a.png" and item["ids"] == 2
    assert item["keypoints"].shape == (3, 2)


@pytest.mark.parametrize("which", [slice(1, 3), [1, 2], np.array([False, True, True])])
def test_part_of_a_data_set(which):
    part = mice()[which]
    assert part.ids.tolist() == [2, 3] and part.image_paths.tolist() == ["a.png", "b.png"]


def test_part_keeps_all_annotations_of_its_images():
    dataset = mice()
    truth = dataset.annotations
    part = dataset[:1]
    assert [a["id"] for a in part.annotations["annotations"]] == [1, 2]
    assert [i["id"] for i in part.annotations["images"]] == [1]
    assert len(truth["annotations"]) == 3


def test_annotations_are_made_in_coco_form():
    truth = mice(ids=[11, 12, 13]).annotations
    first = truth["annotations"][0]
    assert first["bbox"] == [0, 0, 10, 20] and first["id"] == 11
    assert first["keypoints"][2::3] == [2, 2, 0]
    assert truth["categories"][0]["keypoints"] == list(MOUSE.keypoints)
    assert truth["images"][1] == {"id": 2, "file_name": "b.png", "width": 20, "height": 20}


def test_annotations_can_be_read_again(tmp_path):
    dataset = mice(image_paths=[str(tmp_path / name) for name in ("a.png", "a.png", "b.png")])
    again = KeypointDataset.from_coco(dataset.annotations, tmp_path, MOUSE)
    np.testing.assert_allclose(again.keypoints, dataset.keypoints)
    np.testing.assert_allclose(again.boxes, dataset.boxes)


def test_unlabelled_points_may_be_nan():
    keypoints = np.ones((3, 3, 2))
    keypoints[0, 2] = np.nan
    assert mice(keypoints=keypoints).keypoints[0, 2].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(boxes=np.zeros((2, 4))), r"boxes must have shape \(3, 4\).*got \(2, 4\)"),
        (dict(keypoints=np.zeros((3, 4, 2))), r"keypoints must have shape \(3, 3, 2\)"),
        (dict(boxes=[[0, 0, 1, 1], [0, 0, 1, 1], [4, 2, 4, 8]]), "box 2 is empty"),
        (dict(boxes=[[0, 0, np.nan, 1]] * 3), "box 0 is empty"),
        (dict(keypoints=np.full((3, 3, 2), np.nan)), "object 0 has a visible keypoint"),
        (dict(ids=[1, 2, 1]), "ids must be unique"),
        (dict(areas=["a", "b", "c"]), "areas must be numbers"),
    ],
)
def test_faults_are_named(changes, message):
    with pytest.raises(ValueError, match=f"^mice: .*{message}"):
        mice(name="mice", **changes)


def test_missing_images_are_counted(tmp_path):
    there = tmp_path / "a.png"
    there.touch()
    dataset = mice(image_paths=[there, there, tmp_path / "b.png"], name="mice")
    with pytest.raises(FileNotFoundError, match=r"mice: 1 of 2 images are missing.*b\.png"):
        dataset.check_images()


def test_empty_data_set():
    empty = mice()[:0]
    assert len(empty) == 0 and empty.keypoints.shape == (0, 3, 2)
    assert empty.annotations["annotations"] == []
    assert len(empty.images) == 0 and empty.by_image() == []


def more_mice():
    return mice(
        category_ids=[3, 4, 3],
        box_scores=[0.5, 1, 0.25],
        extras={"head_sizes": [4.0, 5.0, 6.0]},
        images={
            "paths": ["c.png", "b.png", "a.png"],
            "ids": [9, 2, 1],
            "sizes": [[8, 8], [20, 20], [40, 30]],
        },
        ignored={9: [[0, 0, 4, 0, 4, 4]], 1: [{"size": [30, 40], "counts": [1200]}]},
    )


def test_further_columns_have_defaults():
    dataset = mice()
    assert dataset.category_ids.tolist() == [1, 1, 1]
    assert dataset.box_scores.tolist() == [1, 1, 1]
    assert dataset.extras == {} and dataset.ignored == {}
    assert dataset.images.ids.tolist() == [1, 2]
    assert dataset.images.paths.tolist() == ["a.png", "b.png"]
    assert dataset.images.sizes.tolist() == [[40, 30], [20, 20]]


def test_further_columns_are_carried_along():
    part = more_mice()[[2, 1]]
    assert part.category_ids.tolist() == [3, 4]
    assert part.box_scores.tolist() == [0.25, 1]
    assert part.extras["head_sizes"].tolist() == [6, 5]
    assert part[0]["head_sizes"] == 6
    assert more_mice()[1:2].images.ids.tolist() == [1]
    assert list(more_mice()[1:2].ignored) == [1]


def test_rows_of_every_image():
    assert [rows.tolist() for rows in more_mice().by_image()] == [[], [2], [0, 1]]
    assert [rows.tolist() for rows in mice().by_image()] == [[0, 1], [2]]


def test_part_of_the_images_keeps_those_without_objects():
    part = more_mice().of_images([0, 2])
    assert part.images.ids.tolist() == [9, 1] and part.ids.tolist() == [1, 2]
    assert [rows.tolist() for rows in part.by_image()] == [[], [0, 1]]
    assert sorted(part.ignored) == [1, 9]


def test_annotations_name_every_category_and_image():
    truth = more_mice().annotations
    assert [image["id"] for image in truth["images"]] == [9, 2, 1]
    assert [category["id"] for category in truth["categories"]] == [3, 4]
    assert [entry["category_id"] for entry in truth["annotations"]] == [3, 4, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(extras={"head_sizes": [1, 2]}), r"extra column 'head_sizes'.*got shape \(2,\)"),
        (dict(extras={"boxes": [1, 2, 3]}), "extra column 'boxes' must have a name of its own"),
        (dict(images={"paths": ["a.png"], "ids": [1], "sizes": [[4, 4]]}), "image 2 of an object"),
    ],
)
def test_faults_of_further_columns_are_named(changes, message):
    with pytest.raises(ValueError, match=f"^mice: .*{message}"):
        mice(name="mice", **changes)


def test_images_without_objects_are_looked_for_on_request(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    table = {"paths": [path, tmp_path / "c.png"], "ids": [1, 9], "sizes": [[4, 4], [4, 4]]}
    dataset = mice(image_paths=[path] * 3, image_ids=[1] * 3, images=table)
    dataset.check_images()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images are missing.*c\.png"):
        dataset.check_images(without_objects=True)
