"""A training that is killed goes on exactly where it was."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.training import Trainer, TrainingJob, read_checkpoint
from keras_pose.training.guards import TrainingError
from keras_pose.training.resuming import CheckpointWriter, read_log

ROOT = Path(__file__).resolve().parents[2]
# Runs a job and is killed, without any chance to clean up, after the third step of epoch 2.
KILLED = """
import os, signal, sys
import keras
from keras_pose.training import Trainer, TrainingJob

class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

Trainer(TrainingJob.load(sys.argv[1]), sys.argv[2], callbacks=[Kill()], verbose=0).run()
"""
RECIPE = {
    "schedule": [{"rule": "linear", "unit": "step", "end": 8, "start": 0.1}],
    "average": {"kind": "constant", "momentum": 0.1},
    "rules": {"norm_decay": 0},
}


def _weights(model):
    return [ops.convert_to_numpy(variable.value) for variable in model.variables]


def _rows(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_log(folder)]


def test_killed_in_mid_epoch_it_ends_with_the_same_weights(tiny_job, tmp_path):
    """Equal to the last bit on every backend, with dropout, averages, log and best weights."""
    job = tiny_job(RECIPE, save_every=2, val={"annotations": str(tmp_path / "dots.json")})
    job.save(tmp_path / "job.json")
    whole = Trainer(job, tmp_path / "whole", verbose=0).run()
    out = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "job.json"), str(out)],
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    facts = read_checkpoint(out / "checkpoint.npz").facts
    assert (facts["epoch"], facts["step"]) == (1, 2)
    resumed = Trainer(job, out, resume=True, verbose=0).run()
    for one, two in zip(_weights(whole.estimator), _weights(resumed.estimator), strict=True):
        np.testing.assert_array_equal(one, two)
    assert _rows(out / "log.jsonl") == _rows(tmp_path / "whole/log.jsonl")
    assert resumed.results["best"].metrics == whole.results["best"].metrics


def test_a_finished_training_is_not_trained_again(tiny_job, tmp_path):
    job = tiny_job({"epochs": 1})
    first = Trainer(job, tmp_path / "out", verbose=0).run()
    again = Trainer(job, tmp_path / "out", resume=True, verbose=0).run()
    assert len(read_log(tmp_path / "out/log.jsonl")) == 1
    for one, two in zip(_weights(first.estimator), _weights(again.estimator), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_checkpoint_of_another_job_or_model_is_refused(tiny_job, tmp_path, tiny):
    out = tmp_path / "out"
    Trainer(tiny_job({"epochs": 1}), out, verbose=0).run()
    with pytest.raises(ValueError, match=r"another job: recipe\.epochs is 1 there and 2"):
        Trainer(tiny_job({"epochs": 2}), out, resume=True, verbose=0)
    other = tiny()[0]
    other.compile("adam")
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(ValueError, match=r"checkpoint.npz is of another model: it has"):
        read_checkpoint(out / "checkpoint.npz").restore(other)


def test_damaged_checkpoints_are_told(tmp_path):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match="is no checkpoint of a training, or damaged"):
        read_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"damaged \(No data left in file\): remove it, or start"):
        read_checkpoint(path)


def test_a_full_disk_keeps_the_checkpoint_before(tiny, tmp_path, monkeypatch):
    estimator = tiny()[0]
    estimator.compile("sgd")
    estimator.optimizer.build(estimator.trainable_variables)
    said = []
    writer = CheckpointWriter(tmp_path / "checkpoint.npz", 4, report=said.append)
    writer.set_model(estimator)
    writer.on_epoch_end(0)

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    writer.on_epoch_end(1)
    assert "No space left on device" in said[0]
    assert "the one before it is kept" in said[0]
    assert read_checkpoint(tmp_path / "checkpoint.npz").facts["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_full_disk_at_the_end_is_one_sentence(tiny_job, tmp_path, monkeypatch):
    trainer = Trainer(tiny_job({"epochs": 1}), tmp_path / "out", verbose=0)

    def full(*_, **__):
        raise OSError(28, "Can't write data (file write failed: time = ...,\nfilename = ...)")

    monkeypatch.setattr(trainer.estimator, "save_to_preset", full)
    with pytest.raises(TrainingError, match=r"be written into .*out \(No space left on device\)"):
        trainer.run()
    monkeypatch.undo()
    resumed = Trainer(tiny_job({"epochs": 1}), tmp_path / "out", resume=True, verbose=0)
    assert resumed.run().epochs == 1
    assert (tmp_path / "out/last").is_dir()


def test_jobs_keep_their_form_in_a_file(tiny_job, tmp_path):
    job = tiny_job(RECIPE, patience=3, val={"annotations": str(tmp_path / "dots.json")})
    job.save(tmp_path / "job.json")
    assert TrainingJob.load(tmp_path / "job.json").to_dict() == json.loads(
        json.dumps(job.to_dict())
    )


class Interrupt(keras.callbacks.Callback):
    """Stops the process after the third batch of the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 2:
            raise KeyboardInterrupt


def test_loss_scales_and_gathered_gradients_go_on_too(tiny_job, tmp_path):
    """A checkpoint after batch 3 of 4, where a step takes 2."""
    recipe = {"precision": "mixed_float16", "accumulate": 2, "batch_size": 8, "epochs": 2}
    job = tiny_job(recipe, save_every=1)
    whole = Trainer(job, tmp_path / "whole", verbose=0).run()
    with pytest.raises(KeyboardInterrupt):
        Trainer(job, tmp_path / "out", callbacks=[Interrupt()], verbose=0).run()
    resumed = Trainer(job, tmp_path / "out", resume=True, verbose=0)
    assert resumed.start.facts["step"] == 3
    resumed = resumed.run()
    optimizers = [run.estimator.optimizer for run in (whole, resumed)]
    assert "LossScale" in type(optimizers[0]).__name__
    for one, two in zip(*(optimizer.variables for optimizer in optimizers), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(two))
    for one, two in zip(_weights(whole.estimator), _weights(resumed.estimator), strict=True):
        np.testing.assert_array_equal(one, two)
