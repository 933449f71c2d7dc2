from dataclasses import replace

import numpy as np
import pytest

from keras_pose.datasets.transforms.scene import crop_scene, flip_scene, move
from keras_pose.geometry import apply_affine

LEFT_OUT = {
    f"transforms/flip/{case}": "the reference takes the width of a non-square input for its height"
    for case in ("flip5", "flip13")
} | {"transforms/bottomup_crop/crop13": "the reference does not leave the area of an object out"}


@pytest.mark.cases("transforms/flip")
def test_flip_equals_reference(case, resolve, scenes):
    sample, expected = resolve(case, case["input"]), resolve(case, case["output"])
    scene = scenes.scene_of(sample)
    direction = case["drawn"]["direction"]
    flipped = scene if direction is None else flip_scene(scene, direction)
    scenes.assert_labels(flipped, expected, 1e-3)
    np.testing.assert_array_equal(flipped.image(), scenes.rgb(expected["img"]))
    if "img_mask" in expected:
        np.testing.assert_array_equal(flipped.mask(outside=True), 1 - expected["img_mask"])


def load(golden, resolve, name):
    import json

    file, case = name.rsplit("/", 1)
    cases = json.loads((golden / f"{file}.json").read_text("utf-8"))["cases"]
    found = next(entry for entry in cases if entry["id"] == case)
    return resolve({"golden": file}, found)


@pytest.mark.parametrize("case", ["flip5", "flip13"])
def test_flip_mirrors_about_the_width(case, golden, resolve, scenes):
    case = load(golden, resolve, f"transforms/flip/{case}")
    scene = scenes.scene_of(case["input"])
    flipped = flip_scene(scene)
    np.testing.assert_array_equal(flipped.image(), scenes.rgb(case["output"]["img"]))
    mirrored = scene.keypoints[:, scene.flip_indices].copy()
    mirrored[..., 0] = scene.size[0] - 1 - mirrored[..., 0]
    np.testing.assert_allclose(flipped.keypoints, mirrored, atol=1e-4)
    assert np.abs(flipped.keypoints - case["output"]["keypoints"])[..., 0].min() > 10


@pytest.mark.cases("transforms/bottomup_crop")
def test_crop_equals_reference(case, resolve, scenes):
    sample, expected = resolve(case, case["input"]), resolve(case, case["output"])
    (height, width), (y, x) = case["drawn"]["crop_size_hw"], case["drawn"]["offset_hw"]
    scene = scenes.scene_of(sample)
    if expected is None:
        assert not len(crop_scene(scene, (x, y), (width, height)))
        return
    check_crop(scenes, scene, expected, (x, y), (width, height))


def check_crop(scenes, scene, expected, offset, size):
    cut = crop_scene(scene, offset, size)
    scenes.assert_labels(cut, expected, 1e-3)
    np.testing.assert_array_equal(cut.image(), scenes.rgb(expected["img"]))
    np.testing.assert_array_equal(cut.ids - 1, expected["id"])
    assert cut.size == expected["img"].shape[1::-1]


def test_crop_leaves_the_area_out_too(golden, resolve, scenes):
    case = load(golden, resolve, "transforms/bottomup_crop/crop13")
    expected = {**case["output"], "area": case["output"]["area"][:2]}
    (height, width), (y, x) = case["drawn"]["crop_size_hw"], case["drawn"]["offset_hw"]
    check_crop(scenes, scenes.scene_of(case["input"]), expected, (x, y), (width, height))


def sample():
    rng = np.random.default_rng(0)
    return {
        "img": rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        "img_shape": (40, 60),
        "keypoints": rng.uniform(5, 35, (3, 17, 2)),
        "bbox": [[4, 4, 36, 36], [0, 0, 10, 10], [20, 10, 40, 30]],
        "area": [500.0, 60.0, 200.0],
        "img_mask": np.eye(40, 60, dtype=np.uint8),
    }


def test_moves_compose_into_one_map(scenes):
    scene = scenes.scene_of(sample())
    shifted = move(scene, [[0.5, 0, 3], [0, 0.5, 2]], (80, 60))
    flipped = flip_scene(crop_scene(shifted, (10, 5), (40, 30)), "vertical")
    kept = np.isin(scene.ids, flipped.ids)
    back = apply_affine(flipped.affine, flipped.keypoints)
    expected, seen = scene.keypoints[kept][:, scene.flip_indices], flipped.visible > 0
    np.testing.assert_allclose(back[seen], expected[seen], atol=1e-3)
    assert 0 < seen.mean() < 1
    np.testing.assert_array_equal(flipped.affine, flipped.source)


def test_areas_follow_the_map(scenes):
    scene = scenes.scene_of(sample())
    turned = move(scene, [[0, -0.5, 30], [0.5, 0, 5]], (60, 40))
    np.testing.assert_allclose(turned.areas, 4 * scene.areas, rtol=1e-6)


def test_no_pixel_is_read_before_the_end(scenes):
    def read():
        raise AssertionError("read too early")

    scene = replace(scenes.scene_of(sample()), read=read, read_ignored=read)
    flip_scene(crop_scene(move(scene, [[0.5, 0, 3], [0, 0.5, 2]], (80, 60)), (1, 1), (40, 40)))


def test_masks_move_with_the_pixels(scenes):
    scene = flip_scene(scenes.scene_of(sample()))
    np.testing.assert_array_equal(scene.mask(outside=True), 1 - np.eye(40, 60)[:, ::-1])
    shifted = move(scene, [[1, 0, -5], [0, 1, 0]], scene.size)
    assert not shifted.mask()[:, :5].any() and shifted.mask(outside=True)[:, :5].all()
