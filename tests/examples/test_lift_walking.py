"""The example that trains a lifter on walking figures."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import keras_pose
from keras_pose.datasets import walking_sequences

SCRIPT = Path(__file__).resolve().parents[2] / "examples/lift_walking.py"
SMALL = ["--films", "2", "--channels", "16", "--batch-size", "100", "--lr", "0.01"]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("lift_walking", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_error_falls_and_training_resumes_exactly(script, tmp_path, capsys):
    whole = script.main(["--out", str(tmp_path / "whole"), "--epochs", "2", *SMALL])
    before, after = re.findall(r"MPJPE .*: (\d+)", capsys.readouterr().out)
    assert int(after) < 0.8 * int(before)
    halves = ["--out", str(tmp_path / "halves"), *SMALL]
    script.main([*halves, "--epochs", "1"])
    resumed = script.main([*halves, "--epochs", "2", "--resume"])
    assert "going on after epoch 1" in capsys.readouterr().out
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    stored = keras_pose.PoseLifter.from_preset(str(tmp_path / "halves/preset"))
    film = walking_sequences(films=1, frames=30)
    np.testing.assert_allclose(stored.lift(film.keypoints), resumed.lift(film.keypoints), atol=1e-5)


def test_nothing_to_resume_is_said(script, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*checkpoint\.npz"):
        script.main(["--out", str(tmp_path), "--resume", *SMALL])
