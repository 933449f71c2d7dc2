"""Exported models against Keras, each in its own runtime."""

import importlib.util
import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.artifacts import exporting, load_artifact, parity
from keras_pose.artifacts.sidecar import read_sidecar, sidecar_path

SUFFIXES = {"tf_saved_model": "", "litert": ".tflite", "onnx": ".onnx"}


@pytest.fixture
def out(tmp_path):
    """Gives the path of a new artifact of a format."""
    return lambda format: tmp_path / f"model{SUFFIXES[format]}"


def assert_equal(artifact, model, images, pixels=(), **options):
    """Checks outputs for several images at once and for one."""
    expected = model.predict_on_batch(images, **options)
    for batch in (images, images[:1]):
        found = artifact(batch)
        assert set(found) == set(expected)
        for name, value in expected.items():
            value = value[: len(batch)]
            scale = 1.0 if name in pixels else np.abs(value).max()
            difference = np.abs(found[name] - value)
            if name in pixels:
                difference = difference[expected["scores"][: len(batch)] > 0.2]
                assert difference.size
            assert difference.max() < 0.01 * scale, name


@pytest.mark.parametrize("format", ["tf_saved_model", "onnx"])
def test_movenet_finds_the_same_keypoints(in_tensorflow, movenet, photos, out, format):
    path = keras_pose.export(movenet, out(format), format=format)
    artifact = load_artifact(path)
    assert artifact.input_shape == (None, 192, 192, 3)
    assert_equal(artifact, movenet, photos((192, 192)), pixels=["keypoints"])


def test_movenet_finds_the_same_keypoints_in_litert(litert, movenet, photos):
    artifact = load_artifact(litert, threads=1)
    assert artifact.input_shape == (None, 192, 192, 3)
    assert_equal(artifact, movenet, photos((192, 192)), pixels=["keypoints"])


def test_movenet_raw_outputs_of_the_flip_test(in_tensorflow, movenet, photos, out):
    path = keras_pose.export(movenet, out("onnx"), format="onnx", decode=False, flip_test=True)
    artifact, images = load_artifact(path), photos((192, 192))
    assert_equal(artifact, movenet, images, decode=False, flip_test=True)
    plain = movenet.predict_on_batch(images, decode=False)["heatmaps"]
    assert np.abs(artifact(images)["heatmaps"] - plain).max() > 0.1
    codec = read_sidecar(path)["codec"]
    assert codec["name"] == "MoveNetCodec"
    assert codec["heatmap_size"] == [48, 48]


def test_hand_landmarks_are_the_same_in_litert(in_tensorflow, golden, out):
    model = keras_pose.TopdownEstimator.from_preset("mediapipe_hand_lite")
    artifact = load_artifact(keras_pose.export(model, out("litert"), format="litert"), threads=1)
    npz = np.load(golden / "pretrained/hand.npz")
    images = np.stack([npz[f"{case}/input"] for case in ("coco_hand", "noise")])
    assert_equal(artifact, model, images, pixels=["keypoints"])


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_detector_finds_the_same_boxes(in_tensorflow, photos, out, format):
    detector = keras_pose.PersonDetector.from_preset(
        "centernet_mobilenet_v3_coco", input_size=(256, 256)
    )
    path = keras_pose.export(detector, out(format), format=format)
    images = photos((256, 256))
    assert_equal(load_artifact(path), detector, images, pixels=["boxes"])
    facts = read_sidecar(path)
    assert facts["classes"][0] == "person"
    assert facts["outputs"]["boxes"]["shape"] == [None, 100, 4]


@pytest.mark.parametrize("format", SUFFIXES)
def test_resnet_with_heatmaps(in_tensorflow, resnet, photos, out, format):
    path = keras_pose.export(resnet, out(format), format=format)
    images = photos((64, 96))
    expected = resnet.predict_on_batch(images)
    found = load_artifact(path)(images)
    np.testing.assert_allclose(found["keypoints"], expected["keypoints"], rtol=0, atol=0.01)
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-3)


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_fixed_batch_refuses_others(in_tensorflow, tiny, out, format):
    artifact = load_artifact(keras_pose.export(tiny, out(format), format=format, batch_size=2))
    assert artifact(np.zeros((2, 96, 64, 3), np.uint8))["scores"].shape == (2, 1, 17)
    with pytest.raises(ValueError, match=r"must be \(2, 96, 64, 3\) uint8, got \(3, 96, 64, 3\)"):
        artifact(np.zeros((3, 96, 64, 3), np.uint8))


