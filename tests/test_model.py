"""What estimators and detectors share: predicting, its batches, and what it must follow."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead
from keras_pose.skeleton import Skeleton

SIZE = (32, 24)
PAIR = Skeleton("pair", ["left_dot", "right_dot"])


def _estimator(backbone=None, codec=None, **options):
    head = HeatmapHead(2, codec or MSRAHeatmap(SIZE, (8, 6), 1.0), None, (), ())
    estimator = keras_pose.TopdownEstimator(
        backbone or ResNet(18, out_indices=(0,), base_channels=4),
        head,
        skeleton=PAIR,
        **{"input_size": SIZE, **options},
    )
    # Heads start near zero, where nothing would show.
    head.final_layer.kernel.assign(np.random.default_rng(2).standard_normal((1, 1, 4, 2)))
    return estimator


def _images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8)


def _labels(count):
    keypoints = np.random.default_rng(1).uniform(4, 20, (count, 1, 2, 2)).astype("f4")
    return {"keypoints": keypoints, "visible": np.ones((count, 1, 2), "f4")}


@pytest.fixture(scope="module")
def estimator():
    return _estimator()


def _raw(estimator, images):
    return estimator.inference(decode=False).predict_on_batch(images)


def _same(first, second, tolerance=1e-5):
    assert set(first) == set(second)
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], rtol=0, atol=tolerance)


def test_calling_gives_raw_outputs(estimator):
    outputs = estimator(ops.convert_to_tensor(_images(2)))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "heatmaps": (2, 6, 8, 2)
    }
    outputs = {name: ops.convert_to_numpy(value) for name, value in outputs.items()}
    _same(_raw(estimator, _images(2)), outputs)


def test_predicting_decodes(estimator, compiled):
    images = _images(4)
    expected = compiled(estimator.head.codec.decode)(_raw(estimator, images))
    _same(estimator.predict_on_batch(images), expected)
    _same(estimator.predict(images, batch_size=4, verbose=0), expected)


def test_the_flip_test_averages_with_the_mirrored_images(estimator, compiled):
    images = _images(4)
    codec = estimator.head.codec
    flip = compiled(lambda outputs: codec.flip(outputs, PAIR.flip_indices))
    mirrored, straight = flip(_raw(estimator, images[:, :, ::-1])), _raw(estimator, images)
    merged = {name: (straight[name] + mirrored[name]) / 2 for name in straight}
    decoded = estimator.predict_on_batch(images, flip_test=True)
    _same(decoded, compiled(codec.decode)(merged))
    assert np.abs(decoded["scores"] - estimator.predict_on_batch(images)["scores"]).max() > 1e-2


def test_repeated_batches_give_the_same(estimator):
    """The third call of a size may run another, traced program than the first."""
    images = _images(2)
    first = estimator.predict_on_batch(images)
    for _ in range(3):
        _same(estimator.predict_on_batch(images), first)
    _same(estimator.predict_on_batch(images[::-1]), {k: v[::-1] for k, v in first.items()})


def _trained(estimator):
    estimator.compile(keras.optimizers.SGD(0.1))
    estimator.train_on_batch(_images(2, 5), _labels(2))


CHANGES = {
    "assign": lambda e: e.head.final_layer.kernel.assign(2 * e.head.final_layer.kernel),
    "set_weights": lambda e: e.set_weights([1.1 * w for w in e.get_weights()]),
    "statistics": lambda e: e.backbone.bn1.moving_mean.assign(np.full(4, 0.5, "f4")),
    "train_on_batch": _trained,
}


@pytest.fixture(scope="module")
def changing():
    """An estimator whose weights tests may change, and one to hold them against."""
    return _estimator(), _estimator()


@pytest.mark.parametrize("change", CHANGES)
def test_predictions_follow_the_weights(changing, change):
    images = _images(2)
    estimator, other = changing
    for _ in range(3):
        before = estimator.predict_on_batch(images)
    CHANGES[change](estimator)
    after = estimator.predict_on_batch(images)
    assert np.abs(after["scores"] - before["scores"]).max() > 1e-2
    other.set_weights(estimator.get_weights())
    # By way of Keras' own predict, which remembers nothing.
    _same(after, other.predict(images, verbose=0))


def test_predictions_follow_training_batch_by_batch():
    """Under JAX the weights live outside the model while an epoch runs."""
    estimator, images = _estimator(), _images(2)

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.seen = self.model.predict_on_batch(images)

    watch = Watch()
    estimator.compile(keras.optimizers.SGD(0.1))
    estimator.fit(_images(4), _labels(4), batch_size=2, epochs=2, verbose=0, callbacks=[watch])
    _same(estimator.predict_on_batch(images), watch.seen)


def test_batches_are_padded_to_few_sizes(estimator, monkeypatch):
    images = _images(7)
    expected = [estimator.predict_on_batch(images[i : i + 1]) for i in range(7)]
    expected = {name: np.concatenate([one[name] for one in expected]) for name in expected[0]}
    sizes = []
    run = estimator.predict_on_batch
    monkeypatch.setattr(
        type(estimator),
        "predict_on_batch",
        lambda self, x, **o: sizes.append(len(x)) or run(x, **o),
    )
    _same(estimator.predict_padded(images, batch_size=4), expected)
    assert sizes == [4, 4]


@pytest.mark.parametrize(
    ("count", "batch_size", "expected"), [(1, 16, [1]), (3, 16, [4]), (5, 2, [2, 2, 1])]
)
def test_a_batch_is_no_larger_than_needed(estimator, monkeypatch, count, batch_size, expected):
    sizes = []

    def run(self, x, **options):
        sizes.append(len(x))
        return {"scores": np.zeros((len(x), 1, 2))}

    monkeypatch.setattr(type(estimator), "predict_on_batch", run)
    assert len(estimator.predict_padded(_images(count), batch_size)["scores"]) == count
    assert sizes == expected


@pytest.mark.parametrize("shape", [(1, 48, 64, 3), (1, 25, 32, 3), (2, 24, 32, 1), (24, 32, 3)])
def test_images_of_another_size_are_refused(estimator, shape):
    """Some codecs would decode a larger map as several images."""
    images = np.zeros(shape, np.uint8)
    for method in (estimator.predict, estimator.predict_on_batch, estimator):
        with pytest.raises(ValueError, match=r"images must be \(B, 24, 32, 3\), got shape"):
            method(images)


@pytest.mark.parametrize(
    ("codec", "options", "message"),
    [
        (
            MSRAHeatmap(SIZE, (16, 12)),
            {},
            r"heatmap_size is \(16, 12\), the estimator's is \(8, 6\)",
        ),
        (
            MSRAHeatmap((64, 48), (8, 6)),
            {},
            r"input_size is \(64, 48\), the estimator's is \(32, 24\)",
        ),
        (
            None,
            {"input_size": (64, 48)},
            r"input_size is \(32, 24\), the estimator's is \(64, 48\)",
        ),
    ],
)
def test_a_codec_of_another_size_is_refused(codec, options, message):
    with pytest.raises(ValueError, match=message):
        _estimator(codec=codec, **options)


def test_a_head_for_other_keypoints_is_refused():
    with pytest.raises(ValueError, match='predicts 2 keypoints, the skeleton "trio" has 3'):
        _estimator().from_config(
            {**_estimator().get_config(), "skeleton": Skeleton("trio", ["a", "b", "c"])}
        )


def test_the_predicting_part_is_made_once_and_never_saved(estimator, tmp_path):
    assert estimator.inference(flip_test=True) is estimator.inference(flip_test=True)
    assert estimator.inference() is not estimator.inference(decode=False)
    layers = {layer.name for layer in estimator._flatten_layers()}
    assert not [name for name in layers if name.startswith("inference")]


def test_an_estimator_that_predicted_is_freed():
    estimator = _estimator()
    estimator.predict_on_batch(_images(1))
    reference = weakref.ref(estimator)
    del estimator
    gc.collect()
    assert reference() is None


def _functional(outputs):
    inputs = keras.Input((24, 32, 3))
    fine = keras.layers.Conv2D(4, 3, 2, padding="same")(inputs)
    coarse = keras.layers.Conv2D(4, 3, 2, padding="same")(fine)
    return keras.Model(inputs, outputs(fine, coarse))


@pytest.mark.parametrize(
    "outputs",
    [
        lambda fine, coarse: coarse,
        lambda fine, coarse: [fine, coarse],
        lambda fine, coarse: {"P1": fine, "P2": coarse},
    ],
    ids=["one", "list", "dict"],
)
def test_any_keras_model_may_be_the_backbone(outputs):
    estimator = _estimator(_functional(outputs))
    assert estimator.predict_on_batch(_images(1))["keypoints"].shape == (1, 1, 2, 2)


def test_mixed_precision_decodes_to_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        estimator = _estimator()
    finally:
        keras.config.set_dtype_policy("float32")
    decoded = estimator.predict_on_batch(_images(1))
    assert {value.dtype for value in decoded.values()} == {np.dtype("float32")}


def test_a_compiled_model_is_restored_with_its_optimizer(tmp_path):
    estimator = _estimator()
    estimator.compile(keras.optimizers.Adam(0.01))
    estimator.train_on_batch(_images(2), _labels(2))
    estimator.save(tmp_path / "a.keras")
    copy = keras.saving.load_model(tmp_path / "a.keras")
    assert int(ops.convert_to_numpy(copy.optimizer.iterations)) == 1
    for each in (estimator, copy):
        each.train_on_batch(_images(2), _labels(2))
    _same(copy.predict_on_batch(_images(2)), estimator.predict_on_batch(_images(2)), 1e-4)
