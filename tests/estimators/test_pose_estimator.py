"""The labels that training takes and refuses."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead
from keras_pose.skeleton import Skeleton

SIZE = (32, 24)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def estimator():
    keras.utils.set_random_seed(0)
    head = HeatmapHead(3, MSRAHeatmap(SIZE, (8, 6), 1.0), None, (), ())
    estimator = keras_pose.TopdownEstimator(
        ResNet(18, out_indices=(0,), base_channels=4),
        head,
        skeleton=Skeleton("trio", ["nose", "left_ear", "right_ear"]),
        input_size=SIZE,
    )
    estimator.compile(keras.optimizers.SGD(0.0))
    return estimator


def _labels(**changes):
    keypoints = np.random.default_rng(1).uniform(4, 20, (2, 1, 3, 2)).astype("f4")
    return {"keypoints": keypoints, "visible": np.ones((2, 1, 3), "f4"), **changes}


def _logs(estimator, labels):
    return estimator.test_on_batch(IMAGES, labels, return_dict=True)


def test_keypoints_that_are_not_visible_may_be_nan(estimator):
    hidden = _labels(visible=np.float32([[[1, 1, 0]], [[1, 0, 1]]]))
    unknown = _labels(visible=hidden["visible"])
    unknown["keypoints"][unknown["visible"] == 0] = np.nan
    expected = _logs(estimator, hidden)
    assert np.isfinite(expected["loss"])
    assert _logs(estimator, unknown) == pytest.approx(expected)


def test_extra_weights_scale_the_loss(estimator):
    half = np.full((2, 1, 3), 0.5, "f4")
    expected = _logs(estimator, _labels())["loss_kpt"]
    assert _logs(estimator, _labels(weights=half))["loss_kpt"] == pytest.approx(expected / 2)


def test_other_labels_are_not_read(estimator):
    extra = _labels(affine=np.zeros((2, 2, 3), "f4"), ids=np.array([7, 8]))
    assert _logs(estimator, extra) == pytest.approx(_logs(estimator, _labels()))


def test_whole_numbers_are_fine(estimator):
    whole = _labels(visible=np.ones((2, 1, 3), np.int32))
    assert _logs(estimator, whole) == pytest.approx(_logs(estimator, _labels()))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((2, 1, 3, 2)), "labels as a dict with keypoints"),
        ({"keypoints": np.zeros((2, 1, 3, 2))}, "the labels lack 'visible'; there are keypoints"),
        (
            _labels(keypoints=np.zeros((2, 3, 2), "f4")),
            r"keypoints must be \(B, N, 3, 2\), got shape \(2, 3, 2\)",
        ),
        (_labels(keypoints=np.zeros((2, 1, 4, 2), "f4")), r"keypoints must be \(B, N, 3, 2\)"),
        (
            _labels(visible=np.zeros((2, 3), "f4")),
            r"visible must be \(B, N, 3\), got shape \(2, 3\)",
        ),
        (_labels(weights=np.zeros((2, 1, 1), "f4")), r"weights must be \(B, N, 3\)"),
    ],
)
def test_labels_of_another_form_are_refused(estimator, labels, message):
    with pytest.raises(ValueError, match=message):
        estimator.compute_loss(y=labels, y_pred=estimator(IMAGES))


def test_sample_weights_are_refused(estimator):
    with pytest.raises(ValueError, match=r"put weights \(B, N, K\) into the labels"):
        estimator.compute_loss(y=_labels(), y_pred={}, sample_weight=np.ones(2))
