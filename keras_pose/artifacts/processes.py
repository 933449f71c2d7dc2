"""Child processes, for what the present backend cannot do and for TensorFlow beside another."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_pose.artifacts.formats import format_of
from keras_pose.artifacts.messages import one_sentence
from keras_pose.artifacts.runtimes import load_artifact, run_batches

# What holds the package: site-packages, or a checkout.
_ROOT = Path(__file__).resolve().parents[2]


def run_artifact(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of an artifact in its own runtime.

    TensorFlow runs in a child process unless it is the present backend: two frameworks in one
    process take each other's GPU memory.

    Args:
        path: file or folder.
        images: `(M, h, w, 3)` uint8.

    Raises:
        ValueError: it cannot be loaded or run; one sentence.
    """
    if format_of(path).runtime == "tensorflow" and keras.backend.backend() != "tensorflow":
        return run_child("tensorflow", {"path": str(path)}, images)
    artifact = load_artifact(path)
    try:
        return run_batches(artifact, images)
    except Exception as error:  # every runtime has its own kinds
        raise ValueError(f"{path} cannot be run: {one_sentence(error)}") from error


def run_child(backend: str, job: dict, images: np.ndarray | None = None) -> dict | None:
    """Does a job of `keras_pose.artifacts.child` in a process with another backend, on the CPU.

    Args:
        backend: name of the Keras backend.
        job: `path` of the artifact; `preset` and the arguments of `write_artifact` to write it.
        images: `(M, h, w, 3)` uint8 to run it on, or None.

    Returns:
        The outputs for `images`.

    Raises:
        ValueError: it failed; one sentence.
    """
    with tempfile.TemporaryDirectory(prefix="keras-pose-") as folder:
        folder = Path(folder)
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        if images is not None:
            np.save(folder / "images.npy", images)
        command = [sys.executable, "-P", "-m", "keras_pose.artifacts.child", str(folder)]
        done = subprocess.run(
            command, env=_environment(backend), capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            raise ValueError(_failure(folder, done))
        if images is None:
            return None
        with np.load(folder / "outputs.npz") as outputs:
            return dict(outputs)


def _environment(backend: str) -> dict[str, str]:
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if _ROOT.name not in ("site-packages", "dist-packages"):
        paths = [str(_ROOT), environment.get("PYTHONPATH")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def _failure(folder: Path, done: subprocess.CompletedProcess) -> str:
    told = folder / "failure.txt"
    if told.is_file():
        return told.read_text("utf-8")
    lines = done.stderr.strip().splitlines()
    return f"exit code {done.returncode}" + (f", {lines[-1].strip()[:300]}" if lines else "")
