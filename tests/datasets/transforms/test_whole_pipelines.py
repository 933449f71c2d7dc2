"""Whole validation and train pipelines of the reference on real images, with its recorded draws.

Bottom-up cases stand in the tests of bottom-up training.
"""

import numpy as np
import pytest

from keras_pose import codecs
from keras_pose.datasets import KeypointDataset
from keras_pose.datasets.transforms.crop import crops_of_boxes, flip, half_body, jitter, to_input
from keras_pose.datasets.transforms.pixels_color import shift_hsv
from keras_pose.geometry import match_aspect, warp
from keras_pose.images import read_image
from keras_pose.skeleton import Skeleton

COCO = Skeleton.load("coco")


@pytest.fixture(scope="module")
def arrays(golden):
    return {
        name: dict(np.load(golden / f"transforms/{name}.npz"))
        for name in ("pipelines", "train_pipelines")
    }


@pytest.fixture(scope="module")
def images(golden):
    """The function that reads the image of a case."""
    return lambda case: read_image(golden / "datasets" / "raw" / case["img_path"])


@pytest.fixture(scope="module")
def people(golden):
    raw = golden / "datasets" / "raw"
    return KeypointDataset.from_coco(raw / "coco/test_coco.json", raw / "coco")


def assert_pixels_agree(ours, stored, goldens):
    """Ours in RGB, the stored in BGR and sampled; within what two bilinear warps differ."""
    ours = ours[..., ::-1].reshape(-1).astype(int)
    if ours.size != stored.size:
        ours = ours[goldens.sample_indices(ours.size)]
    difference = np.abs(ours - stored.reshape(-1))
    assert difference.mean() <= 0.4 and difference.max() <= 8


@pytest.mark.cases("transforms/pipelines", only="td_")
def test_validation(case, arrays, people, images, goldens):
    """Data set, box, crop: what a network is tested with."""
    prefix = f"{case['id']}."
    stored = {k[len(prefix) :]: v for k, v in arrays["pipelines"].items() if k.startswith(prefix)}
    row = people[people.ids == case["instance_id"]]
    assert len(row) == 1
    _, boxing, cropping = case["pipeline"]
    size, udp = tuple(case["input_size"]), cropping.get("use_udp", False)
    padding = boxing.get("padding", 1.25)
    np.testing.assert_array_equal(row.image_sizes, [case["img_shape"][::-1]])
    crops = crops_of_boxes(row.boxes, row.keypoints, row.visible, row.image_sizes, padding)
    affine, keypoints = to_input(crops, size, udp)
    np.testing.assert_allclose(crops.center, stored["bbox_center"], atol=1e-3)
    # stored after the crop, which enlarges the shorter side
    scale = match_aspect(crops.scale, size)
    np.testing.assert_allclose(scale, stored["bbox_scale"], atol=1e-3)
    np.testing.assert_allclose(crops.center[0], stored["input_center"], atol=1e-3)
    np.testing.assert_allclose(scale[0], stored["input_scale"], atol=1e-3)
    np.testing.assert_allclose(keypoints, stored["transformed_keypoints"], atol=1e-2)
    assert_pixels_agree(warp(images(case), affine[0], size), stored["img"], goldens)


@pytest.mark.cases("transforms/train_pipelines", only=("td_", "rtmpose"))
def test_training(case, arrays, images, goldens, compiled):
    """The state after every step, then the pixels, then the targets."""
    stored, image = arrays["train_pipelines"], images(case)
    steps = {step["transform"]: step for step in case["steps"]}
    size = tuple(case["input_size"])

    def after(transform, name):
        return stored[steps[transform]["after"][name][1:]]

    def check(crops, transform):
        np.testing.assert_allclose(crops.keypoints, after(transform, "keypoints"), atol=1e-3)
        np.testing.assert_array_equal(crops.visible, after(transform, "keypoints_visible"))
        np.testing.assert_allclose(crops.center, after(transform, "bbox_center"), atol=1e-3)
        np.testing.assert_allclose(crops.scale, after(transform, "bbox_scale"), atol=1e-3)

    first = {name: after("LoadImage", name) for name in ("bbox", "keypoints", "keypoints_visible")}
    crops = crops_of_boxes(*first.values(), np.array([case["img_shape"][::-1]]))
    check(crops, "GetBBoxCenterScale")
    if steps["RandomFlip"]["drawn"]:
        crops = flip(crops, COCO.flip_indices, steps["RandomFlip"]["drawn"])
        mirrored = warp(image, crops.mirror[0], image.shape[1::-1])
        np.testing.assert_array_equal(
            mirrored[..., ::-1].reshape(-1)[goldens.sample_indices(mirrored.size)],
            after("RandomFlip", "img"),
        )
    check(crops, "RandomFlip")
    if (half := steps["RandomHalfBody"]["drawn"][0]) is not None:
        crops = half_body(crops, np.isin(np.arange(17), half)[None])
    check(crops, "RandomHalfBody")
    offset, ((scale,),), rotation = steps["RandomBBoxTransform"]["drawn"]
    udp = case["id"].startswith("td_udp")  # where the reference turns the other way
    crops = jitter(crops, offset, [scale], -np.array(rotation) if udp else np.array(rotation))
    check(crops, "RandomBBoxTransform")
    turned = -crops.rotation if udp else crops.rotation
    np.testing.assert_allclose(turned, after("RandomBBoxTransform", "bbox_rotation"), atol=1e-4)
    affine, keypoints = to_input(crops, size, udp)
    np.testing.assert_allclose(
        keypoints, after("TopdownAffine", "transformed_keypoints"), atol=2e-2
    )
    np.testing.assert_allclose(
        match_aspect(crops.scale, size), after("TopdownAffine", "bbox_scale"), atol=1e-3
    )
    pixels = warp(image, affine[0], size)
    assert_pixels_agree(pixels, after("TopdownAffine", "img"), goldens)
    if "YOLOXHSVRandomAug" in steps:
        pixels = shift_hsv(pixels, *steps["YOLOXHSVRandomAug"]["drawn"])
        stored_pixels = after("YOLOXHSVRandomAug", "img")
        ours = pixels[..., ::-1].reshape(-1)[goldens.sample_indices(pixels.size)].astype(int)
        # a level of the warp may become some in hue
        difference = np.abs(ours - stored_pixels)
        assert difference.mean() <= 0.6 and difference.max() <= 10
    compare_targets(case, stored, keypoints, crops.visible, goldens, compiled)


def compare_targets(case, stored, keypoints, visible, goldens, compiled):
    """By our keypoints, which differ in the last digits."""
    encoder = dict(case["pipeline"][-1]["encoder"])
    kind = encoder.pop("type")
    if "simcc_split_ratio" in encoder:
        encoder["split_ratio"] = encoder.pop("simcc_split_ratio")
    targets = compiled(getattr(codecs, kind)(**encoder).encode)(
        {"keypoints": keypoints[None], "visible": np.float32(visible)[None]}
    )
    final = {name: key[1:] for name, key in case["final"].items()}
    np.testing.assert_array_equal(targets["weights"], stored[final.pop("keypoint_weights")])
    layouts = {
        "heatmaps": lambda: targets["heatmaps"][0].transpose(2, 0, 1),
        "keypoint_x_labels": lambda: targets["x"],
        "keypoint_y_labels": lambda: targets["y"],
    }
    for name, key in final.items():
        assert goldens.compare(stored, key, layouts[name]())["max_abs"] <= 1e-2
