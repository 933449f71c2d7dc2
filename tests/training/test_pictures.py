"""Sheets of samples and of the worst images, written while a model trains."""

import cv2
import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.evaluation import KeypointEvaluation
from keras_pose.evaluation.topdown import predict_batches
from keras_pose.training import SampleImages, WorstImages
from keras_pose.training.pictures import sample_sheet


@pytest.fixture
def trained(tiny, tiny_job, tmp_path):
    """(estimator, data set, images, labels) of drawn pictures."""
    tiny_job()
    estimator, images, labels = tiny()
    estimator.compile("adam")
    return estimator, KeypointDataset.from_coco(tmp_path / "dots.json", tmp_path), images, labels


def _fit(estimator, images, labels, callbacks, **options):
    options = {"epochs": 2, "verbose": 0, **options}
    estimator.fit(images, labels, batch_size=8, callbacks=callbacks, **options)


def _files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_samples_are_drawn_before_and_after_so_many_epochs(trained, tmp_path):
    estimator, dataset, images, labels = trained
    asked = []

    def batches(epoch):
        asked.append(epoch)
        return topdown_dataset(dataset, estimator, 4, training=True, first_epoch=epoch)

    samples = SampleImages(batches, tmp_path / "samples", every=2, count=6)
    _fit(estimator, images, labels, [samples], initial_epoch=1, epochs=4)
    assert _files(tmp_path / "samples") == [f"samples_000{i}.png" for i in (1, 2, 4)]
    assert asked == [1, 1, 3]
    sheet = cv2.imread(str(tmp_path / "samples/samples_0001.png"))
    assert sheet.shape == (8 + 3 * 328, 8 + 2 * 648, 3)


def test_samples_draw_each_keypoint_where_it_is(tiny):
    estimator, images, labels = tiny()
    found = {"keypoints": labels["keypoints"] + 100.0, "scores": labels["visible"]}
    plain = np.zeros_like(images)
    # One crop in a cell of 640x320, 8 pixels from the sheet's corner, enlarged ten times.
    sheet = sample_sheet(estimator, plain[:1], labels, found)
    for x, y in labels["keypoints"][0, 0]:
        assert sheet[int(8 + 10 * y + 5), int(8 + 10 * x + 5)].max() > 100
    assert not sheet[40:-8, 8 + 330 : -8].any()


def test_hidden_keypoints_are_not_drawn_whatever_they_are(tiny):
    estimator, images, labels = tiny()
    labels = {"keypoints": np.full_like(labels["keypoints"], np.nan), "visible": labels["visible"]}
    found = {"keypoints": np.zeros((16, 1, 2, 2)), "scores": np.zeros((16, 1, 2))}
    sheet = sample_sheet(estimator, images[:1] * 0, labels, found, threshold=0.5)
    assert not sheet[40:-8, 8:-8].any()


def test_few_samples_are_no_error_and_none_are(trained, tmp_path):
    estimator, _, images, labels = trained
    samples = SampleImages([(images[:3], labels)], tmp_path, count=8)
    samples.set_model(estimator)
    assert samples.sheet(0).shape[2] == 3
    samples = SampleImages([], tmp_path)
    samples.set_model(estimator)
    with pytest.raises(ValueError, match="batches are empty"):
        samples.sheet(0)


def test_the_worst_images_are_drawn(trained, tmp_path):
    estimator, dataset, images, labels = trained
    worst = WorstImages(dataset, tmp_path / "worst", every=2, count=3)
    _fit(estimator, images, labels, [worst], epochs=3)
    assert _files(tmp_path / "worst") == ["worst_0002.png"]


def test_the_worst_images_take_what_the_evaluation_predicted_in_this_epoch(
    trained, tmp_path, monkeypatch
):
    estimator, dataset, images, labels = trained
    evaluation = KeypointEvaluation(dataset, every=2, verbose=0)
    worst = WorstImages(dataset, tmp_path / "worst", evaluation=evaluation)
    predicted = []

    def predict(*arguments):
        predicted.append(arguments)
        return predict_batches(*arguments)

    monkeypatch.setattr("keras_pose.training.pictures.predict_batches", predict)
    _fit(estimator, images, labels, [evaluation, worst], epochs=3)
    assert len(predicted) == 2  # in the first and the third, when nothing was judged
    assert _files(tmp_path / "worst") == [f"worst_000{i}.png" for i in (1, 2, 3)]


def test_a_picture_that_cannot_be_written_stops_no_training(trained, tmp_path, monkeypatch, capsys):
    estimator, _, images, labels = trained
    samples = SampleImages([(images, labels)], tmp_path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    _fit(estimator, images, labels, [samples], epochs=1)
    assert "samples_0001.png could not be written: No space left" in capsys.readouterr().err


def test_bad_settings_say_what_to_do(trained, tmp_path):
    _, dataset, _, _ = trained
    with pytest.raises(ValueError, match="every must be a positive integer, got 0"):
        WorstImages(dataset, tmp_path, every=0)
    with pytest.raises(ValueError, match="count must be a positive integer, got 0"):
        SampleImages([], tmp_path, count=0)
    with pytest.raises(ValueError, match="no labelled object to draw"):
        WorstImages(dataset[:0], tmp_path)
