"""Preset folders: a model's configuration, weights and facts, written and read."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_pose.layers import skip_initialization
from keras_pose.layers.composite import plain

CONFIG, WEIGHTS, METADATA, SKELETON = (
    "config.json",
    "model.weights.h5",
    "metadata.json",
    "skeleton.json",
)
# Settings that Keras adds to every config and that a preset leaves to whoever loads it.
_OMITTED = ("name", "trainable", "dtype")
# Attributes that a compiled model has besides its weights.
_OF_TRAINING = ("optimizer", "_optimizer", "_loss_tracker", "_compile_metrics", "_compile_loss")
# What stands in a Keras config for values instead of classes.
_VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__", "__bytes__")


def load_folder(folder: Path, weights: bool = True, **overrides) -> keras.Model:
    """Builds the model of a preset folder. Runs no code from the preset.

    Args:
        folder: of the preset.
        weights: whether to load its weights; else they are new.
        **overrides: constructor arguments that replace those of the preset.

    Raises:
        ValueError: if the preset names a class that is not this package's or Keras', or its
            weights are damaged.
    """
    config = _read_config(folder)
    config["config"].update(overrides)
    try:
        with skip_initialization() if weights else contextlib.nullcontext():
            model = keras.saving.deserialize_keras_object(config)
    except TypeError as error:
        # Keras wraps what went wrong in the whole config.
        reason = _first_sentence(error.__context__ or error)
        raise ValueError(f"{folder / CONFIG} describes no model: {reason}") from None
    if weights:
        load_weights(model, folder)
    return model


def read_facts(folder: Path) -> dict:
    """The facts that a preset folder states; none where it has no such file."""
    path = folder / METADATA
    return read_json(path) if path.is_file() else {}


def _read_config(folder: Path) -> dict:
    config = read_json(folder / CONFIG)
    if not isinstance(config.get("config"), dict) or "class_name" not in config:
        raise ValueError(f"{folder / CONFIG} is not the Keras config of a model")
    _check_classes(config, folder)
    return config


def read_json(path: Path) -> dict:
    """The object in a JSON file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
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
    expected = read_facts(folder).get("weights", {}).get("sha256")
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
        with _without_training(model):
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


@contextlib.contextmanager
def _without_training(model: keras.Model):
    """Hides what compiling adds to a model: an optimizer keeps twice the weights."""
    hidden = {name: vars(model).pop(name) for name in _OF_TRAINING if name in vars(model)}
    try:
        yield
    finally:
        vars(model).update(hidden)


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
