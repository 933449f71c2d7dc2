import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import Conv2D
from keras_pose.training.averaging import WeightAverage
from keras_pose.training.optimizers import OPTIMIZERS, SGD, AdamW
from keras_pose.training.recipe_mmpose import optimizer_settings
from keras_pose.training.schedule import ChainedSchedule


@pytest.fixture
def float64(backend):
    """Double precision everywhere; JAX needs to be asked."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    with contextlib.ExitStack() as stack:
        if backend == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        yield
    keras.config.set_floatx(before)


def _descend(optimizer, a, b, start, steps):
    """Minimises `x A x / 2 - b x` over two variables; `x` after every step."""
    split = 4
    variables = [keras.Variable(part, dtype="float64") for part in (start[:split], start[split:])]
    optimizer.build(variables)
    path = []
    for _ in range(steps):
        x = np.concatenate([ops.convert_to_numpy(v.value) for v in variables])
        gradient = a @ x - b
        parts = [ops.convert_to_tensor(part) for part in (gradient[:split], gradient[split:])]
        optimizer.apply(parts, variables)
        path.append(np.concatenate([ops.convert_to_numpy(v.value) for v in variables]))
    return np.array(path)


@pytest.mark.cases("training/optimizers")
def test_optimizers_are_the_reference_s(case, golden, float64):
    data = np.load(golden / "training/optimizers.npz")
    a, b, start = (data[f"shared/{name}"] for name in ("A", "b", "x0"))
    settings = case["args"]
    accumulate = settings.get("accumulative_counts")
    name, arguments = optimizer_settings(settings["optimizer"], settings.get("clip_grad"))
    optimizer = OPTIMIZERS[name](**arguments, gradient_accumulation_steps=accumulate)
    expected = data[f"{case['id']}/out/x"]
    path = _descend(optimizer, a, b, start, len(expected))
    whole = slice(0, len(expected) // (accumulate or 1) * (accumulate or 1))
    np.testing.assert_allclose(path[whole], expected[whole], rtol=0, atol=1e-10)
    if accumulate:
        # The reference steps with what is left at the very end, Keras keeps it for the next epoch.
        np.testing.assert_array_equal(path[-1], path[-2])
        assert np.abs(expected[-1] - expected[-2]).max() > 1e-6


def test_floors_of_a_schedule_do_not_scale_with_factors(float64):
    rows = [{"rule": "cosine", "smooth": True, "floor": 2e-3}]
    schedule = ChainedSchedule(1e-1, rows, 2, 5)
    optimizer = SGD(schedule, factors=[(1.0, 1.0), (0.5, 1.0)])
    path = _descend(optimizer, np.zeros((6, 6)), np.ones(6), np.zeros(6), 10)
    np.testing.assert_allclose(path[-1, :4], schedule.rates().sum(), rtol=1e-10)
    np.testing.assert_allclose(path[-1, 4:], schedule.rates(5e-2).sum(), rtol=1e-10)


def test_decay_factors_reach_single_variables(float64):
    optimizer = AdamW(0.1, weight_decay=0.5, factors=[(1.0, 0.0), (0.1, 1.0)])
    path = _descend(optimizer, np.zeros((6, 6)), np.zeros(6), np.ones(6), 1)
    np.testing.assert_allclose(path[0], [1] * 4 + [1 - 0.1 * 0.1 * 0.5] * 2, rtol=1e-12)


def test_momentum_follows_the_rate_at_once(float64):
    """Keras' SGD would go on with the old rate."""
    schedule = ChainedSchedule(1.0, [{"rule": "multistep", "milestones": [1], "gamma": 1e-9}], 2, 1)
    path = _descend(SGD(schedule, momentum=0.9), np.zeros((6, 6)), np.ones(6), np.zeros(6), 2)
    np.testing.assert_allclose(path[1], path[0], rtol=1e-8)


def test_config_round_trip():
    optimizer = AdamW(
        ChainedSchedule(4e-3, [], 1, 1),
        factors=[(0.5, 0.0)],
        norm_type="inf",
        global_clipnorm=1.0,
        average=WeightAverage(momentum=0.1),
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert isinstance(again.average, WeightAverage)


def test_factors_of_another_model_are_refused():
    with pytest.raises(ValueError, match="factors for 2 variables, the model has 1"):
        SGD(0.1, factors=[(1, 1), (1, 1)]).build([keras.Variable([1.0])])


@pytest.mark.parametrize("make", [SGD, AdamW, keras.optimizers.SGD, keras.optimizers.Adam])
def test_layers_see_what_a_step_changed(make):
    """Convolutions may keep their kernels in another layout between predictions."""
    layer = Conv2D(2, 3, padding=1)
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 3)).astype("float32")
    estimator = keras.Sequential([keras.Input((5, 5, 3)), layer])
    optimizer = make(0.1)
    optimizer.build(layer.trainable_variables)
    estimator.predict(x, verbose=0)
    for _ in range(2):
        optimizer.apply([ops.ones(v.shape) for v in layer.trainable_variables])
        fresh = Conv2D(2, 3, padding=1)
        fresh.build(x.shape)
        fresh.set_weights(layer.get_weights())
        expected = keras.Sequential([keras.Input((5, 5, 3)), fresh]).predict(x, verbose=0)
        np.testing.assert_array_equal(estimator.predict(x, verbose=0), expected)


def test_validation_is_of_the_weights_that_were_learnt(tiny):
    estimator, images, labels = tiny()
    estimator.compile(optimizer=AdamW(0.01))
    history = estimator.fit(
        images, labels, batch_size=8, epochs=3, validation_data=(images, labels), verbose=0
    )
    same, *_ = tiny()
    same.set_weights(estimator.get_weights())
    same.compile()
    expected = same.evaluate(images, labels, batch_size=8, verbose=0, return_dict=True)["loss"]
    assert history.history["val_loss"][-1] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        estimator.predict(images, verbose=0)["keypoints"],
        same.predict(images, verbose=0)["keypoints"],
        atol=1e-3,
    )
