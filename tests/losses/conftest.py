import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def value_and_gradients(backend):
    """Value of a function of one dict of arrays, and its gradient with respect to each."""

    def under_jax(function, arrays):
        import jax

        return jax.jit(jax.value_and_grad(function))(arrays)

    def under_torch(function, arrays):
        tensors = {k: keras.ops.convert_to_tensor(v).requires_grad_() for k, v in arrays.items()}
        value = function(tensors)
        value.backward()
        return value, {name: tensor.grad for name, tensor in tensors.items()}

    def under_tensorflow(function, arrays):
        import tensorflow as tf

        tensors = {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(tensors)
        return value, tape.gradient(value, tensors)

    ways = {"jax": under_jax, "torch": under_torch, "tensorflow": under_tensorflow}

    def value_and_gradients(function, arrays):
        value, gradients = ways[backend](function, arrays)
        return float(keras.ops.convert_to_numpy(value)), {
            name: np.zeros_like(arrays[name]) if gradient is None else np.asarray(gradient)
            for name, gradient in gradients.items()
        }

    return value_and_gradients
