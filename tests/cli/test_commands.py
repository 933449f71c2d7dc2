"""The other commands of `keras-pose`, and the command as a process of its own."""

import json
import os
import subprocess
import sys

import pytest

from keras_pose.backend import installed_backends
from keras_pose.cli import main
from keras_pose.paths import PRESETS
from keras_pose.preset import preset_names


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "keras_pose.cli", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith("keras-pose 0.")


@pytest.mark.parametrize("command", ["predict", "presets", "info", "verify", "convert", "mirror"])
def test_help_explains_each_command(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"keras-pose {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["nonsense"], ["info", "extra"]])
def test_wrong_words_are_exit_code_2(words):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2


def test_presets_are_listed_with_their_facts(capsys):
    assert main(["presets"]) == 0
    text = capsys.readouterr().out
    for part in ("movenet_lightning_coco", "192 x 192", "licence", "parameters", "local"):
        assert part in text
    assert len(text.splitlines()) == 1 + len(preset_names())


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--family", "rtmpose"], 55),
        (["--task", "hand"], 25),
        (["--task", "hand", "--match", "hrnet", "--data", "rhd"], 3),
        (["--task", "detection"], 1),
        (["--licence", "apache", "--task", "face"], 6),
        (["--local", "--match", "movenet"], 2),
    ],
)
def test_presets_are_filtered(capsys, options, count):
    assert main(["presets", *options]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + count


def test_filters_that_nothing_fits_are_exit_code_2(capsys):
    assert main(["presets", "--family", "nonsense"]) == 2
    assert "no preset fits" in capsys.readouterr().err


def test_a_preset_of_the_zoo_is_described_without_a_download(capsys):
    assert main(["presets", "vitpose-s"]) == 0
    text = capsys.readouterr().out
    for part in ("td-hm_ViTPose-small-simple", "unknown", "flip test", "CC BY 4.0", "not here"):
        assert part in text


def test_presets_as_json(capsys):
    assert main(["presets", "movenet_lightning_coco", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["movenet_lightning_coco"]["task"] == "top-down pose"
    assert facts["movenet_lightning_coco"]["local"] is True


def test_unknown_preset_is_exit_code_2(capsys):
    assert main(["presets", "movenet"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_info_says_what_runs_and_why(capsys, backend):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"backend:        {backend} (" in text
    assert "movenet_lightning_coco" in text


def test_verify_of_a_missing_artefact_is_one_sentence(capsys):
    assert main(["verify", "nowhere.tflite"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_backend_option_starts_that_backend(backend):
    other = next((name for name in installed_backends() if name != backend), backend)
    done = run("info", "--backend", backend, "--device", "cpu", KERAS_BACKEND=other)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"backend:        {backend} (set by --backend)" in done.stdout
    assert "cpu:0 (set by --device)" in done.stdout


def test_gpu_that_is_not_there_is_one_sentence(backend):
    done = run("info", "--device", "gpu", CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")
    assert done.returncode == 2
    assert "--device gpu" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_compiled_programs_are_kept_in_the_users_cache(backend, tmp_path):
    if backend != "jax":
        pytest.skip("only JAX keeps compiled programs")
    photo = str(PRESETS / "samples" / "jump.jpg")
    done = run("predict", photo, "--detector", "none", XDG_CACHE_HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    if sys.platform == "linux":
        assert any((tmp_path / "keras_pose" / "jax").iterdir())


def test_closed_pipe_is_no_error():
    command = f"{sys.executable} -m keras_pose.cli presets --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.stdout, "Traceback" in done.stderr) == ("{", False)
