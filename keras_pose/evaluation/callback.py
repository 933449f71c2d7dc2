"""Evaluation while a model trains."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.dataset_evaluation import DatasetEvaluation
from keras_pose.evaluation.keypoint_metrics import MetricLike
from keras_pose.evaluation.metric import lower_is_better
from keras_pose.evaluation.topdown import predict_batches


class KeypointEvaluation(keras.callbacks.Callback):
    """Judges the estimator at the end of epochs and adds the metrics to the logs.

    It must stand before the callbacks that read the logs.

    Args:
        dataset: KeypointDataset to judge on; its annotated boxes are cropped.
        batches: batches of it, if not those of `topdown_dataset(dataset, estimator, batch_size,
            training=False)`.
        every: int, judge after every so many epochs; the others get no metrics.
        name: str, prefix of the metrics in the logs.
        batch_size: int, crops a batch.
        flip_test: bool, average with the mirrored crops; twice the time.
        score: how poses are ranked, see `evaluate_topdown`.
        engine: see `coco_engine`.
        split: part of the data set, for the protocol.
        metrics: list of metrics, see `evaluate_topdown`.
        verbose: 0 prints nothing, 1 the metrics with their protocol.

    Attributes:
        result: `EvaluationResult` of the last judgement.
        predictions: `PosePredictions` that it judged.

    Example:
        >>> estimator.fit(train, epochs=20, callbacks=[
        ...     KeypointEvaluation(people),
        ...     keras.callbacks.ModelCheckpoint(
        ...         "best.keras", monitor="coco/AP", save_best_only=True),
        ... ])
    """

    def __init__(
        self,
        dataset: KeypointDataset,
        batches: Iterable | None = None,
        every: int = 1,
        name: str = "coco",
        batch_size: int = 32,
        flip_test: bool = False,
        score: str = "keypoint",
        engine: str = "auto",
        split: str | None = None,
        verbose: int = 1,
        metrics: Sequence[MetricLike] | None = None,
    ):
        super().__init__()
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a positive integer, got {every!r}")
        self.name = name
        self.every = every
        self.verbose = verbose
        self.result = None
        self.predictions = None
        self._selection = PoseSelection(score)
        self._evaluation = DatasetEvaluation(dataset, engine, split, metrics)
        self._batches = batches
        self._batch_size = batch_size
        self._flip_test = flip_test

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        self.result = self.evaluate(self.model)
        if logs is not None:
            logs |= {f"{self.name}/{key}": value for key, value in self.result.metrics.items()}
        if self.verbose:
            # The progress bar has not ended its line yet.
            print(f"\n{self.name}: {self.result}", flush=True)

    @property
    def names(self) -> list[str]:
        """Names of the numbers that are measured, without the prefix."""
        return self._evaluation.names

    def direction(self, metric: str) -> str | None:
        """Whether more or less of one of this callback's metrics is better.

        Returns:
            "max" or "min", or None for a metric of somebody else.
        """
        name = metric.removeprefix(f"{self.name}/")
        if name == metric:
            return None
        return "min" if lower_is_better(name) else "max"

    def evaluate(self, estimator: Any):
        """Judges an estimator now; the batches are made when they are first needed.

        Returns:
            `EvaluationResult`.
        """
        if self._batches is None:
            self._batches = topdown_dataset(
                self._evaluation.dataset, estimator, self._batch_size, training=False
            )
        self.predictions = predict_batches(estimator, self._batches, self._flip_test)
        return self._evaluation.measure(
            self.predictions,
            self._selection,
            box_padding=getattr(estimator, "box_padding", None),
            flip_test=self._flip_test,
        )
