import keras
import numpy as np
from keras import ops

from keras_pose.layers import Dense, skip_initialization
from keras_pose.layers.naming import state_dict


def test_it_multiplies_by_the_kernel_and_adds_the_bias():
    layer = Dense(3)
    layer.build((None, 5, 4))
    random = np.random.default_rng(0)
    kernel, bias, x = (random.standard_normal(s, "f4") for s in ((4, 3), (3,), (2, 5, 4)))
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), x @ kernel + bias, atol=1e-5)


def test_checkpoints_hold_the_transposed_kernel():
    layer = Dense(3)
    layer.build((None, 4))
    arrays = state_dict(layer)
    np.testing.assert_array_equal(arrays["weight"], layer.get_weights()[0].T)
    assert set(arrays) == {"weight", "bias"}


def test_the_kernel_starts_small_and_the_bias_at_zero():
    layer = Dense(200)
    layer.build((None, 300))
    kernel, bias = layer.get_weights()
    assert np.abs(kernel).max() <= 0.04
    assert 0.015 < kernel.std() < 0.02
    assert not bias.any()


def test_nothing_is_drawn_while_weights_are_loaded():
    layer = Dense(3)
    with skip_initialization():
        layer.build((None, 4))
    assert not layer.get_weights()[0].any()


def test_it_is_restored_from_its_config():
    layer = Dense(3, use_bias=False, activation="relu")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is Dense
    assert copy.get_config() == layer.get_config()
