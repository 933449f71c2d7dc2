"""Running a training job: what is built, fitted, judged and kept."""

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras

from keras_pose.datasets import KeypointDataset
from keras_pose.datasets.readers.categories import check_same_keypoints
from keras_pose.datasets.whole_images import with_whole_images
from keras_pose.estimators import TopdownEstimator
from keras_pose.estimators.pose_estimator import PoseEstimator
from keras_pose.evaluation import EvaluationResult
from keras_pose.files import reason, replacing, writable_folder
from keras_pose.training.batching import (
    batches_of,
    fitting,
    read_data,
    shared_images,
    val_settings,
)
from keras_pose.training.checkpoint import Checkpoint, read_checkpoint
from keras_pose.training.distillation import Distiller
from keras_pose.training.distribution import DeviceGroup
from keras_pose.training.guards import StopAtBadLoss, TrainingError, as_training_error
from keras_pose.training.job import TrainingJob, recipe_notes
from keras_pose.training.judging import BoxJudge, JudgeEpochs, judge_of, monitored
from keras_pose.training.resuming import CheckpointWriter, EpochLog, check_same_job, read_log

JOB, CHECKPOINT, LOG, RESULTS = "job.json", "checkpoint.npz", "log.jsonl", "results.json"
BEST, LAST = "best", "last"
_CHOSEN = (
    "best is the best of several judgements on the same data: of other data expect what last says, "
    "or less"
)


@dataclass
class TrainingRun:
    """What a training leaves.

    Attributes:
        estimator: with the last weights, the averaged ones where the recipe averages.
        folder: of everything that was written.
        results: {"before", "best", "last": `EvaluationResult`}, as far as they were measured.
        epochs: int, how many were done; 0 in processes that write nothing.
        seconds: float, of this process.
    """

    estimator: Any
    folder: Path
    results: dict[str, EvaluationResult] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0


