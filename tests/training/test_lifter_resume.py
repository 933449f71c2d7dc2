"""A lifter that learns from films, some without 3D labels, by a job; and goes on where it was."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose import PoseLifter
from keras_pose.backbones import TCN
from keras_pose.codecs import VideoPoseLifting
from keras_pose.heads import TemporalRegressionHead, TrajectoryRegressionHead
from keras_pose.losses import SemiSupervisionLoss
from keras_pose.training import Trainer, TrainingJob, read_checkpoint
from keras_pose.training.resuming import read_log

pytest.importorskip("tensorflow", reason="the training input is a tf.data pipeline")

PARENTS = [0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15]


class Interrupted(Exception):
    """As if the power had gone."""


class Interruption(keras.callbacks.Callback):
    """Ends the training in the middle of its second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 2):
            raise Interrupted


@pytest.fixture
def job(tmp_path):
    """Two epochs of five steps; every other film has no 3D labels."""
    lifter = PoseLifter(
        TCN((3, 3), channels=8, dropout=0.2),
        TemporalRegressionHead(17, VideoPoseLifting(remove_root=True)),
        traj_backbone=TCN((3, 3), channels=8, dropout=0.2),
        traj_head=TrajectoryRegressionHead(),
        semi_loss=SemiSupervisionLoss(PARENTS, projection_loss_weight=0.002),
    )
    recipe = {
        "optimizer": {"type": "Adam", "learning_rate": 1e-3},
        "epochs": 2,
        "batch_size": 16,
        "seed": 3,
        "augmentation": {"pose_flip": {}},
    }
    return TrainingJob.from_dict(
        {
            "model": {"preset": str(lifter.save_to_preset(tmp_path / "lifter"))},
            "train": {"dataset": "walking", "films": 2, "frames": 40, "labelled": 1},
            "recipe": recipe,
            "save_every": 2,
        }
    )


def _rows(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_log(folder)]


def test_interrupted_in_mid_epoch_it_ends_with_the_same_weights(job, tmp_path):
    whole = Trainer(job, tmp_path / "whole", verbose=0).run()
    out = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        Trainer(job, out, callbacks=[Interruption()], verbose=0).run()
    facts = read_checkpoint(out / "checkpoint.npz").facts
    assert (facts["epoch"], facts["step"]) == (1, 2)
    resumed = Trainer(job, out, resume=True, verbose=0).run()
    pairs = zip(whole.estimator.variables, resumed.estimator.variables, strict=True)
    for one, two in pairs:
        np.testing.assert_array_equal(*(ops.convert_to_numpy(v.value) for v in (one, two)))
    rows = _rows(tmp_path / "whole/log.jsonl")
    assert rows == _rows(out / "log.jsonl")
    assert rows[1]["proj_loss"] < rows[0]["proj_loss"]
