"""Presets: written and read again, across backends, and refused where something is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead
from keras_pose.paths import PRESETS
from keras_pose.preset import built_in_names, file_hash, preset_folder, read_metadata
from keras_pose.skeleton import Skeleton

SIZE = (32, 32)
ROOT = Path(__file__).resolve().parent.parent


def _estimator(backbone=None):
    head = HeatmapHead(2, MSRAHeatmap(SIZE, (8, 8), 1.0), deconv_filters=(4,), deconv_kernels=(4,))
    return keras_pose.TopdownEstimator(
        backbone or ResNet(18, out_indices=(1,), base_channels=4),
        head,
        skeleton=Skeleton("pair", ["left_dot", "right_dot"], sigmas=[0.1, 0.1]),
        input_size=SIZE,
        box_padding=1.5,
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def estimator():
    """A tiny one none of whose variables has its first value."""
    keras.utils.set_random_seed(1)
    estimator = _estimator()
    random = np.random.default_rng(0)
    estimator.set_weights(
        [
            w * random.uniform(0.7, 1.3, w.shape).astype("f4") + np.float32(0.01)
            for w in estimator.get_weights()
        ]
    )
    return estimator


@pytest.fixture(scope="module")
def saved(estimator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    return estimator.save_to_preset(folder, {"licence": "CC0", "metric": {"protocol": "none"}})


@pytest.fixture
def changed(saved, tmp_path):
    """A copy of the preset to spoil; `rewrite` edits one of its JSON files."""
    folder = shutil.copytree(saved, tmp_path / "changed")

    def rewrite(name, edit):
        content = json.loads((folder / name).read_text("utf-8"))
        edit(content)
        (folder / name).write_text(json.dumps(content), "utf-8")

    return folder, rewrite


def _same(first, second, images, tolerance=0.0):
    for a, b in zip(
        first.predict_on_batch(images).values(),
        second.predict_on_batch(images).values(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_a_preset_is_read_as_it_was_written(estimator, saved, images):
    copy = keras_pose.TopdownEstimator.from_preset(saved)
    assert type(copy) is keras_pose.TopdownEstimator
    assert copy.skeleton == estimator.skeleton
    assert (copy.input_size, copy.box_padding) == (SIZE, 1.5)
    for a, b in zip(estimator.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    _same(estimator, copy, images)


def test_a_preset_is_four_files_with_facts(estimator, saved):
    names = {"config.json", "model.weights.h5", "skeleton.json", "metadata.json"}
    assert {path.name for path in saved.iterdir()} == names
    assert list(saved.parent.iterdir()) == [saved]
    assert Skeleton.load(saved / "skeleton.json") == estimator.skeleton
    facts = read_metadata(saved)
    assert facts["task"] == "top-down pose" and facts["licence"] == "CC0"
    assert facts["parameters"] == estimator.count_params()
    assert facts["weights"]["sha256"] == file_hash(saved / "model.weights.h5")
    assert facts["weights"]["bytes"] == (saved / "model.weights.h5").stat().st_size


def test_a_preset_holds_every_weight_once(estimator, saved):
    arrays = []
    with h5py.File(saved / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None
        )
    assert len(arrays) == len(estimator.variables)


def _names_in(folder):
    names = []
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(lambda name, item: names.append(name))
    return names


def test_what_training_adds_is_not_stored(saved, tmp_path, images):
    trained = keras_pose.TopdownEstimator.from_preset(saved)
    trained.compile("adam")
    labels = {"keypoints": np.full((2, 1, 2, 2), 9.0, "f4"), "visible": np.ones((2, 1, 2), "f4")}
    trained.fit(images, labels, batch_size=2, verbose=0)
    folder = trained.save_to_preset(tmp_path / "trained")
    assert _names_in(folder) == _names_in(saved)
    assert trained.optimizer.iterations == 1
    trained.fit(images, labels, batch_size=2, verbose=0)
    copy = keras_pose.TopdownEstimator.from_preset(folder)
    _same(copy, keras_pose.TopdownEstimator.from_preset(folder), images)


def test_weights_may_be_new(saved):
    copy = keras_pose.TopdownEstimator.from_preset(saved, load_weights=False)
    assert np.std(keras.ops.convert_to_numpy(copy.backbone.conv1.kernel)) > 0


def test_a_preset_leaves_names_and_precision_to_who_loads_it(saved):
    config = json.loads((saved / "config.json").read_text("utf-8"))
    text = json.dumps(config)
    assert '"dtype"' not in text and '"trainable"' not in text
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        copy = keras_pose.TopdownEstimator.from_preset(saved)
    finally:
        keras.config.set_dtype_policy("float32")
    assert copy.backbone.conv1.compute_dtype == "bfloat16"


def test_half_precision_halves_the_file(estimator, saved, tmp_path, images):
    folder = estimator.save_to_preset(tmp_path / "half", dtype="float16")
    assert (folder / "model.weights.h5").stat().st_size < (
        saved / "model.weights.h5"
    ).stat().st_size
    assert read_metadata(folder)["weights"]["dtype"] == "float16"
    copy = keras_pose.TopdownEstimator.from_preset(folder)
    assert {w.dtype for w in copy.get_weights()} == {np.dtype("float32")}
    for a, b in zip(estimator.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a.astype("float16"), b.astype("float16"))


def test_numbers_too_large_for_half_precision_are_refused(tmp_path):
    estimator = _estimator()
    estimator.backbone.bn1.moving_variance.assign(1e5 * np.ones(4))
    with pytest.raises(ValueError, match="numbers that float16 cannot"):
        estimator.save_to_preset(tmp_path / "half", dtype="float16")
    assert not list((tmp_path / "half").iterdir())


def test_settings_may_be_replaced(saved):
    copy = keras_pose.TopdownEstimator.from_preset(saved, box_padding=1.0)
    assert copy.box_padding == 1.0


def test_an_unknown_setting_is_refused(saved):
    with pytest.raises(ValueError, match="box_pading"):
        keras_pose.TopdownEstimator.from_preset(saved, box_pading=1.0)


def test_loading_draws_no_random_numbers(saved, monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", lambda *_: pytest.fail("numbers were drawn"))
    monkeypatch.setattr(keras.random, "normal", lambda *_: pytest.fail("numbers were drawn"))
    keras_pose.TopdownEstimator.from_preset(saved)


def test_a_keras_file_is_read_as_it_was_written(estimator, tmp_path, images):
    estimator.save(tmp_path / "tiny.keras")
    copy = keras.saving.load_model(tmp_path / "tiny.keras")
    assert copy.skeleton == estimator.skeleton and copy.box_padding == 1.5
    _same(estimator, copy, images)


def test_a_functional_keras_model_may_be_the_backbone(tmp_path, images):
    inputs = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu")(inputs)
    x = keras.layers.Concatenate()([keras.layers.Conv2D(3, 3, 4, padding="same")(x)] * 2)
    estimator = _estimator(keras.Model(inputs, x))
    folder = estimator.save_to_preset(tmp_path / "functional")
    _same(estimator, keras_pose.TopdownEstimator.from_preset(folder), images)
    mouse = estimator.with_skeleton(Skeleton("mouse", ["nose", "ear", "tail"]))
    for a, b in zip(estimator.backbone.get_weights(), mouse.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


ACROSS = """
import sys
import keras
import numpy as np
import keras_pose
folder, archive, images, out = sys.argv[1:]
preset = keras_pose.TopdownEstimator.from_preset(folder)
archive = keras.saving.load_model(archive)
images = np.load(images)
first, second = (model.predict_on_batch(images, flip_test=True) for model in (preset, archive))
np.testing.assert_array_equal(first["keypoints"], second["keypoints"])
np.savez(out, **first)
"""


def test_other_backends_read_the_same_model(backend, estimator, saved, tmp_path, images):
    if backend != "jax":
        pytest.skip("written under JAX only: one direction shows the files to be neutral")
    estimator.save(tmp_path / "tiny.keras")
    np.save(tmp_path / "images.npy", images)
    expected = estimator.predict_on_batch(images, flip_test=True)
    running = {}
    for other in ("tensorflow", "torch"):
        out = tmp_path / f"{other}.npz"
        arguments = [saved, tmp_path / "tiny.keras", tmp_path / "images.npy", out]
        running[out] = subprocess.Popen(
            [sys.executable, "-c", ACROSS, *arguments],
            env={**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
    for out, process in running.items():
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        for name, value in np.load(out).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", built_in_names())
def test_built_in_presets_state_their_facts(name):
    facts = read_metadata(name)
    for key in ("description", "licence", "training_data", "origin", "paper"):
        assert facts[key], key
    kinds = {
        "top-down pose": keras_pose.TopdownEstimator,
        "bottom-up pose": keras_pose.BottomupEstimator,
        "object detection": keras_pose.PersonDetector,
    }
    weights = PRESETS / "models" / name / "model.weights.h5"
    assert facts["weights"]["sha256"] == file_hash(weights)
    assert facts["weights"]["bytes"] == weights.stat().st_size
    model = kinds[facts["task"]].from_preset(name)
    assert facts["parameters"] == model.count_params()
    assert tuple(facts["input_size"]) == model.input_size
    if hasattr(model, "skeleton"):
        assert Skeleton.load(PRESETS / "models" / name / "skeleton.json") == model.skeleton


@pytest.mark.parametrize("name", built_in_names())
def test_built_in_presets_state_metrics_with_their_protocol(name):
    metrics = read_metadata(name)["metrics"]
    assert all(metric["protocol"] and 0 < metric["value"] < 1 for metric in metrics)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        ValueError, match='no preset "movenet_lightening_coco"; did you mean "movenet_light'
    ):
        keras_pose.TopdownEstimator.from_preset("movenet_lightening_coco")


def test_a_folder_without_a_config_is_no_preset(tmp_path):
    with pytest.raises(ValueError, match=r"is no preset: it has no config\.json"):
        preset_folder(tmp_path)


def test_a_preset_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="is a PersonDetector, not a TopdownEstimator"):
        keras_pose.TopdownEstimator.from_preset("centernet_mobilenet_v3_coco")


def _refused(folder, match, error=ValueError):
    """Loading must fail with one sentence."""
    with pytest.raises(error, match=match) as caught:
        keras_pose.TopdownEstimator.from_preset(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def test_changed_weights_are_refused(changed):
    folder, _ = changed
    content = bytearray((folder / "model.weights.h5").read_bytes())
    content[-1] ^= 1
    (folder / "model.weights.h5").write_bytes(content)
    _refused(folder, "is damaged or was changed: its SHA-256")


def test_truncated_weights_are_refused(changed):
    folder, _ = changed
    _cut(folder / "model.weights.h5")
    _refused(folder, "is damaged or was changed: its SHA-256")
    (folder / "metadata.json").unlink()
    _refused(folder, "is not a complete weights file")


def test_missing_weights_are_reported(changed):
    folder, _ = changed
    (folder / "model.weights.h5").unlink()
    _refused(folder, r"has no model\.weights\.h5", FileNotFoundError)


def test_the_weights_of_another_model_are_refused(changed):
    folder, _ = changed
    (folder / "metadata.json").unlink()
    other = PRESETS / "models/movenet_lightning_coco/model.weights.h5"
    shutil.copy(other, folder / "model.weights.h5")
    _refused(folder, r"does not fit config\.json")


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("[]", "must hold a JSON object")]
)
def test_damaged_json_is_named(changed, name, text, message):
    folder, _ = changed
    (folder / name).write_text(text)
    _refused(folder, f"{name} {message}")


def test_json_that_is_no_model_is_refused(changed):
    folder, rewrite = changed
    rewrite("config.json", lambda config: config.pop("config"))
    _refused(folder, "is not the Keras config of a model")


def test_a_config_that_lacks_an_argument_is_refused(changed):
    folder, rewrite = changed
    rewrite("config.json", lambda config: config["config"].pop("head"))
    _refused(folder, "describes no model: .* missing 1 required positional argument: 'head'")


FOREIGN = {
    "a class": {
        "module": "evil",
        "class_name": "Evil",
        "registered_name": "evil>Evil",
        "config": {},
    },
    "a function": {
        "module": "evil",
        "class_name": "function",
        "registered_name": "run",
        "config": "run",
    },
    "a hidden function": {
        "module": "evil",
        "class_name": "function",
        "registered_name": "keras_pose>ResNet",
        "config": "run",
    },
    "a hidden class": {
        "module": "evil",
        "class_name": "Evil",
        "registered_name": "keras_pose>Evil",
        "config": {},
    },
    "a type": {
        "module": "evil",
        "class_name": "__typespec__",
        "spec_name": "Evil",
        "registered_name": "keras_pose>ResNet",
        "config": [],
    },
    "a lambda": {
        "module": "keras.layers",
        "class_name": "Lambda",
        "registered_name": None,
        "config": {"function": {"class_name": "__lambda__", "config": {"value": "4wAAAAA="}}},
    },
    "a lambda of Keras'": {
        "module": "keras",
        "class_name": "__lambda__",
        "registered_name": None,
        "config": {"value": "4wAAAAA="},
    },
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_code_is_refused_and_not_run(changed, tmp_path, monkeypatch, what):
    folder, rewrite = changed
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').close()\ndef run(*args): pass\nclass Evil: pass\n"
    (tmp_path / "evil.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    rewrite("config.json", lambda config: config["config"].update(preprocess=FOREIGN[what]))
    _refused(folder, "which is neither keras_pose's nor Keras': it is not loaded")
    assert not trace.exists() and "evil" not in sys.modules