def test_other_backends_export_through_a_child_process(tiny, backend, photos, out):
    if backend == "tensorflow":
        pytest.skip("TensorFlow exports by itself")
    path = keras_pose.export(tiny, out("tf_saved_model"))
    assert read_sidecar(path)["made_by"]["backend"] == backend
    report = keras_pose.verify(path)
    assert report.ok
    assert report.differences["keypoints"].largest < 0.01
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_mixed_precision_is_exported_in_float32(quick_writer, tiny, make_tiny, photos, out):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = make_tiny()
        keras_pose.export(mixed, out("onnx"), format="onnx")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    written = quick_writer["model"]
    assert {layer.compute_dtype for layer in written._flatten_layers()} == {"float32"}
    for expected, found in zip(mixed.get_weights(), written.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@keras.saving.register_keras_serializable(package="tests")
class RolledCodec(keras_pose.codecs.MSRAHeatmap):
    """LiteRT cannot roll."""

    def decode(self, outputs):
        return super().decode({"heatmaps": ops.roll(outputs["heatmaps"], 1, axis=1)})


@pytest.fixture(scope="module")
def rolled(make_tiny):
    return make_tiny(RolledCodec)


def test_unknown_operations_are_named(rolled, backend, out):
    known_here = "LiteRT has no builtin operation for FlexRoll"
    unknown_there = "in a process of its own under tensorflow failed: .*RolledCodec"
    expected = known_here if backend == "tensorflow" else unknown_there
    with pytest.raises(ValueError, match=expected):
        keras_pose.export(rolled, out("litert"), format="litert")
    assert not list(out("litert").parent.iterdir())


def test_own_classes_are_exported_where_they_are_known(in_tensorflow, rolled, out):
    assert keras_pose.export(rolled, out("onnx"), format="onnx").is_file()


@pytest.fixture
def quick_writer(monkeypatch, tiny):
    """Replaces writing and running by Keras; "keypoints" is added to those of the artifact."""
    seen = {"keypoints": 0.0}

    def write(model, draft, kind, backend, options, images):
        seen["model"] = model
        if kind.suffix:
            draft.write_bytes(b"model")
        else:
            draft.mkdir()
            (draft / "saved_model.pb").write_bytes(b"model")
        outputs = parity.keras_outputs(model, images, options["decode"], options["flip_test"])
        if options["decode"]:
            outputs["keypoints"] = outputs["keypoints"] + np.float32(seen["keypoints"])
        return outputs

    monkeypatch.setattr(exporting, "_written_and_run", write)
    return seen


@pytest.mark.parametrize("format", ["litert", "tf_saved_model"])
def test_wrong_numbers_are_not_kept(quick_writer, tiny, out, format):
    path = keras_pose.export(tiny, out(format), format=format)
    before = sidecar_path(path).read_bytes()
    names = sorted(file.name for file in path.parent.rglob("*"))
    quick_writer["keypoints"] = 0.2
    with pytest.raises(ValueError, match=r"keypoints are not those of Keras: .* 0.2 px, 0.1 px"):
        keras_pose.export(tiny, path, format=format)
    assert sidecar_path(path).read_bytes() == before
    assert sorted(file.name for file in path.parent.rglob("*")) == names


@pytest.mark.parametrize("format", ["litert", "tf_saved_model"])
def test_earlier_artifact_is_replaced(quick_writer, tiny, out, format):
    path = keras_pose.export(tiny, out(format), format=format)
    keras_pose.export(tiny, path, format=format, decode=False)
    assert read_sidecar(path)["decode"] is False


def test_images_of_ones_own_are_compared_too(quick_writer, tiny, out):
    path = out("litert")
    images = np.full((3, 96, 64, 3), 128, np.uint8)
    keras_pose.export(tiny, path, format="litert", parity_images=images)
    assert read_sidecar(path)["parity"]["images"] == 9
    with np.load(f"{path}.npz") as stored:
        assert len(stored["images"]) == len(stored["output.scores"]) == 6


def test_metadata_is_kept(quick_writer, tiny, out):
    path = keras_pose.export(tiny, out("onnx"), format="onnx", metadata={"licence": "CC0"})
    assert json.loads(sidecar_path(path).read_text())["preset"] == {"licence": "CC0"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "tflite"}, "format must be one of tf_saved_model, litert, onnx, got 'tflite'"),
        ({"format": "litert", "path": "m.onnx"}, "must end with .tflite"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"parity_images": np.zeros((1, 64, 96, 3), np.uint8)}, r"must be \(M, 96, 64, 3\) uint8"),
        ({"model": "movenet"}, "model must be an estimator or a detector"),
        ({"path": "occupied"}, "is a folder that holds something else"),
    ],
)
def test_wrong_arguments(tiny, tmp_path, arguments, message):
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "notes.txt").touch()
    arguments = {"model": tiny, "path": "model", **arguments}
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=message):
        keras_pose.export(**arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["occupied"]


def test_missing_packages_are_named(tiny, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    missing = ("tf2onnx", "onnxruntime")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    sentence = r"ONNX needs tf2onnx and onnxruntime: pip install keras-pose\[export\]"
    with pytest.raises(ImportError, match=sentence):
        keras_pose.export(tiny, tmp_path / "model.onnx", format="onnx")


def test_command(quick_writer, tiny, tmp_path, capsys):
    from keras_pose.cli import main

    preset = tiny.save_to_preset(tmp_path / "preset", metadata={"licence": "CC0"})
    path = tmp_path / "model.onnx"
    assert main(["export", str(preset), str(path), "--no-decode", "--batch-size", "2"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    facts = read_sidecar(path)
    assert (facts["format"], facts["decode"]) == ("onnx", False)
    assert facts["input"]["shape"] == [2, 96, 64, 3]
    assert facts["preset"]["licence"] == "CC0"
    assert main(["export", str(preset), str(path), "--format", "litert"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
