"""The facts beside an artifact."""

import hashlib
import json

import numpy as np
import pytest

import keras_pose
from keras_pose.artifacts import sidecar
from keras_pose.artifacts.formats import FORMATS
from keras_pose.geometry import apply_affine, crop_affine


def described(model):
    return sidecar.describe(model, FORMATS["litert"], {}, True, False, None, None)


@pytest.mark.parametrize("udp", [False, True])
def test_formula_of_the_crop_is_that_of_the_estimator(tiny, monkeypatch, udp):
    monkeypatch.setattr(tiny, "udp", udp)
    geometry = described(tiny)["geometry"]
    names = {**geometry, "left": 30.0, "top": 50.0, "right": 90.0, "bottom": 110.0}
    for line in geometry["box"]:
        exec(line, names)
    affine = crop_affine([30, 50, 90, 110], tiny.input_size, tiny.box_padding, udp=udp)
    for x, y in [(0, 0), (63, 95), (20, 70)]:
        names.update(x=x, y=y)
        for line in geometry["to_image"]:
            exec(line, names)
        expected = apply_affine(affine, np.float32([[x, y]]))[0]
        np.testing.assert_allclose([names["x_image"], names["y_image"]], expected, atol=1e-3)


def test_skeleton_can_be_read_back(tiny, tmp_path):
    path = tmp_path / "model.tflite"
    path.touch()
    sidecar.write_sidecar(path, described(tiny))
    skeleton = keras_pose.Skeleton.from_dict(sidecar.read_sidecar(path)["skeleton"])
    assert skeleton.keypoints == tiny.skeleton.keypoints


def test_file_is_json_of_short_lines(tmp_path):
    facts = {"numbers": list(range(100)), "few": [1, 2], "nested": {"a": {"b": ["x" * 90] * 3}}}
    (tmp_path / "m.onnx").touch()
    sidecar.write_sidecar(tmp_path / "m.onnx", facts)
    text = (tmp_path / "m.onnx.json").read_text()
    assert json.loads(text) == facts
    assert ' "few": [1, 2],\n' in text
    assert max(map(len, text.splitlines())) <= 120


def test_hash_of_a_folder_is_that_of_sha256sum(tmp_path):
    for name in ("saved_model.pb", "variables/a", "variables/b", "keras_pose.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    names = ["saved_model.pb", "variables/a", "variables/b"]
    lines = "".join(f"{hashlib.sha256(n.encode()).hexdigest()}  {n}\n" for n in names)
    assert sidecar.artifact_hash(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_hash_of_a_folder_sees_names_and_contents(tmp_path):
    (tmp_path / "saved_model.pb").write_text("a")
    first = sidecar.artifact_hash(tmp_path)
    (tmp_path / "keras_pose.npz").write_text("not counted")
    assert sidecar.artifact_hash(tmp_path) == first
    (tmp_path / "saved_model.pb").rename(tmp_path / "other.pb")
    assert sidecar.artifact_hash(tmp_path) != first
