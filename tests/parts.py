"""What holds for every backbone, neck and head; each family is a row of a table of arguments.

Inputs and outputs are given as shapes without the batch: one tuple, or a list or dict of them.
"""

import inspect
import json

import h5py
import keras
import numpy as np
from keras import tree

from keras_pose.layers import serialized
from keras_pose.layers.naming import load_state_dict, state_dict


def _is_shape(value):
    return isinstance(value, tuple)


def _map(function, shapes):
    if isinstance(shapes, dict):
        return {key: _map(function, value) for key, value in shapes.items()}
    return function(shapes) if _is_shape(shapes) else [_map(function, value) for value in shapes]


def _shapes(values):
    """Shapes of arrays; Keras models give a single one without its list."""
    if isinstance(values, dict):
        return {key: tuple(value.shape) for key, value in values.items()}
    return [tuple(value.shape) for value in tree.flatten(values)]


def settings(kind, **changes):
    """All arguments of a class, with their defaults where `changes` does not name them."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is not parameter.empty
    }
    return json.loads(json.dumps({**defaults, **changes}))


def model_of(layer, inputs):
    """A Keras model with this layer and nothing else."""
    symbols = _map(keras.Input, inputs)
    return keras.Model(symbols, layer(symbols))


def random_inputs(inputs, batch=2):
    random = np.random.default_rng(0)
    return _map(lambda shape: random.standard_normal((batch, *shape)).astype("f4"), inputs)


def check_values(layer, inputs, outputs):
    """The values have the shapes that the symbols foretell, and are numbers.

    Inference leaves the statistics of normalisations alone.
    """
    model = model_of(layer, inputs)
    before = _statistics(layer)
    assert _map(lambda shape: (None, *shape), outputs) == _shapes(model.output)
    values = model.predict_on_batch(random_inputs(inputs))
    assert _map(lambda shape: (2, *shape), outputs) == _shapes(values)
    assert all(np.isfinite(value).all() for value in tree.flatten(values))
    assert all(value.std() > 0 for value in tree.flatten(values))
    for old, new in zip(before, _statistics(layer), strict=True):
        np.testing.assert_array_equal(old, new)


def check_storing(layer, inputs, path):
    """Config, names and files each give back the same layer.

    A copy from the config has the same settings and weights of the same names and shapes. Every
    weight has one name, under which it is read again exactly. A weights file at `path` holds every
    weight once and gives it back exactly; the state of random generators is none.
    """
    config = serialized(layer)
    assert config["registered_name"] == f"keras_pose>{type(layer).__name__}"
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert serialized(copy) == config
    model, other = model_of(layer, inputs), model_of(copy, inputs)
    arrays = state_dict(layer)
    assert len(arrays) == len(layer.weights)
    load_state_dict(copy, arrays)
    _check_equal(layer, copy)
    model.save_weights(path)
    stored = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: stored.append(item) if hasattr(item, "dtype") else None)
        assert len(stored) == len(layer.weights)
    copy.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    other.load_weights(path)
    _check_equal(layer, copy)


def _check_equal(first, second):
    for before, after in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def check_half_precision(make, inputs, dtype):
    """Under mixed precision weights stay float32 and outputs have the dtype named."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = make()
        model = model_of(layer, inputs)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {variable.dtype for variable in layer.weights} <= {"float32"}
    # Losses with weights stay float32: they are no part of the forward pass.
    loss = getattr(layer, "loss_module", None)
    losses = set(loss._flatten_layers()) if isinstance(loss, keras.layers.Layer) else set()
    layers = set(layer._flatten_layers()) - losses
    computing = {type(each).__name__: each.compute_dtype for each in layers}
    assert set(computing.values()) == {"float16"}, computing
    assert {symbol.dtype for symbol in tree.flatten(model.output)} == {dtype}


def check_training(layer, inputs):
    """Training moves the statistics of every normalisation."""
    model = model_of(layer, inputs)
    before = _statistics(layer)
    _train(model, random_inputs(inputs))
    for old, new in zip(before, _statistics(layer), strict=True):
        assert np.abs(old - new).max() > 0


def _statistics(layer):
    variables = [v for v in layer.non_trainable_variables if v.name.startswith("moving")]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _train(model, values):
    if keras.backend.backend() != "jax":
        model(values, training=True)
        return
    import jax

    # As one program: one operation at a time JAX compiles for each shape.
    trained = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]
    run = jax.jit(lambda *state: model.stateless_call(*state, training=True))
    _, fixed = run(trained, fixed, values)
    for variable, value in zip(model.non_trainable_variables, fixed, strict=True):
        variable.assign(value)
