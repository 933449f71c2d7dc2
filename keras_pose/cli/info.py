"""`keras-pose info`: what runs here, and why."""

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from keras_pose.backend import backend_reason, devices, installed_backends
from keras_pose.cli import runtime
from keras_pose.paths import PRESETS, cache_folder

_PACKAGES = (
    *("keras-pose", "keras", "numpy", "opencv-python-headless", "opencv-python"),
    *("tensorflow", "tensorflow-cpu", "jax", "torch", "av"),
)


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "info",
        help="say which backend and device are used and why, and what is installed",
        description="Says which backend and device are used and why, which versions are installed "
        "and where presets and caches lie. Useful in bug reports.",
        allow_abbrev=False,
    )
    runtime.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the facts, a line each."""
    import keras

    from keras_pose.preset import built_in_names, zoo

    runtime.prepare(arguments)
    backend = keras.backend.backend()
    others = [name for name in installed_backends() if name != backend]
    lines = {
        "backend": f"{backend} ({backend_reason()})",
        "also installed": ", ".join(others) or "no other backend",
        "device": f"{', '.join(devices())} ({_device_reason(arguments)})",
        "python": f"{platform.python_version()} at {sys.executable}",
        "system": f"{platform.platform()}, {os.cpu_count()} CPU cores",
        "presets": f"{', '.join(built_in_names()) or 'none'} in {PRESETS}; "
        f"{len(zoo.names())} of MMPose's to download",
        "cache": str(cache_folder()),
        "versions": ", ".join(f"{name} {number}" for name, number in _versions().items()),
    }
    for name, value in lines.items():
        print(f"{name + ':':<16}{value}")
    return 0


def _device_reason(arguments: argparse.Namespace) -> str:
    if arguments.device:
        return "set by --device"
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", "KERAS_TORCH_DEVICE"):
        if name in os.environ:
            return f"{name}={os.environ[name]}"
    return "what the backend finds"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
