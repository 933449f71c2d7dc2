"""What holds for every backbone, neck and head; each family is a row of a table of arguments.

Inputs and outputs are given as shapes without the batch: one tuple, or a list or dict of them.
"""

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


def model_of(layer, inputs):
    """A Keras model with this layer and nothing else."""
    symbols = _map(keras.Input, inputs)
    return keras.Model(symbols, layer(symbols))


def random_inputs(inputs, batch=2):
    random = np.random.default_rng(0)
    return _map(lambda shape: random.standard_normal((batch, *shape)).astype("f4"), inputs)


def check_values(layer, inputs, outputs):
    """The values have the shapes that the symbols foretell, and are numbers."""
    model = model_of(layer, inputs)
    assert _map(lambda shape: (None, *shape), outputs) == _shapes(model.output)
    values = model.predict_on_batch(random_inputs(inputs))
    assert _map(lambda shape: (2, *shape), outputs) == _shapes(values)
    assert all(np.isfinite(value).all() for value in tree.flatten(values))
    assert all(value.std() > 0 for value in tree.flatten(values))


def check_config(layer, inputs):
    """A copy from the config has the same settings and the same weights' names and shapes."""
    config = serialized(layer)
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert config["registered_name"] == f"keras_pose>{type(layer).__name__}"
    assert serialized(copy) == config
    model_of(layer, inputs), model_of(copy, inputs)
    shapes = [{k: v.shape for k, v in state_dict(each).items()} for each in (layer, copy)]
    assert shapes[0] == shapes[1]


def check_names(layer, inputs):
    """Every weight has one name, under which it is read again exactly."""
    model_of(layer, inputs)
    arrays = state_dict(layer)
    assert len(arrays) == len(layer.weights)
    load_state_dict(layer, {name: np.full_like(array, 0.5) for name, array in arrays.items()})
    assert all((weight == 0.5).all() for weight in layer.get_weights())
    load_state_dict(layer, arrays)
    for name, array in state_dict(layer).items():
        np.testing.assert_array_equal(array, arrays[name])


def check_saving(layer, inputs, path):
    """A weights file holds every variable once and gives it back exactly."""
    model = model_of(layer, inputs)
    model.save_weights(path)
    stored = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: stored.append(item) if hasattr(item, "dtype") else None)
        assert len(stored) == len(layer.variables)
    weights = layer.get_weights()
    layer.set_weights([np.zeros_like(weight) for weight in weights])
    model.load_weights(path)
    for before, after in zip(weights, layer.get_weights(), strict=True):
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
    computing = {type(each).__name__: each.compute_dtype for each in layer._flatten_layers()}
    assert set(computing.values()) == {"float16"}, computing
    assert {symbol.dtype for symbol in tree.flatten(model.output)} == {dtype}


def check_training(layer, inputs):
    """Training moves the statistics of every normalisation, inference none."""
    model = model_of(layer, inputs)
    values = random_inputs(inputs)
    statistics = [v for v in layer.non_trainable_variables if v.name.startswith("moving")]
    for training in (False, True):
        before = [keras.ops.convert_to_numpy(v) for v in statistics]
        _run(model, values, training)
        after = [keras.ops.convert_to_numpy(v) for v in statistics]
        moved = [np.abs(a - b).max() > 0 for a, b in zip(before, after, strict=True)]
        assert all(moved) if training else not any(moved)


def _run(model, values, training):
    if keras.backend.backend() != "jax":
        model(values, training=training)
        return
    import jax

    # As one program: one operation at a time JAX compiles for each shape.
    trained = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]
    run = jax.jit(lambda *state: model.stateless_call(*state, training=training))
    _, fixed = run(trained, fixed, values)
    for variable, value in zip(model.non_trainable_variables, fixed, strict=True):
        variable.assign(value)
