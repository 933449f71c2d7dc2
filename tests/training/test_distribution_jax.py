"""Two virtual devices of JAX train as one does."""

import keras
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="KERAS_BACKEND is not jax: this is DataParallel"
)


def test_two_devices_train_as_one_does(distributed, tmp_path):
    one, two = distributed.trained(tmp_path, "jax")
    distributed.check_equal(one, two)
