"""Curves and pictures for TensorBoard, written with TensorFlow alone.

`keras.callbacks.TensorBoard` writes by `tf.summary.scalar`, which fails where the package
tensorboard is missing; TensorFlow no longer brings it along. Only looking needs it.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pose.datasets.batches import require_tensorflow
from keras_pose.images import as_rgb

# What TensorBoard's own reader calls the kinds of data (tensorboard/compat/proto/summary.proto).
_SCALAR, _BLOBS = 1, 3


class EventFolder:
    """A folder of curves and pictures; a file of events is made when something is written.

    Args:
        path: of the folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._writer = None

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds a point to a curve; a slash in the name makes groups."""
        self._write(name, np.float32(value), step, "scalars", _SCALAR)

    def image(self, name: str, picture: np.ndarray, step: int) -> None:
        """Adds a picture, uint8 RGB `(H, W, 3)`."""
        tf = require_tensorflow()
        height, width = as_rgb(picture).shape[:2]
        with tf.device("CPU"):
            png = tf.io.encode_png(picture).numpy()
        value = np.array([str(width).encode(), str(height).encode(), png], object)
        self._write(name, value, step, "images", _BLOBS)

    def flush(self) -> None:
        """Lets readers see what was written."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Ends the file; what is written later goes into a new one."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _write(self, name, value, step, plugin, kind):
        tf = require_tensorflow()
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.path))
        metadata = tf.compat.v1.SummaryMetadata(data_class=kind)
        metadata.plugin_data.plugin_name = plugin
        with tf.device("CPU"), self._writer.as_default():
            tf.summary.write(name, tf.constant(value), step=step, metadata=metadata)


class TensorBoardLog(keras.callbacks.Callback):
    """Writes every number of the logs as a curve over epochs, and the learning rate.

    Losses, terms of the loss, PCK and the metrics of callbacks that stand before this one go to
    `train` in the folder; what begins with `val_` goes to `validation` under the same name, so that
    both are in one diagram. Look at them with `pip install tensorboard` and
    `tensorboard --logdir FOLDER`, on any machine. A resumed training goes on with its curves.

    Args:
        folder: where to; of several trainings in subfolders of one, each is a line of its own.

    Example:
        >>> estimator.fit(train, validation_data=val, epochs=20, callbacks=[
        ...     KeypointEvaluation(people), TensorBoardLog("logs/first")])
    """

    def __init__(self, folder: str | Path):
        super().__init__()
        self._train, self._val = (EventFolder(Path(folder) / n) for n in ("train", "validation"))

    def on_epoch_end(self, epoch, logs=None):
        rate = learning_rate(self.model)
        numbers = {**(logs or {}), **({} if rate is None else {"learning_rate": rate})}
        for name, value in numbers.items():
            folder = self._val if name.startswith("val_") else self._train
            folder.scalar(name.removeprefix("val_"), float(value), epoch + 1)
        self._train.flush()
        self._val.flush()

    def on_train_end(self, logs=None):
        self._train.close()
        self._val.close()


class LearningRateLog(keras.callbacks.Callback):
    """Adds the learning rate of the last step to the logs of every epoch, as `learning_rate`.

    It stands before the callbacks that read the logs.
    """

    def on_epoch_end(self, epoch, logs=None):
        rate = learning_rate(self.model)
        if logs is not None and rate is not None:
            logs["learning_rate"] = rate


def learning_rate(model: Any) -> float | None:
    """The present learning rate of a compiled model, None where there is no optimizer."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None:
        return None
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
