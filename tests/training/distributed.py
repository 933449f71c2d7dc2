"""Calls functions where there are two devices, and compares what they left with one device."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

_FOLDER = Path(__file__).resolve().parent


def imported(module: str):
    """A module of this folder, which processes that are spawned from here will find, too."""
    if str(_FOLDER) not in sys.path:
        sys.path.append(str(_FOLDER))
    return importlib.import_module(module)


def on_two_devices(module: str, function: str, *arguments) -> None:
    """Calls a function of a module of this folder where the backend has two devices.

    Args:
        arguments: plain data.
    """
    if keras.backend.backend() == "torch":
        from keras_pose.training.distribution import launch

        launch(getattr(imported(module), function), 2, *arguments)
        return
    done = subprocess.run(
        [sys.executable, __file__, json.dumps([module, function, *arguments])],
        env={
            **os.environ,
            "KERAS_BACKEND": keras.backend.backend(),
            "PYTHONPATH": str(_FOLDER.parents[1]),
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def trained(folder: Path, *scenarios: str) -> dict[str, list]:
    """What scenarios of `shared_training` left: of one device, then of every process of two."""
    imported("shared_training").train(str(folder), 1, *scenarios)
    on_two_devices("shared_training", "train", str(folder), 2, *scenarios)
    return {
        name: [np.load(path) for path in sorted(folder.glob(f"{name}*.npz"))] for name in scenarios
    }


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


def _split_cpu() -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)


if __name__ == "__main__":
    module, function, *arguments = json.loads(sys.argv[1])
    if keras.backend.backend() == "tensorflow":
        _split_cpu()
    getattr(imported(module), function)(*arguments)
