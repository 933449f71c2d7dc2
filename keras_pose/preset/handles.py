"""Presets by name: those in the package, folders, MMPose's zoo and the hubs."""

import difflib
import importlib
from pathlib import Path

import keras

from keras_pose.paths import PRESETS
from keras_pose.preset import conversion, zoo
from keras_pose.preset.folders import CONFIG, WEIGHTS, load_folder, read_facts, save_preset
from keras_pose.preset.huggingface import from_huggingface, is_huggingface


def preset_names() -> list[str]:
    """Names of all presets: those inside the package, then MMPose's zoo."""
    return [*built_in_names(), *zoo.names()]


def built_in_names() -> list[str]:
    """Names of the presets whose weights are inside the package."""
    return sorted(folder.parent.name for folder in (PRESETS / "models").glob(f"*/{CONFIG}"))


def preset_folder(handle: str | Path) -> Path:
    """The folder of a preset; what is not here yet is downloaded.

    Args:
        handle: the name of a preset, a folder, an MMPose config name or alias, `hf://user/name`
            or `kaggle://user/model/keras/variation` (downloaded by the hubs' own libraries).

    Raises:
        OSError: a checkpoint of the zoo cannot be downloaded; it says where to put it by hand.
        ValueError: for an unknown name; it suggests the nearest ones.
    """
    text = str(handle)
    if text.startswith("hf://"):
        return Path(_hub("huggingface_hub").snapshot_download(text.removeprefix("hf://")))
    if text.startswith("kaggle://"):
        return Path(_hub("kagglehub").model_download(text.removeprefix("kaggle://")))
    return _local_folder(text) or conversion.converted(_zoo_row(text))


def _local_folder(text: str) -> Path | None:
    """The folder of a preset inside the package or on this disk."""
    for folder in (PRESETS / "models" / text, Path(text)):
        if (folder / CONFIG).is_file():
            return folder
    return None


def _zoo_row(text: str) -> zoo.ZooPreset:
    row = zoo.find(text)
    if row is not None:
        return row
    if Path(text).is_dir():
        raise ValueError(f'the folder "{text}" is no preset: it has no {CONFIG}')
    if reason := zoo.missing(text):
        raise ValueError(f'MMPose\'s "{text}" cannot be loaded: {reason}')
    names = [*built_in_names(), *zoo.known_names()]
    near = difflib.get_close_matches(text.lower(), names, n=3, cutoff=0.4) or built_in_names()
    raise ValueError(f'there is no preset "{text}"; did you mean {_or(near)}?')


def _or(names) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _hub(module: str):
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(f"this handle needs {module}: pip install keras-pose[hub]") from None


def read_metadata(handle: str | Path) -> dict:
    """The facts of a preset: task, input size, parameters, licence, metric with its protocol.

    Those of MMPose's zoo need no download.
    """
    text = str(handle)
    if "://" not in text and not _local_folder(text):
        row = _zoo_row(text)
        return row.metadata() | (
            read_facts(conversion.preset_place(row)) if conversion.is_converted(row) else {}
        )
    return read_facts(preset_folder(handle))


def is_local(handle: str | Path) -> bool:
    """Whether the weights of a preset are on this disk."""
    folder = _local_folder(str(handle))
    if folder is not None:
        return (folder / WEIGHTS).is_file()
    row = zoo.find(str(handle))
    return row is not None and conversion.is_converted(row)


def load_preset(handle: str | Path, load_weights: bool = True, **overrides) -> keras.Model:
    """Builds the model of a preset and loads its weights. Runs no code from the preset.

    Args:
        handle: see `preset_folder`.
        load_weights: False: the weights are new, and nothing of MMPose's zoo is downloaded.
        **overrides: constructor arguments that replace those of the preset.

    Raises:
        OSError: a checkpoint of the zoo cannot be downloaded.
        ValueError: if the preset is unknown, names a class that is not this package's or Keras',
            or its weights are damaged.
    """
    text = str(handle)
    if not load_weights and "://" not in text and not _local_folder(text):
        row = _zoo_row(text)
        return conversion.build(state_dict=None, overrides=overrides, **row.settings())
    folder = preset_folder(handle)
    if is_huggingface(folder):
        return from_huggingface(folder, load_weights=load_weights, **overrides)
    return load_folder(folder, load_weights, **overrides)


class PresetMixin:
    """`from_preset` and `save_to_preset` for models."""

    # What the model is for, as `keras-pose presets` shows it.
    task = ""

    @classmethod
    def from_preset(cls, handle: str | Path, load_weights: bool = True, **overrides):
        """A model by name, with its weights.

        Args:
            handle: a name that `keras-pose presets` lists, an MMPose config name or alias, a
                folder, `hf://user/name` or `kaggle://user/model/keras/variation`. Folders and
                repositories of transformers' ViTPose models are read too.
            load_weights: False: the weights are new; works without a network.
            **overrides: constructor arguments that replace those of the preset, e.g.
                `box_padding=1.0`.

        Raises:
            OSError: the weights cannot be downloaded; it says where to put them by hand.
            ValueError: for an unknown name (the nearest are suggested), damaged weights, or a
                preset of another kind of model.
        """
        model = load_preset(handle, load_weights, **overrides)
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
