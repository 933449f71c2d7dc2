import copy
import gzip
import json

import cv2
import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset
from keras_pose.datasets.readers.image_sizes import image_size
from keras_pose.skeleton import Skeleton


def parsed(golden, name, variant="topdown"):
    folder = golden / "datasets"
    index = json.loads((folder / "parsed" / f"{name}.json").read_text())
    return index["variants"][variant]["items"], np.load(folder / "parsed" / f"{name}.npz")


def assert_equals_reference(dataset, items, arrays, raw):
    assert dataset.ids.tolist() == items["id"]["values"]
    assert dataset.image_ids.tolist() == items["img_id"]["values"]
    assert dataset.image_paths.tolist() == [str(raw / p) for p in items["img_path"]["values"]]
    assert dataset.num_keypoints.tolist() == items["num_keypoints"]["values"]
    assert dataset.iscrowd.tolist() == [bool(v) for v in items["iscrowd"]["values"]]
    np.testing.assert_allclose(dataset.boxes, arrays["topdown.bbox"][:, 0], atol=1e-3)
    np.testing.assert_allclose(dataset.keypoints, arrays["topdown.keypoints"][:, 0], atol=1e-3)
    np.testing.assert_array_equal(dataset.visible, arrays["topdown.keypoints_visible"][:, 0])
    np.testing.assert_allclose(dataset.areas, arrays["topdown.area"], rtol=1e-5)


def test_coco_sample_is_parsed_as_by_the_reference(golden):
    raw = golden / "datasets" / "raw"
    dataset = KeypointDataset.from_coco(raw / "coco/test_coco.json", raw / "coco", "coco")
    assert_equals_reference(dataset, *parsed(golden, "coco"), raw)


def test_odd_annotations_are_parsed_as_by_the_reference(golden):
    raw = golden / "datasets" / "raw"
    file = next((raw / "synthetic").rglob("synthetic_coco.json"))
    data = json.loads(file.read_text())
    for image in data["images"]:
        image["file_name"] = f"synthetic/images/{image['file_name']}"
    dataset = KeypointDataset.from_coco(data, raw, "coco")
    assert_equals_reference(dataset, *parsed(golden, "synthetic"), raw)


@pytest.mark.parametrize(("split", "people", "images"), [("train", 139, 45), ("val", 199, 72)])
def test_real_people(shared, split, people, images):
    folder = shared / "data" / "coco_people"
    file = folder / "annotations" / f"person_keypoints_{split}.json"
    dataset = KeypointDataset.from_coco(file, folder / "images")
    dataset.check_images()
    assert (len(dataset), dataset.skeleton.name) == (people, "coco")
    assert len(dataset.annotations["images"]) == images
    np.testing.assert_array_equal((dataset.visible > 0).sum(axis=1), dataset.num_keypoints)


NAMES = ["nose", "left_ear", "right_ear"]


@pytest.fixture
def data():
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 3, "file_name": "b.png", "width": 20, "height": 10},
        ],
        "annotations": [
            annotation(1, 3, [2, 2, 8, 6], [3, 3, 2, 4, 4, 1, 0, 0, 0]),
            annotation(2, 7, [-5, 5, 60, 10], [9, 9, 2, 0, 0, 0, 0, 0, 0]),
        ],
        "categories": [{"id": 1, "name": "mouse", "keypoints": NAMES, "skeleton": [[1, 2]]}],
    }


def annotation(number, image_id, box, keypoints, **more):
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": box,
        "keypoints": keypoints,
        **more,
    }


def test_order_is_that_of_the_images(data, tmp_path):
    dataset = KeypointDataset.from_coco(data, tmp_path)
    assert dataset.ids.tolist() == [2, 1]
    assert dataset.image_sizes.tolist() == [[40, 30], [20, 10]]


def test_missing_fields_are_filled_in(data, tmp_path):
    dataset = KeypointDataset.from_coco(data, tmp_path)
    np.testing.assert_allclose(dataset.boxes[0], [0, 5, 39, 15])
    np.testing.assert_allclose(dataset.areas, [0.53 * 390, 0.53 * 48], rtol=1e-6)
    assert dataset.num_keypoints.tolist() == [1, 2]
    assert dataset.annotations["annotations"][0]["num_keypoints"] == 2
    assert dataset.annotations["annotations"][0]["iscrowd"] == 0


def test_skeleton_is_read_from_the_file(data, tmp_path):
    skeleton = KeypointDataset.from_coco(data, tmp_path).skeleton
    assert skeleton.keypoints == tuple(NAMES)
    assert skeleton.links.tolist() == [[0, 1]]
    assert skeleton.flip_indices.tolist() == [0, 2, 1]


