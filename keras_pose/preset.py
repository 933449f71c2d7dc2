"""Presets: folders with a model's configuration, weights and facts."""

import difflib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_pose.layers import skip_initialization
from keras_pose.layers.composite import plain
from keras_pose.paths import PRESETS

CONFIG, WEIGHTS, METADATA, SKELETON = (
    "config.json",
    "model.weights.h5",
    "metadata.json",
    "skeleton.json",
)
# Settings that Keras adds to every config and that a preset leaves to whoever loads it.
_OMITTED = ("name", "trainable", "dtype")
# What stands in a Keras config for values instead of classes.
_VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__", "__bytes__")


def preset_names() -> list[str]:
    """Names of the presets that are inside the package."""
    return sorted(folder.parent.name for folder in (PRESETS / "models").glob(f"*/{CONFIG}"))


def preset_folder(handle: str | Path) -> Path:
    """The folder of a preset.

    Args:
        handle: the name of a preset inside the package, a folder, `hf://user/name` or
            `kaggle://user/model/keras/variation` (downloaded by the hubs' own libraries).

    Raises:
        ValueError: for an unknown name; it suggests the nearest ones.
    """
    text = str(handle)
    if text.startswith("hf://"):
        return Path(_hub("huggingface_hub").snapshot_download(text.removeprefix("hf://")))
    if text.startswith("kaggle://"):
        return Path(_hub("kagglehub").model_download(text.removeprefix("kaggle://")))
    built_in = PRESETS / "models" / text
    for folder in (built_in, Path(text)):
        if (folder / CONFIG).is_file():
            return folder
    if Path(text).is_dir():
        raise ValueError(f'the folder "{text}" is no preset: it has no {CONFIG}')
    names = preset_names()
    near = difflib.get_close_matches(text, names, n=3, cutoff=0.4) or names
    raise ValueError(f'there is no preset "{text}"; did you mean {_or(near)}?')


def _or(names) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _hub(module: str):
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(f"this handle needs {module}: pip install keras-pose[hub]") from None


def read_metadata(handle: str | Path) -> dict:
    """The facts of a preset: task, input size, parameters, licence, metric with its protocol."""
    path = preset_folder(handle) / METADATA
    return _read_json(path) if path.is_file() else {}


def load_preset(handle: str | Path, **overrides) -> keras.Model:
    """Builds the model of a preset and loads its weights. Runs no code from the preset.

    Args:
        handle: see `preset_folder`.
        **overrides: constructor arguments that replace those of the preset.

    Raises:
        ValueError: if the preset is unknown, names a class that is not this package's or Keras',
            or its weights are damaged.
    """
    folder = preset_folder(handle)
    config = _read_config(folder)
    config["config"].update(overrides)
    try:
        with skip_initialization():
            model = keras.saving.deserialize_keras_object(config)
    except TypeError as error:
        # Keras wraps what went wrong in the whole config.
        reason = _first_sentence(error.__context__ or error)
        raise ValueError(f"{folder / CONFIG} describes no model: {reason}") from None
    load_weights(model, folder)
    return model


def _read_config(folder: Path) -> dict:
    config = _read_json(folder / CONFIG)
    if not isinstance(config.get("config"), dict) or "class_name" not in config:
        raise ValueError(f"{folder / CONFIG} is not the Keras config of a model")
    _check_classes(config, folder)
    return config


def _read_json(path: Path) -> dict:
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, not a {type(value).__name__}")
    return value


def _first_sentence(error: BaseException) -> str:
    return str(error).split("\n")[0].split(". ")[0].rstrip(".")


def _check_classes(value, folder: Path) -> None:
    """Refuses configs that name anything but registered classes of this package and Keras' own."""
    if isinstance(value, list):
        for item in value:
            _check_classes(item, folder)
    elif isinstance(value, dict):
        if "class_name" in value and value["class_name"] not in _VALUES:
            name, module = value["class_name"], value.get("module") or ""
            # Keras trusts the registered name alone; one that is not the class's own hides it.
            own_name = f"keras_pose>{name}"
            registered = value.get("registered_name") == own_name
            ours = registered and keras.saving.get_registered_object(own_name) is not None
            theirs = module.split(".")[0] == "keras" and not name.startswith("__")
            if not ours and not theirs:
                raise ValueError(
                    f"the preset {folder} names the class {name!r}, which is neither "
                    "keras_pose's nor Keras': it is not loaded"
                )
        for item in value.values():
            _check_classes(item, folder)


