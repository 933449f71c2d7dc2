"""Two devices train as one does: of JAX and TensorFlow virtual ones, of PyTorch two processes."""

import keras
import numpy as np
import pytest

SCENARIOS = {
    "jax": ("plain", "accumulate"),
    "tensorflow": ("ragged",),
    "torch": ("ragged", "accumulate", "local"),
}


@pytest.fixture(scope="module")
def trained(distributed, tmp_path_factory):
    scenarios = SCENARIOS[keras.backend.backend()]
    return distributed.trained(tmp_path_factory.mktemp("trained"), *scenarios)


def test_two_devices_train_as_one_does(distributed, trained):
    for name, (one, *others) in trained.items():
        assert len(others) == (2 if keras.backend.backend() == "torch" else 1)
        if name != "local":
            distributed.check_equal(one, others[0])


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="KERAS_BACKEND is not torch: there is one process"
)
def test_processes_end_with_equal_weights(trained):
    for _, first, second in trained.values():
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="KERAS_BACKEND is not torch: not tried there"
)
def test_statistics_of_their_own_are_others(trained):
    one, first, _ = trained["local"]
    assert not np.allclose(one["logs"], first["logs"], rtol=1e-5)
