import contextlib
import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.training.averaging import WeightAverage
from keras_pose.training.callbacks import AveragedWeights
from keras_pose.training.optimizers import SGD
from keras_pose.training.recipe_mmpose import average_from_mmpose

WEIGHTS = ["fc.weight", "fc.bias", "bn.weight", "bn.bias"]
STATISTICS = ["bn.running_mean", "bn.running_var"]


@pytest.mark.cases("training/ema")
def test_averages_are_the_reference_s(case, golden):
    data = np.load(golden / "training/ema.npz")
    average = WeightAverage(
        **average_from_mmpose({**case["args"], "ema_type": case["fn"]}),
        shapes=[(3,)] * len(STATISTICS),
    )
    before = keras.config.floatx()
    names = [*WEIGHTS, *STATISTICS]
    values = [data[f"{case['id']}/in/init/{name}"] for name in names]
    sources = [data[f"{case['id']}/in/src/{name}"] for name in names]
    keras.config.set_floatx("float64")
    try:
        with _double_precision():
            for step in range(len(sources[0])):
                now = [ops.convert_to_tensor(source[step]) for source in sources]
                averages = [ops.convert_to_tensor(value) for value in values]
                values = average.updated(averages, now, ops.convert_to_tensor(step, "int32"))
                values = [ops.convert_to_numpy(value) for value in values]
                for name, value in zip(names, values, strict=True):
                    expected = data[f"{case['id']}/out/{name}"][step]
                    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-10, err_msg=name)
    finally:
        keras.config.set_floatx(before)


def _double_precision():
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def test_momentum_curve(golden):
    curve = json.loads((golden / "training/ema.json").read_text("utf-8"))["momentum_curve"]
    average = WeightAverage(momentum=curve["momentum"], gamma=curve["gamma"])
    rates = [float(average.rate(step)) for step in curve["steps"]]
    np.testing.assert_allclose(rates, curve["value"], rtol=1e-4)


def _arrays(estimator):
    return [ops.convert_to_numpy(v.value).copy() for v in estimator.variables]


def _averaging(tiny, **settings):
    estimator, images, labels = tiny()
    average = WeightAverage(**settings).attach(estimator)
    estimator.compile(SGD(0.05, average=average))
    return estimator, average, images, labels


def _one_epoch(estimator, images, labels, callbacks=(), epochs=1, initial=0):
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, "initial_epoch": initial}
    return estimator.fit(images, labels, epochs=epochs, callbacks=list(callbacks), **options)


def test_averages_follow_the_steps_of_fit(tiny):
    """Weights as well as running statistics, as they are after each step."""
    estimator, average, images, labels = _averaging(tiny, kind="equal")
    seen = []
    for part in range(2):
        half = slice(8 * part, 8 * part + 8)
        estimator.fit(
            images[half], {k: v[half] for k, v in labels.items()}, batch_size=8, verbose=0
        )
        trainable = [ops.convert_to_numpy(v.value).copy() for v in estimator.trainable_variables]
        statistics = [v for v in estimator.non_trainable_variables if "moving" in v.path]
        seen.append([*trainable, *(ops.convert_to_numpy(v.value).copy() for v in statistics)])
    assert int(average.steps) == 2
    assert len(average.buffers) == len(statistics) > 0
    for kept, first, second in zip(average.variables, *seen, strict=True):
        np.testing.assert_allclose(kept.numpy(), (first + second) / 2, rtol=1e-4, atol=1e-6)


def test_averaging_leaves_the_training_as_it_is(tiny):
    results = []
    for momentum in (None, 0.5):
        keras.utils.set_random_seed(3)
        estimator, images, labels = tiny()
        average = None if momentum is None else WeightAverage("constant", momentum)
        callbacks = [] if average is None else [AveragedWeights()]
        estimator.compile(SGD(0.05, average=average and average.attach(estimator)))
        _one_epoch(estimator, images, labels, callbacks, epochs=2)
        if average is not None:
            average.swap(estimator, averaged=False)
        results.append(_arrays(estimator))
    for plain, averaged in zip(*results, strict=True):
        np.testing.assert_allclose(averaged, plain, rtol=1e-5, atol=1e-6)


def test_a_saved_training_goes_on_exactly(tiny, tmp_path):
    """The file holds the averages as weights; training goes on from what it was."""
    finals = []
    for interrupted in (False, True):
        keras.utils.set_random_seed(3)
        estimator, _, images, labels = _averaging(tiny, kind="constant", momentum=0.3)
        _one_epoch(estimator, images, labels, [AveragedWeights()])
        if interrupted:
            estimator.save(tmp_path / "last.keras")
            stored = _arrays(estimator)
            estimator = keras.saving.load_model(tmp_path / "last.keras")
            for before, after in zip(stored, _arrays(estimator), strict=True):
                np.testing.assert_array_equal(after, before)
        _one_epoch(estimator, images, labels, [AveragedWeights()], epochs=2, initial=1)
        finals.append(_arrays(estimator))
    for whole, resumed in zip(*finals, strict=True):
        np.testing.assert_array_equal(resumed, whole)


def test_mixed_precision_averages_too(tiny):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        estimator, average, images, labels = _averaging(tiny, kind="constant", momentum=1.0)
        _one_epoch(estimator, images, labels)
    finally:
        keras.config.set_dtype_policy("float32")
    assert int(average.steps) == 2
    for kept, weight in zip(average.weights, estimator.trainable_variables, strict=True):
        # the old average plus the whole step to the new weight: rounded twice
        np.testing.assert_allclose(
            kept.numpy(), ops.convert_to_numpy(weight.value), rtol=1e-6, atol=1e-9
        )


def test_an_average_without_room_for_statistics_is_refused(tiny):
    estimator, images, labels = tiny()
    estimator.compile(SGD(0.05, average=WeightAverage()))
    with pytest.raises(ValueError, match=r"call WeightAverage.attach\(model\) before compiling"):
        _one_epoch(estimator, images, labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mean"}, "got 'mean'"),
        ({"momentum": 2}, "between 0 and 1, got 2"),
        ({"interval": 0}, "got 0 and 0"),
    ],
)
def test_impossible_averages_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        WeightAverage(**settings)


def test_the_callback_needs_an_average(tiny):
    estimator, images, labels = tiny()
    estimator.compile(SGD(0.05))
    with pytest.raises(ValueError, match="SGD keeps no average"):
        _one_epoch(estimator, images, labels, [AveragedWeights()])
