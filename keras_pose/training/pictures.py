"""Pictures of a training: what the network gets and finds, and where it errs most."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.estimators.pose_estimator import PCK_THRESHOLD
from keras_pose.evaluation.callback import KeypointEvaluation
from keras_pose.evaluation.topdown import predict_batches
from keras_pose.evaluation.worst import object_similarities, worst_page
from keras_pose.files import replacing, writable_folder
from keras_pose.training.tensorboard import EventFolder
from keras_pose.visualization import contact_sheet, draw_poses

# Width of a crop on the sheet in pixels; lines of smaller pictures could not be told apart.
_WIDTH = 320


class _Sheets(keras.callbacks.Callback):
    """Writes a picture after every so many epochs, as a file and for TensorBoard."""

    name = ""

    def __init__(self, folder: str | Path, every: int, log_dir: str | Path | None):
        super().__init__()
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a positive integer, got {every!r}")
        self.folder, self.every = writable_folder(folder), every
        self._events = None if log_dir is None else EventFolder(log_dir)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            self._write(self.sheet(epoch), epoch + 1)

    def on_train_end(self, logs=None):
        if self._events is not None:
            self._events.close()

    def sheet(self, epoch: int) -> np.ndarray:
        """The picture of an epoch, counted from 0."""
        raise NotImplementedError

    def _write(self, sheet, done):
        """Writes the picture of the state after so many epochs; a full disk stops no training."""
        import cv2

        path = self.folder / f"{self.name}_{done:04d}.png"
        try:
            with replacing(path) as partial:
                partial.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())
        except OSError as error:
            print(f"{path} could not be written: {error.strerror or error}", file=sys.stderr)
        if self._events is not None:
            self._events.image(self.name, sheet, done)
            self._events.flush()


class SampleImages(_Sheets):
    """Draws what the network gets and what it makes of it: crops with labels and predictions.

    Before the training and after every so many epochs a sheet `samples_0005.png` (number of epochs
    that were done) shows crops as they come out of the augmentation, each twice: with its labels,
    and with the keypoints that the network finds in it now.

    Args:
        batches: function from an epoch, counted from 0, to batches `(images, labels)` as `fit` gets
            them, of which the first crops are drawn. Or such batches themselves, not the object
            that `fit` gets: a pass over that counts as an epoch, so that the next one would have
            another order.
        folder: of the sheets, made where it is missing.
        every: int, a sheet after every so many epochs.
        count: int, crops on a sheet.
        log_dir: folder for TensorBoard, where the sheets shall be seen there, too.
        threshold: float, predicted keypoints with a lower score are left out; None draws all, as
            scores of a network that begins to learn are low.

    Example:
        >>> def crops(epoch):
        ...     return topdown_dataset(people, estimator, 8, training=True, first_epoch=epoch)
        >>> estimator.fit(train, epochs=20, callbacks=[SampleImages(crops, "samples", every=5)])
    """

    name = "samples"

    def __init__(
        self,
        batches: Callable[[int], Iterable] | Iterable,
        folder: str | Path,
        every: int = 1,
        count: int = 8,
        log_dir: str | Path | None = None,
        threshold: float | None = None,
    ):
        super().__init__(folder, every, log_dir)
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"count must be a positive integer, got {count!r}")
        self.count, self.threshold = count, threshold
        self._batches, self._begun = batches, False

    def on_epoch_begin(self, epoch, logs=None):
        if not self._begun:
            self._write(self.sheet(epoch), epoch)
        self._begun = True

    def sheet(self, epoch: int) -> np.ndarray:
        """The picture of crops of an epoch, counted from 0, as uint8 RGB."""
        images, labels = self._crops(epoch)
        found = self.model.predict_padded(images, batch_size=len(images))
        return sample_sheet(self.model, images, labels, found, self.threshold)

    def _crops(self, epoch):
        batches = self._batches(epoch) if callable(self._batches) else self._batches
        parts, missing = [], self.count
        for images, labels in batches:
            first = {key: np.asarray(labels[key])[:missing] for key in ("keypoints", "visible")}
            parts.append((np.asarray(images)[:missing], first))
            missing -= len(parts[-1][0])
            if missing <= 0:
                break
        if not parts:
            raise ValueError("batches are empty: there is no crop to draw")
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def sample_sheet(
    estimator: Any,
    images: np.ndarray,
    labels: dict[str, np.ndarray],
    found: dict[str, np.ndarray],
    threshold: float | None = None,
) -> np.ndarray:
    """Crops side by side, each with its labels and with what an estimator found.

    Titles say how many labelled keypoints the augmentation left outside, and, where labels and
    predictions are of one individual, which share was found, as the training's PCK counts.

    Args:
        estimator: whose crops these are; its skeletons are drawn.
        images: `(B, H, W, 3)` uint8.
        labels: `keypoints` `(B, N, K, 2)` in input pixels and `visible` `(B, N, K)`.
        found: `keypoints` `(B, M, K, 2)` in input pixels and `scores` `(B, M, K)`.
        threshold: float, keypoints with a lower score are left out; None: none.

    Returns:
        uint8 RGB array.
    """
    learnt, shown = estimator.skeleton, estimator.output_skeleton
    kept = estimator.output_indices
    cells, titles = [], []
    for i, image in enumerate(images):
        points, visible = labels["keypoints"][i], labels["visible"][i]
        visible = visible * np.isfinite(points).all(-1)
        scores = None if threshold is None else found["scores"][i]
        left = _drawn(image, points, np.where(visible > 0, np.inf, -np.inf), learnt)
        right = _drawn(image, found["keypoints"][i, ..., :2], scores, shown, threshold)
        cells.append(np.concatenate([left, right], axis=1))
        if kept is not None:
            points, visible = points[:, kept], visible[:, kept]
        outside = ((points < -0.5) | (points > np.array(image.shape[1::-1]) - 0.5)).any(-1)
        lost = int((visible * outside > 0).sum())
        titles.append(f"labels{f' ({lost} outside)' if lost else ''} | prediction")
        titles[-1] += _pck(estimator, points, visible, found["keypoints"][i, ..., :2])
    height, width = cells[0].shape[:2]
    return contact_sheet(cells, cell_size=(width, height), titles=titles)


def _drawn(image, keypoints, scores, skeleton, threshold=None):
    """One crop with its poses, enlarged before they are drawn so that lines are fine."""
    import cv2

    factor = max(1.0, _WIDTH / image.shape[1])
    size = [round(side * factor) for side in image.shape[1::-1]]
    image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    keypoints = (keypoints + 0.5) * factor - 0.5
    return draw_poses(image, keypoints, scores, skeleton, threshold=threshold or 0.0)


def _pck(estimator, points, visible, predicted) -> str:
    if len(points) != 1 or len(predicted) != 1:
        return ""
    counted = visible > 0
    if not counted.any():
        return ", nothing labelled"
    distance = np.linalg.norm(predicted - np.where(counted[..., None], points, 0.0), axis=-1)
    share = (distance < PCK_THRESHOLD * max(estimator.input_size))[counted].mean()
    return f", PCK {share:.2f}"


class WorstImages(_Sheets):
    """Draws the images whose objects are found worst, see `keras_pose.evaluation.worst_page`.

    After every so many epochs a sheet `worst_0005.png` has the images with the lowest OKS, the
    worst object framed. Objects are cropped by their annotated boxes. A skeleton without sigmas is
    judged as if all were 0.1.

    Args:
        dataset: KeypointDataset to look at.
        folder: of the sheets, made where it is missing.
        every: int, a sheet after every so many epochs. Each predicts all objects, unless
            `evaluation` did.
        count: int, images on a sheet at most.
        batch_size: int, crops a batch.
        evaluation: `KeypointEvaluation` of the same data set that stands before this callback:
            its predictions are drawn, where it has judged in this epoch.
        log_dir: folder for TensorBoard, where the sheets shall be seen there, too.
    """

    name = "worst"

    def __init__(
        self,
        dataset: KeypointDataset,
        folder: str | Path,
        every: int = 1,
        count: int = 12,
        batch_size: int = 32,
        evaluation: KeypointEvaluation | None = None,
        log_dir: str | Path | None = None,
    ):
        super().__init__(folder, every, log_dir)
        if not (dataset.visible > 0).any():
            raise ValueError(f"{dataset.name} has no labelled object to draw")
        self.dataset, self.count = dataset, count
        self._batch_size, self._batches, self._evaluation = batch_size, None, evaluation

    def on_epoch_begin(self, epoch, logs=None):
        if self._evaluation is not None:
            self._evaluation.predictions = None  # of the epoch before

    def sheet(self, epoch: int) -> np.ndarray:
        """The picture of the worst images now, as uint8 RGB."""
        predictions = getattr(self._evaluation, "predictions", None)
        if predictions is None:
            if self._batches is None:
                self._batches = topdown_dataset(
                    self.dataset, self.model, self._batch_size, training=False
                )
            predictions = predict_batches(self.model, self._batches)
        similarities = object_similarities(self.dataset, predictions)
        return worst_page(self.dataset, predictions, similarities, self.count)
