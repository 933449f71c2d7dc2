"""PosePredictor with an estimator that answers with the centre of each box."""

import numpy as np
import pytest

from keras_pose.paths import PRESETS
from keras_pose.predictor import PosePredictor
from keras_pose.results import PoseResult

SMALL = np.zeros((40, 60, 3), np.uint8)
LARGE = np.zeros((80, 120, 3), np.uint8)


class CentreEstimator:
    """Every keypoint lies in the middle of the box."""

    def __init__(self):
        self.calls = []

    def predict_poses(self, images, boxes=None, box_scores=None, flip_test=False, batch_size=16):
        self.calls.append((len(images), flip_test, batch_size))
        results = []
        for index, image in enumerate(images):
            height, width = image.shape[:2]
            mine = [[0, 0, width, height]] if boxes is None else boxes[index]
            mine = np.asarray(mine, np.float32).reshape(-1, 4)
            scores = None if box_scores is None else box_scores[index]
            centres = (mine[:, None, :2] + mine[:, None, 2:]) / 2
            results.append(
                PoseResult(
                    np.repeat(centres, 17, axis=1),
                    np.full((len(mine), 17), 0.5),
                    "coco",
                    boxes=mine,
                    box_scores=scores,
                    image_size=(width, height),
                )
            )
        return results


def two_people(image):
    """One box in the left half, one in the right half of the image."""
    height, width = image.shape[:2]
    return [[0, 0, width / 2, height], [width / 2, 0, width, height]], [0.9, 0.4]


@pytest.fixture
def predictor():
    return PosePredictor(CentreEstimator(), two_people, batch_size=4, flip_test=True)


def test_one_image_gives_one_result(predictor):
    result = predictor.predict(SMALL)
    assert isinstance(result, PoseResult)
    np.testing.assert_array_equal(result.keypoints[:, 0], [[15, 20], [45, 20]])
    np.testing.assert_allclose(result.box_scores, [0.9, 0.4])


def test_list_gives_list_and_one_call_of_the_estimator(predictor):
    results = predictor.predict([SMALL, LARGE])
    assert [result.image_size for result in results] == [(60, 40), (120, 80)]
    assert predictor.estimator.calls == [(2, True, 4)]


def test_empty_list(predictor):
    assert predictor.predict([]) == []


def test_threshold_leaves_people_out():
    predictor = PosePredictor(CentreEstimator(), two_people, threshold=0.5)
    assert len(predictor.predict(SMALL)) == 1


def test_without_detector_the_person_fills_the_image():
    result = PosePredictor(CentreEstimator()).predict(SMALL)
    np.testing.assert_array_equal(result.keypoints[:, 0], [[30, 20]])


def test_own_boxes_replace_the_detector(predictor):
    result = predictor.predict(SMALL, boxes=[[0, 0, 10, 10]], box_scores=[0.3])
    np.testing.assert_array_equal(result.keypoints[:, 0], [[5, 5]])
    results = predictor.predict([SMALL, LARGE], boxes=[[[0, 0, 10, 10]], []])
    assert [len(result) for result in results] == [1, 0]


def test_nobody_gives_an_empty_result():
    predictor = PosePredictor(CentreEstimator(), lambda image: [])
    result = predictor.predict(SMALL)
    assert (len(result), result.image_size) == (0, (60, 40))


def test_paths_and_other_arrays_are_converted(predictor):
    results = predictor.predict([PRESETS / "samples" / "jump.jpg", SMALL[..., 0].astype(float)])
    assert [result.image_size for result in results] == [(660, 594), (60, 40)]


def test_missing_file_is_named(predictor):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        predictor.predict("nowhere.jpg")


def test_wrong_array_is_named(predictor):
    with pytest.raises(ValueError, match=r"images\[1\]"):
        predictor.predict([SMALL, np.zeros((4, 4, 2), np.uint8)])


def test_boxes_for_a_list_must_be_a_list_as_long(predictor):
    with pytest.raises(ValueError, match="each of the 2 images"):
        predictor.predict([SMALL, LARGE], boxes=[[[0, 0, 1, 1]]])


@pytest.mark.parametrize("argument", [{"threshold": 1.5}, {"iou_threshold": -1}, {"batch_size": 0}])
def test_arguments_are_checked(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        PosePredictor(CentreEstimator(), **argument)


def test_video_gives_every_frame_in_order(predictor):
    found = list(predictor.predict_video(PRESETS / "samples" / "walk.mp4", batch_frames=16))
    assert len(found) == 44
    assert [count for count, _, _ in predictor.estimator.calls] == [16, 16, 12]
    frame, result = found[-1]
    assert (frame.shape, result.image_size) == ((480, 540, 3), (540, 480))


def test_frames_before_an_error_are_kept(predictor):
    def frames():
        yield from [SMALL] * 5
        raise ValueError("damaged")

    found = []
    with pytest.raises(ValueError, match="damaged"):
        for _, result in predictor.predict_frames(frames(), batch_frames=4):
            found.append(result)
    assert len(found) == 5


def test_tracker_numbers_the_people_of_a_video(predictor):
    found = list(predictor.predict_frames([SMALL] * 3, tracker=True))
    assert [result.track_ids.tolist() for _, result in found] == [[1, 2]] * 3
    assert next(predictor.predict_frames([SMALL]))[1].track_ids is None
