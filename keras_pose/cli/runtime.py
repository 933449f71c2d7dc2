"""The options `--backend` and `--device`, and what must be set up before a model runs."""

import argparse
import os

from keras_pose.backend import BACKENDS, DEVICES, devices
from keras_pose.paths import cache_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--backend` and `--device`; both act when the process starts, see `choose_backend`."""
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        help="the Keras backend; default: KERAS_BACKEND, else Keras' configuration file, else the "
        "first installed in this order",
    )
    group.add_argument(
        "--device", choices=DEVICES, help="cpu: leave GPUs alone; gpu: stop if there is none"
    )


def prepare(arguments: argparse.Namespace) -> None:
    """Checks that backend and device are as asked for, and keeps JAX's compiled programs.

    Raises:
        ValueError: the process runs on another backend, or has no GPU.
    """
    import keras

    backend = keras.backend.backend()
    if arguments.backend not in (None, backend):
        raise ValueError(
            f"Keras already runs on {backend} in this process: set KERAS_BACKEND="
            f"{arguments.backend} before it starts"
        )
    if arguments.device == "gpu" and all(name.startswith("cpu") for name in devices()):
        raise ValueError(
            f"--device gpu: {backend} sees no GPU here; it needs a driver and the GPU version of "
            f"{backend}"
        )
    if backend == "jax" and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        _keep_compiled()


def _keep_compiled() -> None:
    import jax

    folder = cache_folder() / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written is no reason to stop
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