class Trainer:
    """Trains what a job describes, and leaves in a folder:

    | file | what |
    |---|---|
    | best | preset of the best weights by the monitored metric, where there is `val` |
    | last | preset of the last weights, at the end |
    | checkpoint.npz | from which the training goes on exactly, see `Checkpoint` |
    | log.jsonl | a line an epoch |
    | results.json | the judgements with their protocols, what was decided, the time |
    | job.json | the job |

    A resumed training has the same final weights as one that was not interrupted, on the same
    backend and devices: whatever order, augmentation and dropout draw follows from the seed, the
    epoch and the row, or from states that the checkpoint holds.

    Args:
        job: TrainingJob.
        out: folder, made where it is missing.
        resume: bool, go on from the checkpoint in the folder; without one the training starts.
        callbacks: further callbacks; they stand last.
        verbose: 0 prints nothing, 1 decisions and judgements on stderr and Keras' progress bar, 2 a
            line an epoch instead of it.
        group: what `distribute` gives, for several devices, inside of which the trainer is made and
            run; the recipe's `batch_size` is that of all together. Of several processes each
            judges, and only the first writes.

    Raises:
        ValueError: labels that do not fit the skeleton, a checkpoint of another job or model, a
            metric that needs what the data lack.

    Example:
        >>> job = TrainingJob.load("movenet_finetune", train={"annotations": "train.json"})
        >>> run = Trainer(job, "tuned").run()
        >>> run.estimator.predict_poses("photo.jpg")
    """

    def __init__(
        self,
        job: TrainingJob,
        out: str | Path,
        resume: bool = False,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int = 1,
        group: DeviceGroup | None = None,
    ):
        self.job, self.out = job, Path(out)
        self.group = DeviceGroup() if group is None else group
        self.verbose = verbose if self.group.is_first else 0
        self.callbacks = list(callbacks)
        self.log: list[str] = []
        self.start = self._checkpoint() if resume else None
        self._prepare()

    def run(self) -> TrainingRun:
        """Trains to the end.

        Raises:
            TrainingError: a loss is no number, or memory is full; the message says what to do.
        """
        started = time.monotonic()
        if self.group.is_first:
            writable_folder(self.out)
            for stray in self.out.glob(".*.partial*"):  # of a process that died while it wrote
                stray.unlink(missing_ok=True)
            self.job.save(self.out / JOB)
        learnt = getattr(self.estimator, "student", self.estimator)
        run = TrainingRun(learnt, self.out, self._before())
        self._fit(run.results)
        self._finish(run, started)
        return run

    def _say(self, sentence: str, keep: bool = True) -> None:
        if keep:
            self.log.append(sentence)
        if self.verbose:
            print(sentence, file=sys.stderr, flush=True)

    def _checkpoint(self) -> Checkpoint | None:
        path = self.out / CHECKPOINT
        if not path.is_file():
            self._say(f"there is no {path}: the training starts from the beginning")
            return None
        start = read_checkpoint(path)
        check_same_job(start, self.job.to_dict())
        done = f"epoch {start.facts['epoch']}, step {start.facts['step']}"
        self._say(f"goes on from {path} ({done})")
        if start.facts["backend"] != keras.backend.backend():
            self._say(
                f"{path} was written under {start.facts['backend']}: the training goes on, but not "
                "exactly"
            )
        return start

    def _prepare(self) -> None:
        job, facts = self.job, self.start.facts if self.start else {}
        skeleton = job.model.get("skeleton")
        self.data = read_data(job.train, skeleton)
        self.val = None
        if job.val and "share" in job.val:
            if not isinstance(self.data, KeypointDataset):
                raise ValueError(
                    f"val.share divides images, {self.data.name} has films: give val as train is"
                )
            self.data, self.val = self.data.split(job.val["share"], job.resolved().seed or 0)
            self._say(f"{len(self.val)} objects of {self.val.name} are not learnt but judged on")
        elif job.val:
            self.val = read_data(val_settings(job.train, job.val), skeleton)
            ours, theirs = self.data.skeleton.keypoints, self.val.skeleton.keypoints
            check_same_keypoints(ours, self.data.name, theirs, self.val.name)
            if both := shared_images(self.data, self.val):
                self._say(both)
        self._build()
        if job.whole_images and not isinstance(self.estimator, TopdownEstimator):
            raise ValueError(
                f"whole_images is for models that look at crops, {job.model['preset']} is a "
                f"{type(self.estimator).__name__}"
            )
        self.data = fitting(self.data, self.estimator, training=True)
        self.val = None if self.val is None else fitting(self.val, self.estimator)
        learnt = with_whole_images(self.data) if job.whole_images else self.data
        self.batches = batches_of(self.estimator)(
            learnt, self.recipe, self.estimator, facts.get("cache_bytes")
        )
        self.judges = self._judges()
        self._compile()

    def _build(self) -> None:
        """Makes the estimator; everything that is random in it follows from the seed."""
        model = self.job.model
        recipe = self.job.resolved()
        weights = model.get("weights", True)
        keras.utils.set_random_seed(recipe.seed or 0)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(recipe.precision)
        try:
            estimator = PoseEstimator.from_preset(model["preset"], load_weights=weights)
            wanted, have = self.data.skeleton, estimator.skeleton
            self.anew = wanted.keypoints != have.keypoints
            if self.anew or estimator.output_indices is not None:
                estimator = estimator.with_skeleton(wanted)
        finally:
            keras.config.set_dtype_policy(policy)
        self.recipe = self.job.resolved(self.anew)
        self.estimator = self._with_teacher(estimator)
        for note in recipe_notes(self.job.recipe) if isinstance(self.job.recipe, str) else ():
            self._say(f"{self.job.recipe}: {note}")
        if not weights:
            self._say(f"{model['preset']} starts with new weights")
        elif self.anew:
            self._say(
                f"the last layers start anew for the {wanted.num_keypoints} keypoints of "
                f"{self.data.name}; {model['preset']} has {have.num_keypoints} others"
            )

    def _with_teacher(self, estimator: TopdownEstimator) -> TopdownEstimator:
        """The estimator, or the one that learns from a teacher for it."""
        settings = dict(self.job.teacher or {})
        if not settings:
            return estimator
        preset = settings.pop("preset", None)
        if settings.pop("head_only", False):
            self.anew = True
            self._say(f"a new head learns from that of {self.job.model['preset']}")
            return Distiller.second_stage(estimator, **settings)
        if not isinstance(estimator, TopdownEstimator):
            raise ValueError(f"{self.job.model['preset']} is not top-down: it has no teacher here")
        teacher = TopdownEstimator.from_preset(preset)
        self._say(f"learns from {preset}, too")
        return Distiller(estimator, teacher, epochs=self.recipe.epochs, **settings)

    def _judges(self) -> dict[str, Any]:
        """Judges by what stands behind "before" and "last" in the results; "" decides."""
        if self.val is None:
            return {}
        job, recipe = self.job, self.recipe
        alone = self.data if job.whole_images else None
        # What a recipe of another data set watched may not be measurable here.
        published = isinstance(job.recipe, str) and "monitor" not in job.overrides
        plain = replace(recipe, monitor=None, monitor_mode=None)
        size = self.batches.batch_size
        try:
            judge = judge_of(recipe, self.val, alone, job.metrics, size, self.estimator)
        except ValueError as error:
            if not published or job.metrics is not None:
                raise
            judge = judge_of(plain, self.val, alone, None, size, self.estimator)
            recipe = plain
            self._say(f"{error}: what {job.recipe} was judged by is not measured")
        try:
            self.monitor = monitored(recipe, judge.names)
        except ValueError:
            if not published:
                raise
            self.monitor = monitored(plain, judge.names)
        if not job.whole_images:
            return {"": judge}
        return {"": judge, ", boxes given": BoxJudge(self.val, batch_size=size)}

    def _compile(self) -> None:
        recipe, estimator = self.recipe, self.estimator
        batches = self.batches
        self.plan = recipe.compile(estimator, batches.steps, batches.batch_size, verbose=0)
        estimator.optimizer.build(estimator.trainable_variables)
        for sentence in self.plan.log:
            self._say(sentence)
        count = sum(math.prod(v.shape) for v in estimator.trainable_variables)
        objects = f"{batches.count} {batches.unit}" + " (boxes and whole images)" * (
            batches.data is not self.data
        )
        accumulated = f" ({recipe.accumulate} batches of {batches.batch_size})"
        self._say(
            f"learns {count} parameters from {objects} of {self.data.name}: {recipe.epochs} epochs "
            f"of {batches.steps // recipe.accumulate} steps of "
            f"{batches.batch_size * recipe.accumulate}"
            f"{accumulated if recipe.accumulate > 1 else ''}, {recipe.optimizer['type']}, "
            f"{recipe.precision}, seed {recipe.seed or 0}"
        )
        if self.judges:
            self._say(
                f"the best weights are those of the {self.monitor[1]}imum of {self.monitor[0]} on "
                f"{self.val.name}"
            )

    def _before(self) -> dict[str, EvaluationResult]:
        """The judgement of the weights that the training starts with."""
        if self.start is not None:
            kept = self.start.facts["before"]
            return {name: EvaluationResult.from_dict(result) for name, result in kept.items()}
        if self.anew or not self.job.model.get("weights", True):
            return {}
        return self._judgement("before")

    def _judgement(self, when: str) -> dict[str, EvaluationResult]:
        results = {f"{when}{key}": judge(self.estimator) for key, judge in self.judges.items()}
        for name, result in results.items():
            self._say(f"{name}: {result}", keep=False)
        return results

    def _fit(self, before: dict[str, EvaluationResult]) -> None:
        estimator, recipe, start = self.estimator, self.recipe, self.start
        epoch, step = (start.facts["epoch"], start.facts["step"]) if start else (0, 0)
        guard = StopAtBadLoss(self.batches.images, step)
        callbacks = [*self.plan.callbacks, guard]
        self.judging = None
        if self.judges:
            self.judging = JudgeEpochs(
                self.judges[""],
                *self.monitor,
                recipe,
                self.out / BEST if self.group.is_first else None,
                self.job.patience,
                self._report,
                {"trained_from": str(self.job.model["preset"])},
            )
            callbacks.append(self.judging)
        facts = {
            "job": self.job.to_dict(),
            "cache_bytes": self.batches.cache_bytes,
            "before": {name: result.to_dict() for name, result in before.items()},
        }

        def state():
            return {**facts, "judging": self.judging.state if self.judging else {}}

        if start is not None:
            start.restore(estimator)
            if self.judging:
                self.judging.state |= start.facts["judging"]
        self.group.prepare(estimator)
        path, every = self.out / CHECKPOINT, self.job.save_every
        writer = CheckpointWriter(
            path, self.batches.steps, every, start, guard, state, self._report
        )
        writer.writes = self.group.is_first
        if self.group.is_first:
            callbacks.append(EpochLog(self.out / LOG, epoch, self._report))
        callbacks += [writer, *self.callbacks]
        done = bool(self.judging and self.judging.state["stopped"])
        # The rest of an epoch that was interrupted, then the others.
        parts = [(epoch, step, epoch + 1), (epoch + 1, 0, recipe.epochs)] if step else []
        for first, skip, end in parts or [(epoch, 0, recipe.epochs)]:
            if done or first >= end:
                continue
            try:
                endless = self.group.peeks
                with self.group.sharing():
                    batches = self.batches.stream(first, skip, endless)
                estimator.fit(
                    batches,
                    steps_per_epoch=self.batches.steps - skip if endless else None,
                    initial_epoch=first,
                    epochs=end,
                    callbacks=callbacks,
                    shuffle=False,  # the batches are
                    verbose=self.verbose,
                )
            except Exception as error:
                better = as_training_error(error, recipe, self.batches.batch_size)
                if better is error:
                    raise
                raise better from None
            done = estimator.stop_training

    def _report(self, sentence: str) -> None:
        self._say(f"\n{sentence}" if self.verbose == 1 else sentence, keep=False)

    def _finish(self, run: TrainingRun, started: float) -> None:
        state = self.judging.state if self.judging else {}
        if state.get("result"):
            run.results["best"] = EvaluationResult.from_dict(state["result"])
        if state.get("last"):
            run.results["last"] = EvaluationResult.from_dict(state["last"])
        for key, judge in self.judges.items():
            if f"last{key}" not in run.results:
                run.results[f"last{key}"] = judge(self.estimator)
        run.seconds = time.monotonic() - started
        if not self.group.is_first:
            return
        try:
            self._write(run)
        except OSError as error:
            raise TrainingError(
                f"what was trained could not be written into {self.out} ({reason(error)}): make "
                "room, then --resume goes on from the last checkpoint there"
            ) from None

    def _write(self, run: TrainingRun) -> None:
        """The last weights and the results."""
        state = self.judging.state if self.judging else {}
        results = {name: result.to_dict() for name, result in run.results.items()}
        facts = {"trained_from": str(self.job.model["preset"]), "results": results}
        self.estimator.save_to_preset(self.out / LAST, metadata=facts)
        run.epochs = len(read_log(self.out / LOG))
        document = {
            "results": results,
            "best_epoch": None if not state.get("result") else state["best_epoch"] + 1,
            "epochs": run.epochs,
            "seconds_of_this_process": round(run.seconds, 1),
            "decisions": self.log,
            "recipe": self.recipe.to_dict(),
            "notes": [_CHOSEN] if "best" in results else [],
        }
        with replacing(self.out / RESULTS) as partial:
            partial.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
