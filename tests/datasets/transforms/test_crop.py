import json

import numpy as np
import pytest

from keras_pose.datasets import RandomHalfBody, RandomJitter
from keras_pose.datasets.transforms.crop import (
    Crop,
    choose_half_body,
    crop_of_box,
    flip,
    half_body,
    jitter,
    to_input,
)
from keras_pose.geometry import apply_affine, match_aspect, warp
from keras_pose.images import read_image
from keras_pose.skeleton import Skeleton


@pytest.fixture(scope="module")
def cases(golden):
    def load(name):
        folder = golden / "transforms"
        arrays = np.load(folder / f"{name}.npz")

        def value(item):
            if isinstance(item, str) and item.startswith("@"):
                return arrays[item[1:]]
            if isinstance(item, dict):
                return {key: value(entry) for key, entry in item.items()}
            if isinstance(item, list):
                return [value(entry) for entry in item]
            return item

        for case in json.loads((folder / f"{name}.json").read_text())["cases"]:
            yield case["id"], *(value(case[part]) for part in ("args", "input", "drawn", "output"))

    return load


def crop_around(given, row=0, rotation=0.0):
    center, scale = given["bbox_center"][row], given["bbox_scale"][row]
    points = visible = None
    if "keypoints" in given:
        points, visible = given["keypoints"][row, ..., :2], given["keypoints_visible"][row]
    size = given.get("img_shape", (0, 0))[::-1]
    return Crop(points, visible, center, scale, tuple(size), rotation)


def test_crop_of_a_box_equals_reference(cases):
    for name, args, given, _, expected in cases("center_scale"):
        if "bbox_center" in given:
            continue  # rectangles of their own come as boxes
        for row, box in enumerate(given["bbox"]):
            crop = crop_of_box(box, None, None, (9, 9), args["padding"])
            np.testing.assert_allclose(crop.center, expected["bbox_center"][row], atol=1e-3)
            np.testing.assert_allclose(
                crop.scale, expected["bbox_scale"][row], atol=1e-3, err_msg=name
            )


def test_flip_equals_reference(cases):
    checked = set()
    for name, _, given, drawn, expected in cases("flip"):
        direction = drawn["direction"]
        if direction is None or "bbox_center" not in given or "keypoints" not in given:
            continue
        flips = np.array(given["flip_indices"])
        for row in range(len(given["bbox_center"])):
            crop = flip(crop_around(given, row), flips, direction)
            for ours, theirs in (
                (crop.keypoints, expected["keypoints"]),
                (crop.visible, expected["keypoints_visible"]),
                (crop.center, expected["bbox_center"]),
            ):
                np.testing.assert_allclose(ours, theirs[row], atol=1e-3, err_msg=name)
        height, width = given["img_shape"]
        mirrored = warp(given["img"], crop.mirror, (width, height))
        np.testing.assert_array_equal(mirrored, expected["img"])
        checked.add(direction)
    assert checked >= {"horizontal", "vertical"}


def test_half_body_equals_reference(golden):
    rows = np.load(golden / "transforms" / "half_body.npz")
    facts = json.loads((golden / "transforms" / "half_body.json").read_text())["facts"]["half_body"]
    upper, lower = np.array(facts["upper_body_ids"]), np.array(facts["lower_body_ids"])
    ours = RandomHalfBody()
    for row, (happens, prefers) in enumerate(rows["half.uniform"]):
        crop = Crop(
            rows["half.keypoints"][row],
            rows["half.visible"][row],
            rows["half.center"][row],
            rows["half.scale"][row],
            (640, 480),
        )
        chosen = None
        if happens < ours.prob:
            chosen = choose_half_body(crop.visible, upper, lower, prefers < ours.upper_prob)
        half = "whole" if chosen is None else "upper" if chosen[0] in upper else "lower"
        assert half == ("whole", "upper", "lower")[rows["half.mode"][row]]
        if chosen is not None:
            crop = half_body(crop, chosen, ours.padding)
        np.testing.assert_allclose(crop.center, rows["half.out_center"][row], atol=1e-3)
        np.testing.assert_allclose(crop.scale, rows["half.out_scale"][row], atol=1e-3)


def test_half_body_of_one_spot_stays_whole():
    crop = Crop(np.ones((17, 2)), np.ones(17), np.zeros(2), np.ones(2), (9, 9))
    assert half_body(crop, np.arange(5)) is crop