def load_weights(model: keras.Model, folder: Path) -> None:
    """Loads the weights of a preset folder, after checking them against the stored hash."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"the preset {folder} has no {WEIGHTS}")
    expected = read_metadata(folder).get("weights", {}).get("sha256")
    if expected and file_hash(path) != expected:
        raise ValueError(
            f"{path} is damaged or was changed: its SHA-256 is not the one in {METADATA}; "
            "download or install it again"
        )
    try:
        model.load_weights(path)
    except OSError as error:
        raise ValueError(f"{path} is not a complete weights file: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path} does not fit {CONFIG}: {_first_sentence(error)}") from None


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_preset(
    model: keras.Model, folder: str | Path, metadata: dict | None = None, dtype: str = "float32"
) -> Path:
    """Writes a model as a preset folder.

    Args:
        model: an estimator or detector.
        folder: where to; made if missing. Files appear only when all of them are written.
        metadata: facts to store: licence, origin, metric with its protocol, ...
        dtype: "float32" or "float16", of the weights on disk.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".preset-") as temporary:
        draft = Path(temporary)
        config = _compact(plain(keras.saving.serialize_keras_object(model)))
        (draft / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")
        model.save_weights(draft / WEIGHTS)
        if dtype != "float32":
            _store_as(draft / WEIGHTS, dtype)
        skeleton = getattr(model, "skeleton", None)
        if skeleton is not None:
            skeleton.save(draft / SKELETON)
        facts = {
            "task": model.task,
            "input_size": list(model.input_size),
            "parameters": int(model.count_params()),
            **(metadata or {}),
            "weights": {
                "sha256": file_hash(draft / WEIGHTS),
                "bytes": (draft / WEIGHTS).stat().st_size,
                "dtype": dtype,
            },
        }
        (draft / METADATA).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        for path in draft.iterdir():
            shutil.move(path, folder / path.name)
    return folder


def _compact(value):
    """A Keras config without what is not a setting of the model.

    Objects of Keras' own stay as they are: a model made of inputs and outputs joins its layers by
    their names.
    """
    if isinstance(value, list):
        return [_compact(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" in value and isinstance(value.get("config"), dict):
        if not (value.get("registered_name") or "").startswith("keras_pose>"):
            return value
        settings = {k: _compact(v) for k, v in value["config"].items() if k not in _OMITTED}
        kept = {k: value[k] for k in ("module", "class_name", "registered_name") if k in value}
        return {**kept, "config": settings}
    return {key: _compact(item) for key, item in value.items()}


def _store_as(path: Path, dtype: str) -> None:
    """Rewrites the arrays of a weights file in another dtype."""
    import h5py

    copy = path.with_suffix(".copy")
    with h5py.File(path) as source, h5py.File(copy, "w") as target:

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                value = np.asarray(item)
                floating = np.issubdtype(value.dtype, np.floating)
                with np.errstate(over="ignore"):
                    stored = value.astype(dtype) if floating else value
                if not np.array_equal(np.isfinite(stored), np.isfinite(value)):
                    raise ValueError(f"{name} holds numbers that {dtype} cannot: save as float32")
                target.create_dataset(name, data=stored)
            else:
                target.require_group(name)
            for key, attribute in item.attrs.items():
                target[name].attrs[key] = attribute

        for key, attribute in source.attrs.items():
            target.attrs[key] = attribute
        source.visititems(visit)
    copy.replace(path)


class PresetMixin:
    """`from_preset` and `save_to_preset` for models."""

    # What the model is for, as `keras-pose presets` shows it.
    task = ""

    @classmethod
    def from_preset(cls, handle: str | Path, **overrides):
        """A model by name, with its weights.

        Args:
            handle: a name that `keras-pose presets` lists, a folder, `hf://user/name` or
                `kaggle://user/model/keras/variation`.
            **overrides: constructor arguments that replace those of the preset, e.g.
                `box_padding=1.0`.

        Raises:
            ValueError: for an unknown name (the nearest are suggested), damaged weights, or a
                preset of another kind of model.
        """
        model = load_preset(handle, **overrides)
        if not isinstance(model, cls):
            raise ValueError(
                f'the preset "{handle}" is a {type(model).__name__}, not a {cls.__name__}'
            )
        return model

    def save_to_preset(
        self, folder: str | Path, metadata: dict | None = None, dtype: str = "float32"
    ) -> Path:
        """Writes configuration, weights, skeleton and facts to a folder for `from_preset`.

        Args:
            folder: path, made if missing.
            metadata: facts to store, e.g. licence, origin, metric with its protocol.
            dtype: "float32" or "float16", of the weights on disk.
        """
        return save_preset(self, folder, metadata, dtype)