def test_links_may_count_from_zero(data, tmp_path):
    data["categories"][0]["skeleton"] = [[0, 1], [0, 2]]
    skeleton = KeypointDataset.from_coco(data, tmp_path).skeleton
    assert skeleton.links.tolist() == [[0, 1], [0, 2]]


def test_impossible_links_are_left_out(data, tmp_path):
    data["categories"][0]["skeleton"] = [[1, 2], [2, 1], [3, 15], [1, 3]]
    with pytest.warns(UserWarning, match="2 of 4 `skeleton` links"):
        skeleton = KeypointDataset.from_coco(data, tmp_path).skeleton
    assert skeleton.links.tolist() == [[0, 1], [0, 2]]


def test_coco_keypoints_get_the_package_skeleton(tmp_path):
    coco = Skeleton.load("coco")
    category = {"id": 1, "name": "person", "keypoints": list(coco.keypoints)}
    data = {"images": [], "annotations": [], "categories": [category]}
    dataset = KeypointDataset.from_coco(data, tmp_path)
    assert len(dataset) == 0
    assert dataset.skeleton == coco and dataset.skeleton.sigmas is not None


def test_unlabelled_objects_can_be_kept(data, tmp_path):
    data["annotations"] += [
        annotation(3, 7, [1, 1, 9, 9], [0] * 9),
        annotation(4, 7, [1, 1, 9, 9], [5, 5, 2] * 3, iscrowd=1),
        annotation(5, 7, [50, 1, 9, 9], [5, 5, 2] * 3),
        annotation(6, 7, None, [5, 5, 2] * 3),
    ]
    assert KeypointDataset.from_coco(data, tmp_path).ids.tolist() == [2, 1]
    everyone = KeypointDataset.from_coco(data, tmp_path, drop_unlabelled=False)
    assert everyone.ids.tolist() == [2, 3, 4, 1]
    assert len(everyone.annotations["annotations"]) == 6


def test_one_category_can_be_chosen(data, tmp_path):
    data["categories"].append({"id": 2, "name": "fly", "keypoints": ["head", "tail"]})
    fly = annotation(9, 7, [1, 1, 9, 9], [5, 5, 2, 6, 6, 2])
    data["annotations"].append({**fly, "category_id": 2})
    dataset = KeypointDataset.from_coco(data, tmp_path, category="fly")
    assert dataset.ids.tolist() == [9] and dataset.skeleton.name == "fly"
    with pytest.raises(ValueError, match="name 2 different sets of keypoints"):
        KeypointDataset.from_coco(data, tmp_path)
    with pytest.raises(ValueError, match=r"no category 'cat'; the file has 'mouse' \(1\), 'fly'"):
        KeypointDataset.from_coco(data, tmp_path, category="cat")


def test_missing_positions_may_be_nothing(data, tmp_path):
    data["annotations"][0]["keypoints"] = [3, 3, 2, None, None, 0, float("nan"), 1, 0]
    dataset = KeypointDataset.from_coco(data, tmp_path)
    assert dataset.keypoints[1].tolist() == [[3, 3], [0, 0], [0, 1]]


def test_sizes_that_the_file_leaves_out_come_from_the_image(data, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 44, 3), np.uint8))
    del data["images"][0]["width"]
    assert KeypointDataset.from_coco(data, tmp_path).image_sizes[0].tolist() == [44, 30]


def test_file_is_named_after_itself(data, tmp_path):
    file = tmp_path / "mice.json"
    file.write_text(json.dumps(data))
    assert KeypointDataset.from_coco(file, tmp_path).name == "mice.json"
    assert KeypointDataset.from_coco(file, tmp_path, name="mice").name == "mice"


def without(key):
    def change(data):
        del data[key]

    return change


