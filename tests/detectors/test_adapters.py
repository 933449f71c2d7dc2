"""Adapters of other people's detectors.

The KerasHub and keras-cv detectors here are stand-ins with the call signatures of keras-hub 0.32
and keras-cv 0.9, which are too heavy to install for a test.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_pose.detectors.adapters import KerasDetector, as_detector

WIDE = np.zeros((100, 200, 3), np.uint8)
TALL = np.zeros((300, 150, 3), np.uint8)


class FakeKerasDetector:
    """Finds a person at the same place in input pixels, in any bounding box format."""

    def __init__(self, bounding_box_format, boxes, label_key="labels", num_classes=80, **options):
        self.bounding_box_format = bounding_box_format
        self.boxes = boxes
        self.label_key = label_key
        self.num_classes = num_classes
        converter = SimpleNamespace(image_size=(50, 100), **options)
        self.preprocessor = SimpleNamespace(image_converter=converter)
        self.batches = []

    def predict(self, x, batch_size=None, verbose="auto"):
        self.batches.append(x)
        rows = len(self.boxes)
        return {
            "boxes": np.tile(np.array([[*self.boxes, [-1] * 4]], np.float32), (len(x), 1, 1)),
            "confidence": np.tile(np.array([[0.8] * rows + [0.9]], np.float32), (len(x), 1)),
            self.label_key: np.tile(np.array([[*range(rows), 0]]), (len(x), 1)),
            "num_detections": np.full(len(x), rows),
        }


@pytest.mark.parametrize(
    ("form", "box"),
    [
        ("xyxy", (10, 5, 30, 45)),
        ("yxyx", (5, 10, 45, 30)),
        ("xywh", (10, 5, 20, 40)),
        ("center_xywh", (20, 25, 20, 40)),
        ("rel_xyxy", (0.1, 0.1, 0.3, 0.9)),
        ("rel_yxyx", (0.1, 0.1, 0.9, 0.3)),
    ],
)
@pytest.mark.parametrize("label_key", ["labels", "classes"])
def test_keras_boxes_become_image_pixels(form, box, label_key):
    detect = as_detector(FakeKerasDetector(form, [box], label_key))
    ((boxes, scores),) = detect([WIDE], 0.1, 0.5)
    np.testing.assert_allclose(boxes, [[20, 10, 60, 90]], atol=1e-4)
    np.testing.assert_allclose(scores, [0.8])


def test_only_people_are_kept():
    boxes = [(0, 0, 10, 10), (10, 10, 20, 20)]
    for classes, expected in [(80, [0, 0, 20, 20]), (91, [20, 20, 40, 40])]:
        detect = as_detector(FakeKerasDetector("xyxy", boxes, num_classes=classes))
        np.testing.assert_allclose(detect([WIDE], 0.1, 0.5)[0][0], [expected])


def test_tall_photo_is_fitted_without_stretching():
    detector = FakeKerasDetector("xyxy", [(0, 0, 25, 50)])
    ((boxes, _),) = as_detector(detector)([TALL + 200], 0.1, 0.5)
    np.testing.assert_allclose(boxes, [[0, 0, 150, 300]])
    assert (detector.batches[0][0, :, :25] == 200).all()
    assert (detector.batches[0][0, :, 25:] == 0).all()


def test_tall_photo_is_stretched_where_the_preprocessor_stretches():
    options = {"crop_to_aspect_ratio": False, "pad_to_aspect_ratio": False}
    detector = FakeKerasDetector("xyxy", [(0, 0, 50, 50)], **options)
    ((boxes, _),) = as_detector(detector)([TALL], 0.1, 0.5)
    np.testing.assert_allclose(boxes, [[0, 0, 75, 300]])


def test_few_batch_sizes_reach_a_keras_detector():
    detector = FakeKerasDetector("xyxy", [(0, 0, 25, 50)])
    assert len(as_detector(detector)([WIDE] * 11, 0.1, 0.5)) == 11
    assert [len(batch) for batch in detector.batches] == [8, 4]


def test_unknown_bounding_box_format_is_named():
    with pytest.raises(ValueError, match="'polar'"):
        as_detector(FakeKerasDetector("polar", [(0, 0, 1, 1)]))([WIDE], 0.1, 0.5)


def test_input_size_can_be_given():
    assert KerasDetector(FakeKerasDetector("xyxy", []), image_size=(64, 32)).image_size == (64, 32)


def test_callable_with_boxes_only():
    ((boxes, scores),) = as_detector(lambda image: [[1, 2, 3, 4]])([WIDE], 0.1, 0.5)
    np.testing.assert_array_equal(boxes, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(scores, [1])


def test_callable_with_scores_is_thresholded_and_sorted():
    def detect(image):
        return [[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 9, 9]], [0.3, 0.05, 0.9]

    ((boxes, scores),) = as_detector(detect)([WIDE], 0.1, 0.5)
    np.testing.assert_array_equal(boxes, [[0, 0, 9, 9], [1, 2, 3, 4]])
    np.testing.assert_allclose(scores, [0.9, 0.3])


def test_callable_with_an_object_like_supervision_detections():
    found = SimpleNamespace(xyxy=np.array([[1, 2, 3, 4]]), confidence=np.array([0.7]))
    ((boxes, scores),) = as_detector(lambda image: found)([WIDE], 0.1, 0.5)
    assert (len(boxes), len(scores)) == (1, 1)


def test_nobody_found():
    for nothing in ([], ([], []), np.zeros((0, 4))):
        ((boxes, scores),) = as_detector(lambda image, found=nothing: found)([WIDE], 0.1, 0.5)
        assert (boxes.shape, scores.shape) == ((0, 4), (0,))


def test_boxes_are_clipped_and_those_outside_dropped():
    def detect(image):
        return [[-10, -10, 500, 50], [300, 300, 400, 400], [5, 5, 5, 9]]

    ((boxes, _),) = as_detector(detect)([WIDE], 0.1, 0.5)
    np.testing.assert_array_equal(boxes, [[0, 0, 200, 50]])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([[1, 2, 3]], r"must be \(N, 4\)"),
        ([[1, 2, 3, np.nan]], "finite"),
        (([[1, 2, 3, 4]], [0.5, 0.5]), r"must be \(1,\)"),
    ],
)
def test_nonsense_from_a_callable_is_refused(found, message):
    with pytest.raises(ValueError, match=message):
        as_detector(lambda image: found)([WIDE], 0.1, 0.5)


def test_detector_with_a_detect_method_gets_the_thresholds():
    class Detector:
        def detect(self, images, threshold, iou_threshold):
            assert (len(images), threshold, iou_threshold) == (2, 0.2, 0.6)
            one = SimpleNamespace(boxes=np.array([[1, 2, 3, 4]]), scores=np.array([0.7]))
            return [one, one]

    assert len(as_detector(Detector())([WIDE, TALL], 0.2, 0.6)) == 2


def test_anything_else_is_refused():
    with pytest.raises(ValueError, match="got int"):
        as_detector(3)
