import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def value_and_gradients(backend):
    """Value of a function of one dict of arrays, and its gradient with respect to each.

    With many functions of the same shapes JAX is quicker if it compiles their steps (`compiled`
    False) than whole functions.
    """

    def under_jax(function, arrays, compiled):
        import jax

        both = jax.value_and_grad(function)
        return (jax.jit(both) if compiled else both)(arrays)

    def under_torch(function, arrays, compiled):
        tensors = {k: keras.ops.convert_to_tensor(v).requires_grad_() for k, v in arrays.items()}
        value = function(tensors)
        value.backward()
        return value, {name: tensor.grad for name, tensor in tensors.items()}

    def under_tensorflow(function, arrays, compiled):
        import tensorflow as tf

        tensors = {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(tensors)
        return value, tape.gradient(value, tensors)

    ways = {"jax": under_jax, "torch": under_torch, "tensorflow": under_tensorflow}

    def value_and_gradients(function, arrays, compiled=True):
        value, gradients = ways[backend](function, arrays, compiled)
        return float(keras.ops.convert_to_numpy(value)), {
            name: np.zeros_like(arrays[name]) if gradient is None else np.asarray(gradient)
            for name, gradient in gradients.items()
        }

    return value_and_gradients


@pytest.fixture(scope="session")
def gradients_of(backend):
    """Gradients of a function of a layer's weights, by the names of checkpoints."""
    from keras_pose.layers.naming import load_variables, named_variables, state_dict

    def under_jax(layer, function):
        import jax

        names = named_variables(layer)
        variables = [variable for _, variable in names.values()]

        def stateless(values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function()

        return jax.grad(stateless)([variable.value for variable in variables])

    def under_torch(layer, function):
        layer.zero_grad()
        function().backward()
        return [variable.value.grad for _, variable in named_variables(layer).values()]

    def under_tensorflow(layer, function):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = function()
        return tape.gradient(value, [v.value for _, v in named_variables(layer).values()])

    ways = {"jax": under_jax, "torch": under_torch, "tensorflow": under_tensorflow}

    def gradients_of(layer, function):
        gradients = [np.asarray(gradient) for gradient in ways[backend](layer, function)]
        before = {name: variable.numpy() for name, (_, variable) in named_variables(layer).items()}
        # In the layouts of checkpoints: as if the gradients were the weights.
        load_variables(layer, dict(zip(before, gradients, strict=True)))
        named = state_dict(layer)
        load_variables(layer, before)
        return named

    return gradients_of
