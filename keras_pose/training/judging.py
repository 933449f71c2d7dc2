"""Judging a model while it trains: the best weights, and when to stop."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_pose import evaluation
from keras_pose.datasets import KeypointDataset, PoseSequences
from keras_pose.datasets.whole_images import box_margin
from keras_pose.estimators import BottomupEstimator, PoseLifter
from keras_pose.estimators.alone import find_alone
from keras_pose.evaluation.coco_variants import WHOLEBODY_PARTS
from keras_pose.evaluation.dataset_evaluation import DISTANCES, DatasetEvaluation
from keras_pose.evaluation.keypoint_metrics import METRICS, by_keypoint_name, measure
from keras_pose.evaluation.metric import lower_is_better
from keras_pose.files import reason
from keras_pose.training.recipe import Recipe
from keras_pose.training.schedule import unknown

# Metrics with rules of their own, by the data set that monitors like "crowdpose/AP" name.
_OF_OWNERS = {"crowdpose": "crowdpose", "coco-wholebody": "wholebody"}


class BoxJudge:
    """Judges an estimator in annotated boxes.

    Args:
        dataset: KeypointDataset.
        metrics: see `keras_pose.evaluation.evaluate_topdown`.
        batch_size: int, crops a batch.

    Raises:
        ValueError: for a metric that needs what the data set lacks; at once, not after an epoch.
    """

    def __init__(
        self, dataset: KeypointDataset, metrics: Sequence | None = None, batch_size: int = 32
    ):
        self._callback = evaluation.KeypointEvaluation(
            dataset, metrics=metrics, batch_size=batch_size, verbose=0
        )
        self.names = self._callback.names

    def __call__(self, estimator: Any) -> evaluation.EvaluationResult:
        return self._callback.evaluate(estimator)


class AloneJudge:
    """Judges an estimator without boxes, on pictures that show one animal each.

    Args:
        dataset: KeypointDataset with one object an image.
        margin: see `find_alone`; of the training data, as nothing is known of others.
        metrics: like those of `BoxJudge`, without AP.
    """

    def __init__(self, dataset: KeypointDataset, margin: float, metrics: Sequence | None = None):
        self._dataset, self._margin = dataset, margin
        self._metrics = list(metrics or reversed(DISTANCES))
        for metric in self._metrics:
            if str(metric).lower() == "ap":
                raise ValueError("AP is measured in boxes; with whole_images ask for pck, epe, ...")
        self.names = DatasetEvaluation(dataset, metrics=self._metrics).names

    def __call__(self, estimator: Any) -> evaluation.EvaluationResult:
        poses = find_alone(estimator, list(self._dataset.image_paths), self._margin)
        found = np.concatenate([pose.keypoints for pose in poses])
        return evaluation.evaluate(
            found,
            self._dataset,
            self._metrics,
            boxes="none; the whole image, then twice the box of what was found",
            box_padding=estimator.box_padding,
        )


class BottomupJudge:
    """Judges an estimator that finds all people of a photo by itself.

    Args:
        dataset: KeypointDataset.
        metrics: see `keras_pose.evaluation.evaluate_bottomup`.
        batch_size: int, images a batch.

    Raises:
        ValueError: for a metric that needs what the data set lacks, or needs to know which object
            each pose is of.
    """

    def __init__(
        self, dataset: KeypointDataset, metrics: Sequence | None = None, batch_size: int = 8
    ):
        self._dataset, self._metrics, self._batch_size = dataset, metrics, batch_size
        measured = DatasetEvaluation(dataset, metrics=metrics)
        measured.need_known_objects(False)
        self.names = measured.names

    def __call__(self, estimator: Any) -> evaluation.EvaluationResult:
        return evaluation.evaluate_bottomup(
            estimator, self._dataset, batch_size=self._batch_size, metrics=self._metrics
        )


class LiftingJudge:
    """Judges a lifter on films: its poses and the true ones, with the roots laid on each other.

    Args:
        sequences: PoseSequences in the lifter's windows.
        metrics: see `keras_pose.evaluation.keypoint_metric`; default: MPJPE.
        batch_size: int, windows a batch.
    """

    def __init__(
        self, sequences: PoseSequences, metrics: Sequence | None = None, batch_size: int = 32
    ):
        self._metrics = [evaluation.keypoint_metric(metric) for metric in metrics or ("mpjpe",)]
        self._sequences, self._batch_size = sequences, batch_size
        targets = sequences.windows.targets().ravel()
        self._truth, self._visible = sequences.keypoints_3d[targets], sequences.visible_3d[targets]
        self._columns = {"image_names": sequences.image_paths[targets]}
        self.names = list(measure(self._metrics, self._poses(self._truth)).values)

    def _poses(self, found: np.ndarray) -> evaluation.Poses:
        films = self._sequences
        return evaluation.Poses(
            found, self._truth, self._visible, self._columns, films.skeleton, films.name
        )

    def __call__(self, estimator: Any) -> evaluation.EvaluationResult:
        films, codec = self._sequences, estimator.head.codec
        found = []
        for start in range(0, len(films), self._batch_size):
            rows = np.arange(start, min(start + self._batch_size, len(films)))
            poses = estimator.predict_padded(films.batch(rows)[0], self._batch_size)
            found.append(poses["keypoints"].reshape(-1, *self._truth.shape[1:]))
        found = np.concatenate(found)
        apart = ops.convert_to_numpy(codec.root(self._truth) - codec.root(found))
        poses = self._poses(found + apart)
        measured = measure(self._metrics, poses)
        protocol = evaluation.Protocol(
            dataset=films.name,
            images=len(found),
            people=len(found),
            boxes="none, 2D poses of the data",
            score="not used",
            measure="; ".join([*(m.description for m in self._metrics), "about the root"]),
        )
        return evaluation.EvaluationResult(
            measured.values, protocol, measured.notes, by_keypoint_name(measured, poses)
        )


def judge_of(
    recipe: Recipe,
    val: KeypointDataset | PoseSequences,
    train: KeypointDataset | None = None,
    metrics: Sequence | None = None,
    batch_size: int = 32,
    estimator: Any = None,
) -> BoxJudge | AloneJudge | BottomupJudge | LiftingJudge:
    """The judge of a training.

    Args:
        recipe: where no metrics are asked for, the one that its `monitor` names is measured.
        val: KeypointDataset to judge on, or films.
        train: KeypointDataset that was learnt, to judge without boxes; None: annotated boxes.
        metrics: list of metrics.
        batch_size: int, crops a batch.
        estimator: whose kind decides who judges; default: a top-down one.

    Raises:
        ValueError: for a metric that needs what the data set lacks.
    """
    owner, _, name = str(recipe.monitor or "").lower().rpartition("/")
    if metrics is None and name in METRICS:
        metrics = [name]
    elif metrics is None and (owner in _OF_OWNERS or owner in WHOLEBODY_PARTS):
        metrics = [_OF_OWNERS.get(owner, "wholebody")]
    if isinstance(estimator, PoseLifter):
        return LiftingJudge(val, metrics, batch_size)
    if isinstance(estimator, BottomupEstimator):
        return BottomupJudge(val, metrics, batch_size)
    if train is None:
        return BoxJudge(val, metrics, batch_size)
    return AloneJudge(val, box_margin(train), metrics)


def monitored(recipe: Recipe, names: Sequence[str]) -> tuple[str, str]:
    """Name and direction, "max" or "min", of the number that the best weights are chosen by.

    Args:
        recipe: its `monitor` is one of the names ("AP", "foot/AP"), also behind the name of a data
            set ("coco/AP"), or the beginning of one ("PCK" for "PCK@0.05"). None: the first name.
        names: of what is measured.

    Raises:
        ValueError: for a number that is not measured, with the nearest.
    """
    whole = str(recipe.monitor or names[0]).lower()
    tests = (str.__eq__, str.startswith)
    wanted = (whole, whole.rpartition("/")[2])
    found = [n for test in tests for text in wanted for n in names if test(n.lower(), text)]
    if not found:
        raise ValueError(
            f"monitor: {unknown('number', recipe.monitor, names)}; metrics says what is measured"
        )
    mode = recipe.monitor_mode or ("min" if lower_is_better(found[0]) else "max")
    return found[0], mode


class JudgeEpochs(keras.callbacks.Callback):
    """Judges at the end of epochs, keeps the best weights as a preset, and stops for patience.

    Args:
        judge: function from an estimator to an `EvaluationResult`.
        monitor, mode: see `monitored`.
        recipe: says after which epochs; the last one always.
        folder: of the preset of the best weights; None keeps none.
        patience: int, judgements without a better one after which to stop; None: never.
        report: function that prints a sentence.

    Attributes:
        state: plain data that a checkpoint keeps: `best`, `best_epoch` and its `result`, `waited`,
            `stopped`, and `last`, the last result.
    """

    def __init__(
        self,
        judge: Callable,
        monitor: str,
        mode: str,
        recipe: Recipe,
        folder: Path | None,
        patience: int | None = None,
        report: Callable[[str], None] = print,
        facts: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.monitor, self.mode, self.patience = monitor, mode, patience
        self.state: dict[str, Any] = {"best": None, "best_epoch": None, "waited": 0}
        self.state["stopped"] = False
        self._judge, self._recipe, self._folder = judge, recipe, folder
        self._report, self._facts = report, dict(facts or {})

    def better(self, value: float) -> bool:
        """Whether a number is better than the best one so far."""
        best = self.state["best"]
        if value == -1 or not math.isfinite(value):  # -1: nobody was annotated
            return False
        return best is None or (value > best if self.mode == "max" else value < best)

    def on_epoch_end(self, epoch, logs=None):
        if not self._recipe.judged(epoch):
            return
        model = self.model
        result = self._judge(model)
        self.state["last"] = result.to_dict()
        if logs is not None:
            logs |= result.metrics
        value = result.metrics[self.monitor]
        better = self.better(value)
        self._report(f"epoch {epoch + 1}: {result}{' (best)' if better else ''}")
        if better:
            facts = {"epoch": epoch + 1, "result": result.to_dict()}
            try:
                if self._folder is not None:
                    model.save_to_preset(self._folder, metadata={**self._facts, **facts})
            except OSError as error:
                self._report(
                    f"the best weights could not be written ({reason(error)}); those "
                    "before are kept"
                )
                return
            self.state |= {"best": value, "best_epoch": epoch, "waited": 0}
            self.state["result"] = facts["result"]
            return
        self.state["waited"] += 1
        if self.patience and self.state["waited"] >= self.patience:
            self._report(
                f"stopped after epoch {epoch + 1}: {self.monitor} was not better than "
                f"{self.state['best']} for {self.state['waited']} judgements"
            )
            self.state["stopped"] = True
            model.stop_training = True
