"""What is refused, and that one device changes nothing."""

import keras
import pytest

from keras_pose.training.distribution import distribute
from keras_pose.training.optimizers import SGD


def test_one_device_changes_nothing(tiny):
    with distribute(1) as group:
        assert (group.devices, group.processes, group.is_first) == (1, 1, True)
        estimator = tiny()[0]
        assert group.prepare(estimator) is estimator
        assert "shared_train_step" not in estimator.__dict__
        assert group.share("batches") == "batches"


def test_more_devices_than_there_are(backend):
    message = "torchrun --nproc-per-node 7" if backend == "torch" else "7 devices were asked for"
    with pytest.raises(ValueError, match=message), distribute(7):
        pass


@pytest.mark.parametrize("devices", [0, "all", 1.5])
def test_devices_are_a_number_or_auto(devices):
    with pytest.raises(ValueError, match='devices must be "auto"'), distribute(devices):
        pass


def test_accumulation_is_refused_where_copies_add_up_their_gradients(monkeypatch):
    monkeypatch.setattr("keras_pose.training.optimizers.copies_summed", lambda: 2)
    with pytest.raises(ValueError, match="cannot be had on several devices"):
        SGD(0.1, gradient_accumulation_steps=2)


def test_nothing_stays_after_it(tiny):
    with distribute(1):
        pass
    assert keras.distribution.distribution() is None
