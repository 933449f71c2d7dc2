"""Runs `shared_training.py` in a process of its own and compares one device with several."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("shared_training.py")


def trained(folder, backend: str, *settings: str) -> list:
    """What training on one device left, and then what every process of two devices left."""
    quiet = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    virtual = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, SCRIPT, folder / "of", "2", *settings],
        env={**os.environ, **quiet, **virtual},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [np.load(path) for path in sorted(folder.glob("of*.npz"))]


def check_equal(one, several) -> None:
    """Losses of every step are those of one device to 1e-5; so are final weights and predictions.

    Weights are compared where Adam divides by next to nothing too, hence the absolute error.
    """
    np.testing.assert_allclose(several["logs"], one["logs"], rtol=1e-5, atol=1e-7)
    for name in one.files:
        if name.startswith("weight "):
            np.testing.assert_allclose(several[name], one[name], rtol=1e-3, atol=1e-4)
        elif one[name].ndim == 0:
            np.testing.assert_allclose(several[name], one[name], rtol=1e-5)
    np.testing.assert_allclose(several["predicted"], one["predicted"], atol=1e-3)
