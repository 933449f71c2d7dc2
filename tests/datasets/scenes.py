"""Scenes and comparisons that the tests of bottom-up transforms share."""

import numpy as np

from keras_pose.datasets.transforms.regions import draw_regions
from keras_pose.datasets.transforms.scene import Scene, corners_of

COCO_FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def rgb(image):
    return np.ascontiguousarray(image[..., ::-1])


def scene_of(sample, **changes):
    """A Scene of a sample of the reference."""
    keypoints = np.asarray(sample.get("keypoints", np.zeros((0, 17, 2))), np.float32)
    count, number = keypoints.shape[:2]
    image = rgb(sample["img"]) if "img" in sample else None
    height, width = sample["img_shape"][:2]
    boxes = np.asarray(sample.get("bbox", np.zeros((count, 4))), np.float32)
    mask, regions = sample.get("img_mask"), sample.get("invalid_segs")
    if mask is None and regions:
        mask = draw_regions(regions, (width, height))
    fields = dict(
        size=(width, height),
        corners=boxes if boxes.ndim == 3 else corners_of(boxes),
        keypoints=keypoints,
        visible=np.asarray(sample.get("keypoints_visible", np.ones((count, number))), np.float32),
        areas=np.asarray(sample.get("area", np.ones(count)), np.float32),
        ids=np.arange(count) + 1,
        category_ids=np.asarray(sample.get("category_id", np.ones(count)), np.int64),
        flip_indices=np.array(COCO_FLIP),
        read=lambda: image,
        source_size=(width, height),
        read_ignored=None if mask is None else lambda: mask,
    )
    return Scene(**{**fields, **changes})


def boxes_like(scene, expected):
    """The scene's boxes in the form of the expected ones: corners or xyxy."""
    return scene.corners if expected.ndim == 3 else scene.boxes


def assert_labels(scene, expected, tolerance):
    """Boxes, keypoints, visibilities, areas and categories, where the reference stores them."""
    if "bbox" in expected:
        boxes = boxes_like(scene, expected["bbox"])
        np.testing.assert_allclose(boxes, expected["bbox"], rtol=0, atol=tolerance)
    if "keypoints" in expected:
        np.testing.assert_allclose(scene.keypoints, expected["keypoints"], rtol=0, atol=tolerance)
    if "keypoints_visible" in expected:
        np.testing.assert_array_equal(scene.visible, expected["keypoints_visible"])
    if "area" in expected:
        np.testing.assert_allclose(scene.areas, expected["area"], rtol=1e-4)
    if "category_id" in expected:
        np.testing.assert_array_equal(scene.category_ids, expected["category_id"])


def assert_pixels(image, expected, mean=0.4, most=8, sampled=None):
    """Pixels within the bounds that the reference's bilinear warps stay in.

    `sampled` gives the indices of the values that the reference keeps of a large image.
    """
    ours = rgb(image).reshape(-1)[sampled(image.size)] if expected.ndim == 1 else rgb(image)
    assert ours.shape == expected.shape
    difference = np.abs(ours.astype(int) - expected.astype(int))
    assert difference.mean() <= mean and difference.max() <= most, (
        difference.mean(),
        difference.max(),
    )