def changed(*path, to):
    def change(data):
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("images"), "has no list `images`"),
        (changed("annotations", to={}), "has no list `annotations`"),
        (changed("images", 0, "id", to="seven"), "image 0 needs an integer `id`, got 'seven'"),
        (changed("images", 0, "id", to=3), "image id 3 occurs twice"),
        (changed("images", 0, "file_name", to=None), "image 7 has no `file_name`"),
        (changed("annotations", 0, "id", to=2), "annotation id 2 occurs twice"),
        (changed("annotations", 0, "image_id", to=99), "annotation 1 belongs to image 99"),
        (changed("annotations", 0, "keypoints", to=[1, 2, 2]), "annotation 1 has 1 keypoints"),
        (changed("annotations", 0, "keypoints", 0, to="x"), "`keypoints` of every annotation"),
        (changed("annotations", 0, "bbox", to=[1, 2, 3]), "`bbox` of every annotation"),
        (changed("annotations", 0, "keypoints", 0, to=None), "whose position is no number"),
        (changed("categories", to=[]), "its categories name no keypoints: add"),
        (without("categories"), r"its categories name no keypoints: .* give a skeleton="),
        (changed("categories", to={}), "has no list `categories`"),
        (changed("categories", 0, to="mouse"), "entry 0 of `categories` must be a JSON object"),
        (changed("categories", 0, "keypoints", to=[1, 2]), "of category 1 must be a list of names"),
        (changed("categories", 0, "keypoints", to=["nose"] * 3), "its category is no skeleton"),
        (changed("images", 0, to=5), "entry 0 of `images` must be a JSON object, got 5"),
        (changed("images", 0, "id", to=7.0), "image 0 needs an integer `id`, got 7.0"),
        (changed("images", 0, "id", to=True), "image 0 needs an integer `id`, got True"),
        (changed("images", 0, "width", to=-40), "image 7 must have `width` .* got -40 and 30"),
        (changed("images", 0, "width", to=float("nan")), "image 7 must have .* got nan and 30"),
        (changed("images", 0, "height", to="30"), "image 7 must have .* got 40 and '30'"),
        (changed("annotations", 0, "id", to="1"), "annotation 0 needs an integer `id`, got '1'"),
        (changed("annotations", 0, "id", to=2**63), "annotation 0 needs an integer `id`"),
        (changed("annotations", 0, "image_id", to="3"), "annotation 1 belongs to image '3'"),
        (changed("annotations", 0, "image_id", to=[3]), "annotation 1 belongs to image a list"),
        (changed("annotations", 0, "category_id", to="m"), "`category_id` of annotation 1 must be"),
        (changed("annotations", 0, "bbox", 2, to=-8), "box of annotation 1 must be finite.*-8.0"),
        (changed("annotations", 0, "bbox", 0, to=float("nan")), "box of annotation 1 must be"),
        (changed("annotations", 0, "bbox", 0, to=float("inf")), "box of annotation 1 must be"),
        (changed("annotations", 0, "bbox", 0, to=10**400), "`bbox` of annotation 1 has a number"),
        (
            changed("annotations", 0, "keypoints", 0, to=1e300),
            "annotation 1 has a visible keypoint",
        ),
        (changed("annotations", 0, "keypoints", to=[[3, 3]] * 3), "annotation 1 has 2 keypoints"),
        (changed("annotations", 0, "area", to=-4), "`area` of annotation 1 must be a number of at"),
        (changed("annotations", 0, "area", to="big"), "`area` of annotation 1 .* got 'big'"),
        (changed("annotations", 0, "iscrowd", to="no"), "`iscrowd` of annotation 1 must be"),
        (changed("annotations", 0, "num_keypoints", to=float("nan")), "`num_keypoints` of annot"),
    ],
)
def test_faults_are_named(data, tmp_path, change, message):
    data = copy.deepcopy(data)
    change(data)
    with pytest.raises(ValueError, match=message):
        KeypointDataset.from_coco(data, tmp_path, name="mice")


def test_keypoints_in_another_order_are_refused(data, tmp_path):
    swapped = Skeleton("mouse", ["nose", "right_ear", "left_ear"])
    with pytest.raises(
        ValueError, match="another order: keypoint 1 is 'left_ear', not 'right_ear'"
    ):
        KeypointDataset.from_coco(data, tmp_path, skeleton=swapped)


def test_another_number_of_keypoints_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="has 3 keypoints, skeleton 'coco' has 17"):
        KeypointDataset.from_coco(data, tmp_path, skeleton="coco")


