import numpy as np
import pytest

from keras_pose import geometry


@pytest.fixture(scope="module")
def bbox(golden):
    return np.load(golden / "geometry" / "bbox.npz")


def test_formats_equal_reference(bbox):
    np.testing.assert_allclose(geometry.xyxy_to_xywh(bbox["xyxy"]), bbox["xyxy2xywh"], atol=1e-4)
    np.testing.assert_allclose(geometry.xywh_to_xyxy(bbox["xywh"]), bbox["xywh2xyxy"], atol=1e-4)


@pytest.mark.parametrize("padding", [1.0, 1.25, 0.8, 1.5])
def test_center_and_scale_equal_reference(bbox, padding):
    center, scale = geometry.xyxy_to_center_scale(bbox["xyxy"], padding)
    np.testing.assert_allclose(center, bbox[f"xyxy2cs_p{padding}_center"], atol=1e-4)
    np.testing.assert_allclose(scale, bbox[f"xyxy2cs_p{padding}_scale"], atol=1e-4)
    back = geometry.center_scale_to_xyxy(center, scale, padding)
    np.testing.assert_allclose(back, bbox[f"cs2xyxy_p{padding}"], atol=1e-4)


@pytest.mark.parametrize("size", [(192, 256), (288, 384), (256, 256), (384, 288)])
def test_aspect_is_reached_by_enlarging_the_shorter_side(bbox, size):
    scale = geometry.match_aspect(bbox["xyxy2cs_p1.0_scale"], size)
    np.testing.assert_allclose(scale, bbox[f"fix_aspect_{size[0]}x{size[1]}"], atol=1e-4)


def test_clipping_equals_reference(bbox):
    clipped = geometry.clip_boxes(bbox["xyxy"], (640, 480))
    np.testing.assert_allclose(clipped, bbox["clip_640x480"], atol=1e-4)
    assert clipped.dtype == np.float32


def test_iou_equals_reference(bbox):
    iou = geometry.box_iou(bbox["xyxy"], bbox["iou_b"])
    np.testing.assert_allclose(iou, bbox["overlaps_iou"], atol=1e-6)


def test_iou_of_empty_boxes_is_zero():
    assert geometry.box_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]) == 0
    assert geometry.box_iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


def test_valid_boxes_become_float32():
    boxes = geometry.validate_boxes([[0, 0, 5, 5], [-3, 2, 4, 9]], image_size=(8, 8))
    assert boxes.dtype == np.float32 and boxes.shape == (2, 4)
    assert geometry.validate_boxes([]).shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 0, 5]], r"^people must be \(N, 4\) xyxy in image pixels, got shape \(1, 3\)$"),
        ([0, 0, 5, 5], r"^people must be \(N, 4\).*got shape \(4,\)"),
        ("left", "^people must be numbers"),
        ([[0, 0, 5, 5], [0, 0, 5]], "^people must be numbers"),
        ([[0, 0, 5, 5], [0, np.nan, 5, 5]], r"^people\[1\] must be finite"),
        ([[0, 0, np.inf, 5]], r"^people\[0\] must be finite"),
        ([[5, 0, 5, 5]], r"^people\[0\] is empty"),
        ([[0, 6, 5, 5]], r"^people\[0\] is empty"),
        ([[100, 0, 105, 5]], r"^people\[0\] lies outside the image of 64x48 pixels"),
        ([[-10, 0, 0, 5]], r"^people\[0\] lies outside the image"),
    ],
)
def test_bad_boxes_are_named(boxes, message):
    with pytest.raises(ValueError, match=message):
        geometry.validate_boxes(boxes, name="people", image_size=(64, 48))
