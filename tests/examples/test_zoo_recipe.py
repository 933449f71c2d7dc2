"""The example that trains by published recipes."""

import importlib.util
import sys
from pathlib import Path

import pytest

from keras_pose import TopdownEstimator

SCRIPT = Path(__file__).resolve().parents[2] / "examples/train_from_zoo_recipe.py"


@pytest.fixture(scope="module")
def script(backend):
    if backend != "torch":
        pytest.skip("recipes are tested under every backend; this under torch, the quickest here")
    spec = importlib.util.spec_from_file_location("train_from_zoo_recipe", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(arrows, tmp_path):
    file, images = arrows[1], arrows[5]
    out = str(tmp_path / "out")
    return ["--train", file, "--val", file, "--images", images, "--out", out, "--epochs", "1"]


def test_rtmpose_learns_keypoints_of_its_own_by_name(script, data, capsys):
    run = script.main(["rtmpose-t_8xb256-420e_coco-256x192", *data, "--batch-size", "4"])
    assert run.epochs == 1 and "last" in run.results
    tuned = TopdownEstimator.from_preset(run.folder / "last")
    assert tuned.skeleton.keypoints == ("tip", "left_end", "right_end")
    assert "starts with new weights" in capsys.readouterr().err


def test_the_recipe_of_simplebaseline_for_another_preset(script, data, small_preset):
    options = ["--preset", small_preset, "--batch-size", "4"]
    run = script.main(["td-hm_res50_8xb64-210e_coco-256x192", *data, *options])
    assert run.estimator.input_size == (64, 64)
    assert run.estimator.optimizer.learning_rate < 5e-4 * 4 / 512


def test_names_are_listed(script, capsys):
    assert script.main(["rtmpose-t_8xb256", "--list"]) is None
    assert "rtmpose-t_8xb256-420e_coco-256x192" in capsys.readouterr().out.split()


def test_what_is_missing_is_said(script, capsys):
    with pytest.raises(SystemExit):
        script.main(["rtmpose-t_8xb256-420e_coco-256x192"])
    assert "--train and --out" in capsys.readouterr().err
