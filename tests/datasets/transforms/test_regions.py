import json

import numpy as np
import pytest

from keras_pose.datasets.transforms.regions import draw_regions
from keras_pose.datasets.transforms.scene import flip_scene, move
from keras_pose.geometry import invert_affine

RUN_LENGTHS = "the reference leaves run lengths out of the mask"
RAISES = "the reference raises without a warp"
LEFT_OUT = {f"transforms/heatmap_mask/mask{i}": RUN_LENGTHS for i in (3, 7, 11, 15)} | {
    f"transforms/heatmap_mask/mask{i}": RAISES for i in (6, 9, 12)
}


def masks_of(scenes, case, sample, regions):
    """The scene's masks in the sizes and the meaning that a case of the reference asks for."""
    scene = scenes.scene_of({**sample, "invalid_segs": regions})
    if "warp_mat" in sample:
        scene = move(scene, invert_affine(sample["warp_mat"][:2]), sample["input_size"])
    if sample.get("flip"):
        scene = flip_scene(scene, sample["flip_direction"])
    shapes = sample.get("heatmap_shapes")
    invalid = case["args"].get("get_invalid", False)
    if shapes is None:
        mask = scene.mask(outside=invalid)
        return 1 - mask if invalid else mask
    several = isinstance(shapes[0], list)
    masks = [
        scene.mask((width, height), outside=invalid)
        for _, height, width in (shapes if several else [shapes])
    ]
    masks = [1 - mask if invalid else mask for mask in masks]
    return masks if several else masks[0]


def assert_masks(ours, expected):
    """Equal but for pixels on an edge: here the warp and the flip are one map."""
    pairs = zip(ours, expected, strict=True) if isinstance(expected, list) else [(ours, expected)]
    for mask, reference in pairs:
        assert mask.shape == reference.shape
        assert (mask != (reference > 0)).sum() <= max(2, 2e-3 * mask.size)


@pytest.mark.cases("transforms/heatmap_mask")
def test_mask_equals_reference(case, resolve, scenes):
    sample, expected = resolve(case, case["input"]), resolve(case, case["output"])
    ours = masks_of(scenes, case, sample, sample["invalid_segs"])
    assert_masks(ours, expected["heatmap_mask"])


def load(golden, resolve, number):
    file = "transforms/heatmap_mask"
    cases = json.loads((golden / f"{file}.json").read_text("utf-8"))["cases"]
    return resolve({"golden": file}, cases[number])


@pytest.mark.parity
@pytest.mark.parametrize("number", [3, 7, 11, 15])
def test_run_lengths_are_drawn_beside_polygons(number, golden, resolve, scenes):
    case = load(golden, resolve, number)
    regions = case["input"]["invalid_segs"]
    polygons = [region for region in regions if isinstance(region, list)]
    sample = case["input"]
    if case["output"] is not None:
        ours = masks_of(scenes, case, sample, polygons)
        assert_masks(ours, case["output"]["heatmap_mask"])
    size = sample["img_shape"][::-1]
    both, alone = draw_regions(regions, size), draw_regions(polygons, size)
    assert both.sum() > alone.sum() and (both >= alone).all()


@pytest.mark.parity
@pytest.mark.parametrize("number", [6, 9, 12])
def test_masks_need_no_warp(number, golden, resolve, scenes):
    case = load(golden, resolve, number)
    sample = case["input"]
    ours = masks_of(scenes, case, sample, sample["invalid_segs"])
    for mask in ours if isinstance(ours, list) else [ours]:
        assert 0 < mask.mean() < 1


def test_regions_are_polygons_lists_of_them_or_run_lengths():
    square = [10.0, 10.0, 30.0, 10.0, 30.0, 20.0, 10.0, 20.0]
    flat = draw_regions([square], (60, 40))
    np.testing.assert_array_equal(draw_regions([[square]], (60, 40)), flat)
    assert flat.shape == (40, 60) and flat[11:19, 11:29].all() and flat.sum() < 250
    runs = {"size": [40, 60], "counts": [0, 40, 2360]}
    assert draw_regions([runs], (60, 40))[:, 0].all()
    assert not draw_regions([[1.0, 1.0, 5.0, 5.0]], (60, 40)).any()
    with pytest.raises(ValueError, match="height and width"):
        draw_regions([runs], (40, 60))
