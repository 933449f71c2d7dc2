"""Two logical devices of TensorFlow train as one does."""

import keras
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="KERAS_BACKEND is not tensorflow: this is MirroredStrategy",
)


def test_two_devices_train_as_one_does(distributed, tmp_path):
    one, two = distributed.trained(tmp_path, "tensorflow")
    distributed.check_equal(one, two)
