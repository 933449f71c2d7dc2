"""Photos in, boxes in image pixels out."""

import cv2
import numpy as np
import pytest

import keras_pose
from keras_pose.detectors import Detections
from keras_pose.geometry import box_iou
from keras_pose.paths import PRESETS

SAMPLES = PRESETS / "samples"
# Boxes drawn by hand around the people of park.jpg.
PARK = np.float32([[412, 332, 587, 601], [84, 63, 165, 301]])


@pytest.fixture(scope="module")
def detector():
    return keras_pose.PersonDetector.from_preset("centernet_mobilenet_v3_coco")


@pytest.fixture(scope="module")
def park():
    return cv2.cvtColor(cv2.imread(str(SAMPLES / "park.jpg")), cv2.COLOR_BGR2RGB)


def test_people_are_found_where_they_are(detector):
    people = detector.detect(SAMPLES / "park.jpg", threshold=0.5)
    assert len(people) == 2 and people.names == ["person", "person"]
    overlaps = box_iou(PARK, people.boxes)
    assert overlaps.max(axis=1).min() > 0.8
    assert people.boxes.dtype == people.scores.dtype == np.float32
    assert (np.diff(people.scores) <= 0).all()


def test_a_list_a_path_and_an_array_give_the_same(detector, park):
    one = detector.detect(park)
    several = detector.detect([park, str(SAMPLES / "park.jpg"), SAMPLES / "park.jpg"], batch_size=2)
    assert isinstance(several, list)
    for other in several:
        np.testing.assert_allclose(other.boxes, one.boxes, rtol=0, atol=0.05)
        np.testing.assert_allclose(other.scores, one.scores, rtol=0, atol=1e-4)


def test_boxes_stay_inside_the_photo_and_have_an_area(detector, park):
    found = detector.detect(park[:, :500], threshold=0.01, classes=None)
    assert len(found) > 2
    assert found.boxes.min() >= 0
    assert found.boxes[:, 2].max() <= 500 and found.boxes[:, 3].max() <= 640
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def test_the_threshold_is_the_least_score(detector, park):
    all_of_them = detector.detect(park, threshold=0.0)
    some = detector.detect(park, threshold=0.3)
    assert len(some) < len(all_of_them) and some.scores.min() >= 0.3
    assert len(detector.detect(park, threshold=1.1)) == 0


def test_duplicates_are_dropped_within_a_class(detector, park, monkeypatch):
    # Input pixels of 512 x 512; the second overlaps the first by 0.6, the third is another class.
    boxes = np.float32([[0, 0, 100, 80], [0, 0, 75, 64], [0, 0, 100, 80], [200, 0, 300, 80]])
    outputs = {
        "boxes": boxes[None],
        "scores": np.float32([[0.5, 0.6, 0.4, 0.9]]),
        "classes": np.float32([[0, 0, 1, 0]]),
    }
    monkeypatch.setattr(type(detector), "predict_on_batch", lambda self, x, **options: outputs)

    def scores(iou_threshold):
        found = detector.detect(park, 0.1, iou_threshold, classes=None)
        return [round(float(score), 1) for score in found.scores]

    assert scores(0.5) == [0.9, 0.6, 0.4]
    assert scores(0.7) == [0.9, 0.6, 0.5, 0.4]
    found = detector.detect(park, classes="bicycle")
    np.testing.assert_allclose(found.boxes, [[0, 0, 100 * 720 / 512, 100]], rtol=1e-6)


def test_classes_are_chosen_by_name(detector, park):
    everything = detector.detect(park, threshold=0.05, classes=None)
    benches = detector.detect(park, threshold=0.05, classes=("person", "bench"))
    assert set(benches.names) <= {"person", "bench"} <= set(detector.class_names)
    assert len(benches) <= len(everything)
    assert detector.detect(park, classes="person").names == detector.detect(park).names
    assert len(detector.detect(park, classes=())) == 0


def test_an_unknown_class_is_refused(detector, park):
    with pytest.raises(
        ValueError, match="classes names 'persn', which this detector does not know"
    ):
        detector.detect(park, classes=["persn"])


def test_an_empty_scene_gives_no_boxes(detector):
    found = detector.detect(np.zeros((40, 60, 3), np.uint8))
    assert len(found) == 0 and found.boxes.shape == (0, 4)


def test_no_photos_give_no_results(detector):
    assert detector.detect([]) == []


def test_grey_photos_are_converted(detector, park):
    grey = cv2.cvtColor(park, cv2.COLOR_RGB2GRAY)
    assert box_iou(PARK, detector.detect(grey, threshold=0.3).boxes).max(axis=1).min() > 0.7


def test_bad_images_are_refused(detector, park):
    with pytest.raises(ValueError, match=r"images must be .* got shape \(2, 640, 720, 3\)"):
        detector.detect(np.stack([park, park]))
    with pytest.raises(ValueError, match=r"images\[1\] must be"):
        detector.detect([park, np.zeros((3, 3, 7), np.uint8)])
    with pytest.raises(FileNotFoundError, match=r"there is no image file nowhere\.jpg"):
        detector.detect("nowhere.jpg")
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        detector.detect(park, batch_size=0)


def test_photos_share_batches_of_few_sizes(detector, park, monkeypatch):
    sizes = []

    def run(self, x, **options):
        sizes.append(x.shape)
        count = len(x)
        return {
            "boxes": np.zeros((count, 5, 4), np.float32),
            "scores": np.zeros((count, 5), np.float32),
            "classes": np.zeros((count, 5), np.float32),
        }

    monkeypatch.setattr(type(detector), "predict_on_batch", run)
    assert len(detector.detect([park, park[:99], park[:, :50]])) == 3
    assert sizes == [(4, 512, 512, 3)]


def test_a_detector_is_restored_from_its_preset(detector, tmp_path):
    folder = detector.save_to_preset(tmp_path / "detector", dtype="float16")
    assert not (folder / "skeleton.json").exists()
    copy = keras_pose.PersonDetector.from_preset(folder)
    assert copy.class_names == detector.class_names and copy.input_size == (512, 512)
    for a, b in zip(detector.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


FOUND = Detections(
    np.float32([[0, 0, 2, 2], [1, 1, 3, 3], [2, 2, 4, 4]]),
    np.float32([0.9, 0.5, 0.1]),
    np.int32([0, 1, 0]),
    ("person", "bicycle"),
)


@pytest.mark.parametrize(
    ("index", "scores"),
    [
        (slice(0, 2), [0.9, 0.5]),
        ([2, 0], [0.1, 0.9]),
        (np.array([True, False, True]), [0.9, 0.1]),
        (1, [0.5]),
        (-1, [0.1]),
    ],
)
def test_detections_are_selected_together(index, scores):
    chosen = FOUND[index]
    np.testing.assert_allclose(chosen.scores, scores)
    assert len(chosen) == len(chosen.boxes) == len(chosen.classes) == len(chosen.names)
    assert FOUND.names == ["person", "bicycle", "person"]


def test_detections_are_equally_long():
    with pytest.raises(ValueError, match="must be equally long, got 3, 2 and 3"):
        Detections(FOUND.boxes, FOUND.scores[:2], FOUND.classes)
