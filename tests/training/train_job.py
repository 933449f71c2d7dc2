"""Runs a job on two devices: `python train_job.py JOB.json OUT`."""

import sys

import keras


def train(job, out):
    from keras_pose.training import Trainer, TrainingJob
    from keras_pose.training.distribution import distribute

    with distribute(2) as group:
        Trainer(TrainingJob.load(job), out, verbose=0, group=group).run()


def main(job, out):
    if keras.backend.backend() == "torch":
        from keras_pose.training.distribution import launch

        launch(train, 2, job, out)
        return
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
    train(job, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