def test_missing_files_are_named(data, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no annotation file .*nowhere\.json"):
        KeypointDataset.from_coco(tmp_path / "nowhere.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no image folder .*nowhere"):
        KeypointDataset.from_coco(data, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"images": [', "is not a JSON file: .*is it whole"),
        (b"", "is not a JSON file: it is empty"),
        (b"\xff\xd8\xff\xe0", "is not a JSON file"),
        (b"\x1f\x8b\x08\x00", "is not a JSON file"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"[]", "is not in COCO form: it has no list `images`; it needs"),
        (b"3", "is not in COCO form"),
    ],
)
def test_file_that_is_not_json_is_named(tmp_path, content, message):
    file = tmp_path / "broken.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"broken\.json {message}"):
        KeypointDataset.from_coco(file, tmp_path)


def test_packed_files_are_read(data, tmp_path):
    file = tmp_path / "mice.json.gz"
    file.write_bytes(gzip.compress(json.dumps(data).encode()))
    assert len(KeypointDataset.from_coco(file, tmp_path)) == 2


def test_empty_files_make_empty_data_sets(data, tmp_path):
    data["annotations"] = []
    dataset = KeypointDataset.from_coco(data, tmp_path)
    assert len(dataset) == 0 and dataset.images.ids.tolist() == [7, 3]
    assert [len(rows) for rows in dataset.by_image()] == [0, 0]
    data["images"] = []
    assert len(KeypointDataset.from_coco(data, tmp_path).images) == 0


def test_bad_boxes_can_be_left_out(data, tmp_path):
    data["annotations"][0]["bbox"][2] = -8
    with pytest.warns(UserWarning, match="1 of 2 objects have boxes with negative sides"):
        dataset = KeypointDataset.from_coco(data, tmp_path, skip_bad_boxes=True)
    assert dataset.ids.tolist() == [2]


def test_sizes_are_read_from_headers(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (30, 44, 3), np.uint8)
    for name in ("a.png", "b.jpg", "c.bmp"):
        cv2.imwrite(str(tmp_path / name), picture)
        assert image_size(tmp_path / name) == (44, 30)
    cv2.imwrite(str(tmp_path / "d.jpg"), picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert image_size(tmp_path / "d.jpg") == (44, 30)
    # EXIF orientation 6: stored lying, shown upright
    jpeg = (tmp_path / "b.jpg").read_bytes()
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    (tmp_path / "e.jpg").write_bytes(turned)
    assert image_size(tmp_path / "e.jpg") == (30, 44)
    (tmp_path / "f.jpg").write_bytes(jpeg[:40])
    with pytest.raises(ValueError, match=r"f\.jpg"):
        image_size(tmp_path / "f.jpg")
    with pytest.raises(FileNotFoundError, match=r"g\.jpg"):
        image_size(tmp_path / "g.jpg")


def detection(image_id, box, score, category_id=1):
    return {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}


def test_boxes_of_a_detector_become_objects(data, tmp_path):
    mice = KeypointDataset.from_coco(data, tmp_path)
    boxes = [
        detection(3, [-2, 1, 8, 30], 0.9),
        detection(7, [1, 1, 5, 5], 0.3),
        detection(7, [1, 1, 5, 5], 0.8, category_id=2),
        detection(7, [2, 2, 4, 4], 0.5),
    ]
    found = mice.with_detections(boxes, 0.5)
    assert found.boxes.tolist() == [[-2, 1, 6, 31], [2, 2, 6, 6]]
    assert found.ids.tolist() == [1, 3] and found.image_ids.tolist() == [3, 7]
    np.testing.assert_allclose(found.box_scores, [0.9, 0.5])
    assert found.visible.all() and not found.keypoints.any()
    assert found.annotations is mice.annotations
    assert len(mice.with_detections(boxes, category=None)) == 4


def test_boxes_that_belong_nowhere_are_counted(data, tmp_path):
    mice = KeypointDataset.from_coco(data, tmp_path, name="mice")
    boxes = [detection(3, [0, 0, 4, 4], 1), detection(9, [0, 0, 4, 4], 1)]
    with pytest.warns(UserWarning, match="1 of 2 boxes belong to images that mice does not have"):
        assert len(mice.with_detections(boxes)) == 1
    with pytest.raises(ValueError, match="none remains for mice: 1 belong to other images"):
        mice.with_detections(boxes[1:])


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ({"images": []}, "must be a JSON list of detections"),
        ([{"image_id": 3, "score": 1}], "detection 0 has no `bbox`"),
        ([detection(3, [0, 0, float("nan"), 4], 1)], "box of detection 0 must be four numbers"),
        ([detection("a", [0, 0, 4, 4], 1)], "`image_id` of detection 0 must be an integer"),
        ([detection(3, [0, 0, 4, 4], "high")], "`score` of detection 0 must be a number"),
        ([], "of 0 detections none remains"),
    ],
)
def test_faults_of_detections_are_named(data, tmp_path, boxes, message):
    mice = KeypointDataset.from_coco(data, tmp_path)
    with pytest.raises(ValueError, match=message):
        mice.with_detections(boxes)
