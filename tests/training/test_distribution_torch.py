"""Two processes of PyTorch train as one does."""

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch",
    reason="KERAS_BACKEND is not torch: this is DistributedDataParallel",
)


def test_two_processes_train_as_one_does(distributed, tmp_path):
    one, first, second = distributed.trained(tmp_path, "torch", "ragged")
    distributed.check_equal(one, first)
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_processes_with_statistics_of_their_own_end_with_equal_weights(distributed, tmp_path):
    one, first, second = distributed.trained(tmp_path, "torch", "local")
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    assert not np.allclose(one["logs"], first["logs"], rtol=1e-5)
