import numpy as np
import pytest

from keras_pose import geometry


def test_clipping_keeps_the_dtype():
    assert geometry.clip_boxes(np.ones((1, 4), np.float32), (640, 480)).dtype == np.float32


def test_boxes_far_apart_have_a_negative_generalised_iou():
    pair = np.array([[0, 0, 1, 1], [9, 9, 10, 10]], float)
    giou = geometry.box_overlaps(pair[:1], pair[1:], "giou")
    np.testing.assert_allclose(giou, [[-0.98]])
    with pytest.raises(ValueError, match="kind must be"):
        geometry.box_overlaps(pair, pair, "ciou")


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
