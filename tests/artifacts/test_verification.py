"""Checking artifacts later, elsewhere, without the model."""

import json
import shutil

import numpy as np
import pytest

import keras_pose
from keras_pose.artifacts import load_artifact
from keras_pose.cli import main
from keras_pose.preset import file_hash


@pytest.fixture
def copied(litert, tmp_path):
    """A LiteRT file and what lies beside it, to be damaged."""
    for path in litert.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / litert.name


def change_facts(path, change):
    sidecar = path.with_name(f"{path.name}.json")
    facts = json.loads(sidecar.read_text())
    change(facts)
    sidecar.write_text(json.dumps(facts))


def test_unchanged_artifact_is_good(litert):
    report = keras_pose.verify(litert)
    assert report.ok
    assert report.images == 6
    assert report.differences["keypoints"].compared > 60
    assert report.differences["keypoints"].largest < 0.01
    assert "good" in str(report)


def test_changed_file_is_not_loaded(copied, monkeypatch):
    monkeypatch.setattr("keras_pose.artifacts.verification.run_artifact", None)
    content = bytearray(copied.read_bytes())
    content[len(content) // 2] ^= 1
    copied.write_bytes(content)
    report = keras_pose.verify(copied)
    assert not report.ok
    assert "changed after the export" in str(report)


def test_truncated_file(copied):
    copied.write_bytes(copied.read_bytes()[:1000])
    assert not keras_pose.verify(copied).ok


def test_wrong_numbers_are_found(copied):
    stored = copied.with_name(f"{copied.name}.npz")
    with np.load(stored) as arrays:
        arrays = dict(arrays)
    arrays["output.keypoints"][0] += 0.2
    np.savez(stored, **arrays)
    assert "npz was changed" in keras_pose.verify(copied).problems[0]
    change_facts(copied, lambda f: f["parity"].update(reference_sha256=file_hash(stored)))
    report = keras_pose.verify(copied)
    assert report.problems == (
        "keypoints are not those of Keras: largest difference 0.2 px, 0.1 px is allowed",
    )


def test_failing_runtime_is_one_sentence(litert, monkeypatch):
    def fail(artifact, images):
        raise RuntimeError("no memory\nat line 1")

    monkeypatch.setattr("keras_pose.artifacts.processes.run_batches", fail)
    (problem,) = keras_pose.verify(litert).problems
    assert problem == f"{litert} cannot be run: RuntimeError: no memory"


def test_missing_output_is_found(copied):
    stored = copied.with_name(f"{copied.name}.npz")
    with np.load(stored) as arrays:
        np.savez(stored, **arrays, **{"output.boxes": np.zeros((6, 4))})
    change_facts(copied, lambda f: f["parity"].update(reference_sha256=file_hash(stored)))
    assert keras_pose.verify(copied).problems == ('it has no output "boxes" but keypoints, scores',)


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_missing_companions_are_an_error(copied, suffix):
    copied.with_name(copied.name + suffix).unlink()
    with pytest.raises(ValueError, match=f"has no movenet.tflite{suffix}"):
        keras_pose.verify(copied)


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"sha256": "0", "parity": []}'])
def test_damaged_sidecar_is_an_error(copied, facts):
    copied.with_name(f"{copied.name}.json").write_text(facts)
    if "sha256" in facts:
        assert not keras_pose.verify(copied).ok
        return
    with pytest.raises(ValueError, match=r"tflite\.json is not"):
        keras_pose.verify(copied)


def test_other_files_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no exported model .*none\.tflite"):
        keras_pose.verify(tmp_path / "none.tflite")
    with pytest.raises(ValueError, match="is no exported model"):
        keras_pose.verify(tmp_path)


def test_damaged_file_is_one_sentence(tmp_path):
    for name in ("model.tflite", "model.onnx"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(ValueError, match=f"{name} cannot be loaded"):
            load_artifact(tmp_path / name)


def test_artifact_refuses_other_images(litert):
    artifact = load_artifact(litert)
    with pytest.raises(
        ValueError, match=r"must be \(B, 192, 192, 3\) uint8, got \(2, 192, 191, 3\)"
    ):
        artifact(np.zeros((2, 192, 191, 3), np.uint8))
    with pytest.raises(ValueError, match="float32"):
        artifact(np.zeros((1, 192, 192, 3), np.float32))


def test_command(litert, copied, capsys):
    assert main(["verify", str(litert)]) == 0
    assert "keypoints: largest difference" in capsys.readouterr().out
    copied.write_bytes(b"nonsense")
    assert main(["verify", str(copied)]) == 1
    assert "NOT good" in capsys.readouterr().out
    copied.unlink()
    assert main(["verify", str(copied)]) == 2
