"""A job on two devices has the losses and weights of one."""

import numpy as np
from keras import ops

from keras_pose import TopdownEstimator
from keras_pose.training import Trainer
from keras_pose.training.resuming import read_log


def test_two_devices_train_a_job_as_one_does(distributed, tiny_job, tmp_path):
    config = tmp_path / "tiny/config.json"  # every device draws its own dropout
    config.write_text(config.read_text().replace('"rate": 0.2', '"rate": 0.0'))
    val = {"annotations": str(tmp_path / "dots.json")}
    recipe = {"optimizer": {"type": "SGD", "learning_rate": 0.1}, "average": {"momentum": 0.1}}
    # Keras' own normalisation in this network sees each device's part of a batch.
    job = tiny_job({**recipe, "freeze": ["backbone"], "epochs": 2}, val=val)
    job.save(tmp_path / "job.json")
    one = Trainer(job, tmp_path / "one", verbose=0).run()
    two = tmp_path / "two"
    distributed.on_two_devices("train_job", "train", str(tmp_path / "job.json"), str(two))
    for ours, theirs in zip(
        read_log(tmp_path / "one/log.jsonl"), read_log(two / "log.jsonl"), strict=True
    ):
        np.testing.assert_allclose(theirs["loss"], ours["loss"], rtol=1e-5)
        np.testing.assert_allclose(theirs["error_px"], ours["error_px"], rtol=1e-3)
    shared = TopdownEstimator.from_preset(two / "last")
    for a, b in zip(one.estimator.weights, shared.weights, strict=True):
        a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-5)
