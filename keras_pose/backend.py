"""Which Keras backend runs, settled before Keras is imported, and why it is that one.

Keras itself takes TensorFlow where nothing else is said, and fails with a long traceback where
TensorFlow is missing. Here a set `KERAS_BACKEND` always wins, then the user's Keras configuration
file, then the first installed of TensorFlow (Keras' own default), JAX and PyTorch; so an
installation with one backend needs no setting at all.
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
DEVICES = ("cpu", "gpu")

_CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
# The command reports damaged files and missing devices in its own words.
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}
_reason = "Keras was imported before keras_pose"


def choose_backend() -> None:
    """Sets `KERAS_BACKEND` where nobody has chosen an installed backend; call before Keras.

    Nothing happens when Keras is loaded already. In a `keras-pose` process the options
    `--backend` and `--device` are read here, because they must act before Keras is imported.

    Raises:
        ImportError: the chosen backend, or any backend, is not installed.
    """
    if "keras" in sys.modules:
        return
    options = _command_options()
    if options is not None:
        for name, level in _QUIET.items():
            os.environ.setdefault(name, level)
        if options.device == "cpu":
            os.environ.update(_CPU_ONLY)
    try:
        chosen = _choose(options.backend if options else None)
    except ImportError as error:
        if options is None:
            raise
        print(f"keras-pose: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if options is not None and chosen == "tensorflow":
        _import_quietly("tensorflow")


def load_triton_first() -> None:
    """Under PyTorch, imports Triton before anything imports TensorFlow, where it is installed.

    After TensorFlow (2.21) Triton (3.9, part of PyTorch for GPUs) aborts the process; the other way
    round they get on. PyTorch's compiler imports it where nobody expects it, so that training from
    a tf.data input would end there.
    """
    import keras

    if keras.backend.backend() != "torch" or "tensorflow" in sys.modules:
        return
    if importlib.util.find_spec("triton") is not None:
        with contextlib.suppress(ImportError):  # PyTorch does without it, too
            importlib.import_module("triton")


def backend_reason() -> str:
    """Why the present backend is the one in use, as part of a sentence."""
    return _reason


def installed_backends() -> list[str]:
    """The installed ones of `BACKENDS`, in their order; none of them is imported."""
    return [name for name in BACKENDS if _installed(name)]


def devices() -> list[str]:
    """The devices that the backend in use sees, such as `["cpu:0"]` or `["cuda:0"]`."""
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow

        found = tensorflow.config.get_visible_devices()
        return [":".join(device.name.split(":")[-2:]).lower() for device in found]
    if name == "jax":
        import jax

        return [f"{device.platform}:{device.id}" for device in jax.devices()]
    if name == "torch":
        kind = keras.ops.zeros(1).device.type
        if kind != "cuda":
            return [f"{kind}:0"]
        import torch

        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu:0"]


def _choose(option: str | None) -> str:
    global _reason
    named = os.environ.get("KERAS_BACKEND")
    chosen, reason = (option, "--backend") if option else (named, "KERAS_BACKEND")
    if chosen:
        if chosen in BACKENDS and not _installed(chosen):
            raise ImportError(
                f"the Keras backend {chosen!r}, asked for by {reason}, is not installed: "
                f"pip install 'keras-pose[{chosen}]'"
            )
        os.environ["KERAS_BACKEND"] = chosen
        _reason = f"set by {reason}"
        return chosen
    installed = installed_backends()
    if not installed:
        raise ImportError(
            "Keras needs a backend and none is installed: pip install 'keras-pose[jax]' "
            "(the lightest), pip install 'keras-pose[torch]' or "
            "pip install 'keras-pose[tensorflow]'"
        )
    file, configured = _configured()
    if configured in installed or (configured and configured not in BACKENDS):
        _reason = f"set in {file}"
        return configured
    os.environ["KERAS_BACKEND"] = chosen = installed[0]
    _reason = f"the first installed of {', '.join(BACKENDS)}"
    return chosen


def _installed(name: str) -> bool:
    # An uninstalled package can leave an empty folder, which looks like a namespace package.
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _import_quietly(name: str) -> None:
    """Imports a module whose libraries chat on stderr whatever their log level is."""
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        importlib.import_module(name)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _configured() -> tuple[Path, str | None]:
    home = os.environ.get("KERAS_HOME")
    file = (Path(home) if home else Path.home() / ".keras") / "keras.json"
    try:
        return file, json.loads(file.read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return file, None


def _command_options() -> argparse.Namespace | None:
    """`--backend` and `--device` of a `keras-pose` process; None in any other process."""
    words = sys.orig_argv
    run_as_module = any(words[i : i + 2] == ["-m", "keras_pose.cli"] for i in range(len(words)))
    if not run_as_module and Path(sys.argv[0] if sys.argv else "").stem != "keras-pose":
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--backend", choices=BACKENDS)
    parser.add_argument("--device", choices=DEVICES)
    arguments = words[words.index("-m") + 2 :] if run_as_module else sys.argv[1:]
    try:
        return parser.parse_known_args(arguments)[0]
    except argparse.ArgumentError:  # the command's own parser says what is wrong
        return argparse.Namespace(backend=None, device=None)
