"""Whole bottom-up pipelines of the reference on real images, with its recorded draws."""

import numpy as np
import pytest

from keras_pose.datasets.bottomup_scenes import BottomupScenes
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.mmpose_bottomup import bottomup_augmentation_from_mmpose
from keras_pose.datasets.transforms.mosaic import Mosaic, mix, mosaic
from keras_pose.datasets.transforms.scene import flip_scene
from keras_pose.datasets.transforms.scene_resize import fit_scene


@pytest.fixture(scope="module")
def images(golden):
    """The sample's images with all their objects, as the reference lists them."""
    raw = golden / "datasets/raw/coco"
    people = KeypointDataset.from_coco(
        raw / "test_coco.json", raw, drop_unlabelled=False, name="sample"
    )
    return BottomupScenes(people, (512, 512))


def scene_for(images, case):
    scene = images.scene(case["index"])
    assert images.dataset.images.paths[case["index"]].endswith(case["img_path"].split("/")[-1])
    if isinstance(case["instance_id"], list):
        assert scene.ids.tolist() == case["instance_id"]
    return scene


@pytest.mark.cases("transforms/pipelines", only="bu_")
def test_validation(case, images, golden, goldens, scenes):
    arrays = np.load(golden / "transforms/pipelines.npz")
    args = case["pipeline"][1]
    fitted = fit_scene(
        scene_for(images, case),
        tuple(args["input_size"]),
        args.get("resize_mode", "fit"),
        args["size_factor"],
        args.get("use_udp", False),
        tuple(args.get("pad_val", (0, 0, 0))),
    )
    assert list(fitted.size) == case["input_size"]
    assert goldens.compare(arrays, f"{case['id']}.img", fitted.image()[..., ::-1])["max_abs"] <= 8


@pytest.mark.cases("transforms/train_pipelines", only=("dekr", "yolox"))
def test_training(case, images, golden, goldens, resolve, scenes):
    """Every intermediate state of boxes, keypoints and pixels."""
    arrays = np.load(golden / "transforms/train_pipelines.npz")
    augment = bottomup_augmentation_from_mmpose(case["pipeline"])
    changes = {
        "Mosaic": mosaic_step,
        "YOLOXMixUp": mix_step,
        "BottomupRandomAffine": affine_step,
        "RandomFlip": flip_step,
        "FilterAnnotations": filter_step,
    }
    scene, steps, color = scene_for(images, case), iter(augment.steps), None
    for step in case["steps"]:
        kind, drawn = step["transform"], step["drawn"]
        if kind in changes:
            scene = changes[kind](next(steps), scene, drawn, images, case)
        elif kind == "YOLOXHSVRandomAug":
            color = drawn
        after = resolve(case, {k: v for k, v in step["after"].items() if k != "img"})
        # Changed in place in the reference, so that its earlier records show later values.
        after.pop("area", None)
        if kind == "LoadImage" and isinstance(augment.steps[0], Mosaic):
            continue
        if kind == "Mosaic":
            after.pop("keypoints_visible")
        scenes.assert_labels(scene, after, 1e-2)
        if "img" in step["after"] and color is None:
            check_pixels(arrays, step["after"]["img"][1:], scene.image(), goldens)
    final = resolve(case, case["steps"][-1]["after"])
    np.testing.assert_allclose(scene.areas, final["area"], rtol=1e-3)
    check_color(augment, scene, color, case, arrays, goldens)
    if "heatmap_mask" in case["final"]:
        ours = scene.mask(tuple(case["pipeline"][3]["encoder"]["heatmap_size"]))
        expected = arrays[case["final"]["heatmap_mask"][1:]]
        sampled = ours.reshape(-1)[goldens.sample_indices(ours.size)]
        assert (sampled != expected).mean() <= 2e-3


def check_pixels(arrays, name, image, goldens):
    expected = arrays[name].astype(int)
    ours = image[..., ::-1].reshape(-1)[goldens.sample_indices(image.size)].astype(int)
    difference = np.abs(ours - expected)
    assert tuple(arrays[f"{name}__shape"]) == image.shape
    assert difference.mean() <= 0.4 and difference.max() <= 8


def check_color(augment, scene, color, case, arrays, goldens):
    if color is None:
        return
    from keras_pose.datasets.transforms.pixels_color import RandomHSV, shift_hsv

    (change,) = augment.pixels
    assert isinstance(change, RandomHSV)
    stored = [s["after"]["img"] for s in case["steps"] if "img" in s["after"]][-1]
    check_pixels_loosely(arrays, stored[1:], shift_hsv(scene.image(), *color), goldens)


def check_pixels_loosely(arrays, name, image, goldens):
    """Hues of greyish pixels jump when a level differs by one: only the mean is bounded."""
    expected = arrays[name].astype(int)
    ours = image[..., ::-1].reshape(-1)[goldens.sample_indices(image.size)].astype(int)
    assert np.abs(ours - expected).mean() <= 0.6


def mosaic_step(step, scene, drawn, images, case):
    values = [entry[3] for entry in drawn]
    _, *others, x, y = values
    size = step.size
    four = [scene, *(images.scene(int(i)) for i in others)]
    return mosaic(four, Mosaic.center(np.array([x, y]), size), size, step.fill)


def mix_step(step, scene, drawn, images, case):
    _, other, factor, flips, dy, dx = (entry[3] for entry in drawn)
    return mix(
        scene,
        images.scene(int(other)),
        step.size,
        factor,
        flips > 1 - step.flip_prob,
        (int(dx), int(dy)),
        step.fill,
    )


def affine_step(step, scene, drawn, images, case):
    offset, (scale,), rotation, shear = drawn
    sign = 1 if step.mode == "affine" else -1
    return step.apply(scene, step.input_size, offset, scale, sign * rotation, shear)


def flip_step(step, scene, drawn, images, case):
    return scene if drawn is None else flip_scene(scene, drawn)


def filter_step(step, scene, drawn, images, case):
    return step(scene)
