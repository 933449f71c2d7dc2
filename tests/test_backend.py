"""Which backend a fresh process runs on, and what it says when there is none."""

import json
import os
import subprocess
import sys

import keras
import pytest

from keras_pose import backend as module
from keras_pose.backend import installed_backends

# Runs in a fresh process: `installed` are the backends that Python shall find there.
_PROGRAM = """
import importlib.util, os, sys
installed, argv = {installed!r}, {argv!r}
if argv:
    sys.argv = argv
find = importlib.util.find_spec
def limited(name, *rest):
    hidden = name in ("tensorflow", "jax", "torch") and name not in installed
    return None if hidden else find(name, *rest)
importlib.util.find_spec = limited
spec = importlib.util.spec_from_file_location("choice", {path!r})
choice = importlib.util.module_from_spec(spec)
spec.loader.exec_module(choice)
choice.choose_backend()
print(os.environ.get("KERAS_BACKEND"), "|", choice.backend_reason())
print(os.environ.get("JAX_PLATFORMS"))
"""


@pytest.fixture
def choose(tmp_path):
    """Chooses among the named backends in a fresh process without any Keras configuration."""

    def run(*installed, configured=None, argv=None, **environment):
        if configured:
            (tmp_path / "keras.json").write_text(json.dumps({"backend": configured}))
        hidden = ("KERAS_BACKEND", "JAX_PLATFORMS")
        clean = {name: value for name, value in os.environ.items() if name not in hidden}
        return subprocess.run(
            [
                sys.executable,
                "-c",
                _PROGRAM.format(installed=installed, argv=argv, path=module.__file__),
            ],
            env=clean | {"KERAS_HOME": str(tmp_path)} | environment,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(autouse=True)
def _all_installed():
    if len(installed_backends()) < 3:
        pytest.skip("needs TensorFlow, JAX and PyTorch")


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        (("jax",), "jax"),
        (("torch",), "torch"),
        (("jax", "torch"), "jax"),
        (("tensorflow", "jax", "torch"), "tensorflow"),
    ],
)
def test_first_installed_backend_is_taken(choose, installed, chosen):
    assert choose(*installed).stdout.startswith(f"{chosen} | the first installed of")


def test_keras_configuration_counts(choose, tmp_path):
    done = choose("tensorflow", "jax", configured="jax")
    assert done.stdout.startswith(f"None | set in {tmp_path}")


def test_configuration_that_names_a_missing_backend_is_passed_over(choose):
    # Keras writes "tensorflow" into that file by itself.
    assert choose("jax", configured="tensorflow").stdout.startswith("jax |")


def test_environment_wins_over_the_configuration(choose):
    done = choose("jax", "torch", configured="jax", KERAS_BACKEND="torch")
    assert done.stdout.startswith("torch | set by KERAS_BACKEND")


def test_option_of_the_command_wins(choose):
    argv = ["/usr/bin/keras-pose", "predict", "x.jpg", "--backend", "torch", "--device=cpu"]
    done = choose("jax", "torch", argv=argv, KERAS_BACKEND="jax")
    assert done.stdout.splitlines() == ["torch | set by --backend", "cpu"]


def test_options_of_other_programs_are_not_read(choose):
    done = choose("jax", "torch", argv=["train.py", "--backend", "torch"])
    assert done.stdout.startswith("jax |")


@pytest.mark.parametrize("name", ["jax", "torch", "tensorflow"])
def test_asked_for_but_missing_backend_names_the_extra(choose, name):
    done = choose(KERAS_BACKEND=name)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"pip install 'keras-pose[{name}]'" in last


def test_no_backend_at_all_names_the_three_extras(choose):
    last = choose().stderr.splitlines()[-1]
    assert last.startswith("ImportError: Keras needs a backend")
    assert all(f"keras-pose[{name}]" in last for name in ("jax", "torch", "tensorflow"))


def test_command_without_backend_says_one_sentence(choose):
    for argv in (["keras-pose", "info"], ["keras-pose", "info", "--backend", "jax"]):
        done = choose(argv=argv)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "pip install" in done.stderr


@pytest.mark.parametrize("tensorflow", [False, True])
def test_under_pytorch_triton_comes_before_tensorflow(monkeypatch, tensorflow):
    loaded = []
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: name == "triton" or None)
    monkeypatch.setattr(module.importlib, "import_module", loaded.append)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    if tensorflow:
        monkeypatch.setitem(sys.modules, "tensorflow", object())
    module.load_triton_first()
    wanted = keras.backend.backend() == "torch" and not tensorflow
    assert loaded == ["triton"] * wanted
