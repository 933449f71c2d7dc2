"""Trains a job on two devices."""

from keras_pose.training import Trainer, TrainingJob
from keras_pose.training.distribution import distribute


def train(job, out):
    """Trains what the file `job` describes into the folder `out`."""
    with distribute(2) as group:
        Trainer(TrainingJob.load(job), out, verbose=0, group=group).run()
