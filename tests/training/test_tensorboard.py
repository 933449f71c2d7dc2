"""Curves and pictures for TensorBoard; its package is not needed to write them."""

import keras
import numpy as np
import pytest

from keras_pose.training import LearningRateLog, SampleImages, TensorBoardLog
from keras_pose.training.tensorboard import EventFolder

tf = pytest.importorskip("tensorflow")


def _events(folder):
    """{(plugin, name, step): tensor} of a folder's files."""
    found = {}
    for file in sorted(folder.glob("events*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                found[plugin, value.tag, event.step] = tf.make_ndarray(value.tensor)
    return found


def test_every_number_of_a_training_is_a_curve(tiny, tmp_path):
    estimator, images, labels = tiny()
    estimator.compile(
        keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5))
    )

    class Metric(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["coco/AP"] = 0.5

    history = estimator.fit(
        images,
        labels,
        batch_size=8,
        epochs=2,
        validation_data=(images, labels),
        callbacks=[Metric(), TensorBoardLog(tmp_path)],
        verbose=0,
    ).history
    train = _events(tmp_path / "train")
    names = {"loss", "loss_kpt", "pck", "coco/AP", "learning_rate"}
    assert train.keys() == {("scalars", name, step) for name in names for step in (1, 2)}
    np.testing.assert_allclose(train["scalars", "learning_rate", 2], 0.25)
    validation = _events(tmp_path / "validation")
    assert {name for _, name, _ in validation} == {"loss", "loss_kpt", "pck"}
    np.testing.assert_allclose(validation["scalars", "pck", 2], history["val_pck"][1])


def test_pictures_are_stored_as_png(tmp_path):
    folder = EventFolder(tmp_path)
    picture = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    folder.image("worst", picture, 3)
    folder.close()
    width, height, png = _events(tmp_path)["images", "worst", 3]
    assert (width, height) == (b"6", b"4")
    np.testing.assert_array_equal(tf.io.decode_png(png), picture)


def test_sheets_go_to_tensorboard_too(tiny, tmp_path):
    estimator, images, labels = tiny()
    samples = SampleImages([(images, labels)], tmp_path, log_dir=tmp_path / "logs")
    samples.set_model(estimator)
    samples.on_epoch_end(4)
    assert [*_events(tmp_path / "logs")] == [("images", "samples", 5)]


def test_the_learning_rate_is_in_the_history(tiny):
    estimator, images, labels = tiny()
    estimator.compile(
        keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5))
    )
    history = estimator.fit(
        images, labels, batch_size=8, epochs=2, callbacks=[LearningRateLog()], verbose=0
    ).history
    np.testing.assert_allclose(history["learning_rate"], [0.5, 0.25])
