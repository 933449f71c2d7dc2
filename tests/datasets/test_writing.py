"""`write_coco`."""

import json

import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, write_coco


def _dataset(folder, **changes):
    random = np.random.default_rng(0)
    count, keypoints = 40, 5
    corners = random.uniform(0, 200, (count, 2))
    arguments = {
        "skeleton": {"name": "fly", "keypoints": list("abcde"), "links": [["a", "b"], ["b", "e"]]},
        "image_paths": [folder / f"images/{i // 2:03d}.jpg" for i in range(count)],
        "image_ids": np.arange(count) // 2 + 5,
        "image_sizes": np.tile((640, 480), (count, 1)),
        "boxes": np.hstack([corners, corners + random.uniform(1, 200, (count, 2))]),
        "keypoints": random.uniform(-5, 500, (count, keypoints, 2)),
        "visible": random.integers(0, 2, (count, keypoints)) | (np.arange(keypoints) == 0),
        "category_ids": 1 + np.arange(count) % 2,
        "ids": random.permutation(1000)[:count] + 1,
        "areas": random.uniform(1, 9000, count),
    }
    return KeypointDataset(**{**arguments, **changes})


def test_arrays_come_back(tmp_path):
    (tmp_path / "images").mkdir()
    first = _dataset(tmp_path)
    folder = write_coco(first, tmp_path / "flies.json")
    assert folder == tmp_path / "images"
    second = KeypointDataset.from_coco(tmp_path / "flies.json", folder, first.skeleton)
    assert first.image_paths.tolist() == second.image_paths.tolist()
    for field in KeypointDataset.FIELDS:
        a, b = getattr(first, field), getattr(second, field)
        if field == "boxes":  # the reader adds x and width in float32
            np.testing.assert_allclose(a, b, rtol=2e-7)
        else:
            np.testing.assert_array_equal(a, b, field)


def test_links_names_and_images_without_objects_are_kept(tmp_path):
    first = _dataset(tmp_path)
    paths = [*first.images.paths, str(tmp_path / "images/empty.jpg")]
    sizes = [*first.images.sizes, (640, 480)]
    images = {"paths": paths, "ids": [*first.images.ids, 99], "sizes": sizes}
    write_coco(_dataset(tmp_path, images=images), tmp_path / "flies.json", tmp_path)
    document = json.loads((tmp_path / "flies.json").read_text())
    assert document["images"][-1]["file_name"] == "images/empty.jpg"
    assert len(document["images"]) == 21
    assert [c["skeleton"] for c in document["categories"]] == [[[1, 2], [2, 5]]] * 2


def test_a_part_is_written_without_the_rest(tmp_path):
    part = _dataset(tmp_path)[:3]
    write_coco(part, tmp_path / "part.json")
    document = json.loads((tmp_path / "part.json").read_text())
    assert len(document["annotations"]) == 3 and len(document["images"]) == 2


def test_a_dict_is_written_as_it_is_and_an_old_file_survives_errors(tmp_path):
    document = {"images": [], "annotations": [], "categories": []}
    write_coco(document, tmp_path / "some.json")
    assert json.loads((tmp_path / "some.json").read_text()) == document
    with pytest.raises(ValueError, match=r"some\.json cannot be written as JSON"):
        write_coco({"images": [float("nan")]}, tmp_path / "some.json")
    assert json.loads((tmp_path / "some.json").read_text()) == document
    assert [path.name for path in tmp_path.iterdir()] == ["some.json"]
