import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import DropPath, drop_path_rates


def test_under_training_samples_are_zeroed_as_a_whole_and_the_others_grow():
    x = np.random.default_rng(0).uniform(1, 2, (400, 3, 2)).astype("f4")
    factors = ops.convert_to_numpy(DropPath(0.25, seed=1)(x, training=True)) / x
    kept = factors[:, 0, 0] > 0
    np.testing.assert_allclose(factors[kept], 1 / 0.75, rtol=1e-6)
    assert not factors[~kept].any()
    assert 0.65 < kept.mean() < 0.85


def test_every_call_draws_anew():
    x, layer = np.ones((64, 1), "f4"), DropPath(0.5, seed=0)
    first, second = (ops.convert_to_numpy(layer(x, training=True)) for _ in range(2))
    assert (first != second).any()


def test_inference_passes():
    x = np.ones((4, 3), "f4")
    np.testing.assert_array_equal(ops.convert_to_numpy(DropPath(0.9)(x)), x)


def test_rates_grow_evenly_over_the_blocks():
    np.testing.assert_allclose(drop_path_rates(0.2, 5), [0, 0.05, 0.1, 0.15, 0.2])


def test_it_is_restored_from_its_config():
    layer = DropPath(0.3, seed=2)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (copy.rate, copy.seed) == (0.3, 2)


@pytest.mark.parametrize("rate", [-0.1, 1])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate must lie in 0\.\.1"):
        DropPath(rate)