def test_jitter_equals_reference(cases):
    names = {
        "shift_factor",
        "shift_prob",
        "scale_factor",
        "scale_prob",
        "rotate_factor",
        "rotate_prob",
    }
    for name, args, given, drawn, expected in cases("bbox_transform"):
        assert set(args) <= names
        ours = RandomJitter(**args)
        for row in range(len(given["bbox_center"])):
            uniform = np.array(
                [np.ravel(drawn[key][row])[0] for key in ("u_shift", "u_scale", "u_rotate")]
            )
            offset, scale, rotation = ours.amounts(drawn["truncnorm"][row], uniform)
            np.testing.assert_allclose(offset, drawn["offset"][row], atol=1e-6, err_msg=name)
            np.testing.assert_allclose(scale, drawn["scale"][row, 0], atol=1e-6, err_msg=name)
            np.testing.assert_allclose(rotation, drawn["rotate"][row], atol=1e-4, err_msg=name)
            crop = jitter(crop_around(given, row), offset, scale, rotation)
            np.testing.assert_allclose(crop.center, expected["bbox_center"][row], atol=1e-3)
            np.testing.assert_allclose(crop.scale, expected["bbox_scale"][row], atol=1e-3)
            np.testing.assert_allclose(crop.rotation, expected["bbox_rotation"][row], atol=1e-4)


def test_warp_and_keypoints_equal_reference(cases):
    for name, args, given, _, expected in cases("topdown_affine"):
        if "keypoints" not in given:
            continue
        size, udp = tuple(args["input_size"]), args["use_udp"]
        rotation = float(given.get("bbox_rotation", np.zeros(1))[0])
        crop = crop_around(given, rotation=-rotation if udp else rotation)
        affine, keypoints = to_input(crop, size, udp)
        theirs = expected["transformed_keypoints"][0][..., :2]
        np.testing.assert_allclose(keypoints, theirs, atol=1e-2, err_msg=name)
        scale = match_aspect(crop.scale, size)
        np.testing.assert_allclose(scale, expected["bbox_scale"][0], atol=1e-3, err_msg=name)
        images, outputs = given["img"], expected["img"]
        if not isinstance(images, list):
            images, outputs = [images], [outputs]
        for image, output in zip(images, outputs, strict=True):
            pixels = warp(image, affine, size).astype(int).reshape(-1)
            if output.ndim == 1:
                pixels = pixels[sample_indices(pixels.size)]
            difference = np.abs(pixels - output.reshape(-1))
            assert difference.mean() <= 0.4 and difference.max() <= 8, name


def sample_indices(size, n=2048):
    """Where golden arrays are sampled (as the golden files document)."""
    return (
        np.arange(size)
        if size <= n
        else np.sort(np.random.default_rng(size).choice(size, n, replace=False))
    )


@pytest.mark.parametrize("recipe", ["td_hm", "td_udp"])
def test_whole_training_recipe_equals_reference(golden, recipe):
    """Draws recorded in the reference, our functions, one warp: the same crop and keypoints."""
    folder = golden / "transforms"
    arrays = np.load(folder / "train_pipelines.npz")
    index = json.loads((folder / "train_pipelines.json").read_text())["cases"]
    skeleton = Skeleton.load("coco")
    cases = [case for case in index if case["id"].startswith(f"{recipe}.")]
    assert cases
    for case in cases:
        steps = {step["transform"]: step for step in case["steps"]}

        def after(transform, name, steps=steps):
            return arrays[steps[transform]["after"][name][1:]]

        height, width = case["img_shape"]
        image = read_image(golden / "datasets" / "raw" / case["img_path"])
        udp = recipe == "td_udp"
        crop = crop_of_box(
            after("LoadImage", "bbox")[0],
            after("LoadImage", "keypoints")[0],
            after("LoadImage", "keypoints_visible")[0],
            (width, height),
        )
        if steps["RandomFlip"]["drawn"]:
            crop = flip(crop, skeleton.flip_indices, steps["RandomFlip"]["drawn"])
        chosen = steps["RandomHalfBody"]["drawn"][0]
        if chosen is not None:
            crop = half_body(crop, np.array(chosen))
        (offset,), ((scale,),), (rotation,) = steps["RandomBBoxTransform"]["drawn"]
        crop = jitter(crop, offset, scale, -rotation if udp else rotation)
        size = tuple(case["input_size"])
        affine, keypoints = to_input(crop, size, udp)
        np.testing.assert_allclose(
            keypoints, after("TopdownAffine", "transformed_keypoints")[0], atol=2e-2
        )
        np.testing.assert_array_equal(crop.visible, after("TopdownAffine", "keypoints_visible")[0])
        expected = after("TopdownAffine", "img").astype(int)  # sampled
        pixels = warp(image, affine, size)[..., ::-1].reshape(-1)
        places = sample_indices(pixels.size)
        difference = np.abs(pixels[places].astype(int) - expected)
        assert difference.mean() <= 0.4 and difference.max() <= 8


def test_mirrored_crop_maps_its_keypoints_back():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 90, (17, 2)).astype(np.float32)
    flips = Skeleton.load("coco").flip_indices
    crop = crop_of_box(np.array([10.0, 5, 60, 85]), points, np.ones(17), (100, 90))
    crop = jitter(flip(crop, flips), [0.1, -0.1], 1.2, 25)
    affine, keypoints = to_input(crop, (48, 64))
    np.testing.assert_allclose(apply_affine(affine, keypoints), points[flips], atol=1e-3)
    assert np.linalg.det(affine[:, :2]) < 0
