"""MMPose's checkpoints as models and as presets in the cache."""

import contextlib
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras

from keras_pose.checkpoints.mmpose import current_names, translate_model
from keras_pose.checkpoints.mmpose.config_file import model_settings, read_config_file
from keras_pose.checkpoints.state_dict import read_state_dict
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import load_state_dict
from keras_pose.paths import cache_folder
from keras_pose.preset import zoo
from keras_pose.preset.download import fetch, wrong_hash
from keras_pose.preset.fingerprints import nearest
from keras_pose.preset.folders import CONFIG, METADATA, read_json, save_preset
from keras_pose.skeleton import Skeleton

_log = logging.getLogger("keras_pose")
# Raised whenever a converted preset of an older version of this package may differ.
_VERSION = 1


def build(
    model_config: Mapping,
    state_dict: Mapping | str | Path | None,
    skeleton="coco",
    codec=None,
    udp: bool = False,
    box_padding: float = 1.25,
    resize: Mapping | None = None,
    overrides: Mapping | None = None,
) -> keras.Model:
    """The estimator that an MMPose model config describes, with its weights.

    Args:
        model_config, skeleton, codec, udp, box_padding, resize: see `translate_model`; the skeleton
            may be the name of one.
        state_dict: see `read_state_dict`; None leaves the initial values.
        overrides: arguments of the estimator that replace those of the config.

    Raises:
        ValueError: the config has no counterpart, or the weights are those of another
            architecture: it lists what differs and names the published one that is nearest.
    """
    skeleton = Skeleton.resolve(skeleton).to_dict()
    config = translate_model(model_config, skeleton, codec, udp, box_padding, resize)
    config["config"].update(overrides or {})
    if state_dict is None:
        return keras.saving.deserialize_keras_object(config)
    arrays = current_names(read_state_dict(state_dict), model_config["head"])
    with skip_initialization():
        estimator = keras.saving.deserialize_keras_object(config)
    layout = [(name, array.shape) for name, array in arrays.items()]
    try:
        load_state_dict(estimator, arrays, consume=True)
    except ValueError as error:
        near = nearest(layout, zoo.fingerprints())
        said = f'the architecture of "{near}"' if near else "no published architecture"
        raise ValueError(f"{error}; the checkpoint looks like {said}") from None
    return estimator


def described(config: str | Path) -> tuple[dict, dict]:
    """Arguments of `build`, and facts, from a config.

    Args:
        config: an MMPose config as a `.py` file (read without executing it) or as its JSON, or
            the name of a published one.

    Raises:
        ValueError: there is no such config, or it cannot be read without executing it.
    """
    path = Path(config)
    row = None if path.is_file() else zoo.find(path.name.removesuffix(".py"))
    if row is not None:
        facts = row.metadata()
        for own in ("task", "input_size", "parameters", "metrics"):
            facts.pop(own, None)
        return row.settings(), facts
    if not path.is_file():
        raise ValueError(f"there is no config {config}, neither a file nor a published name")
    if path.suffix != ".json":
        return read_config_file(path), {}
    content = read_json(path)
    return model_settings(content, path), {}


def converted(row: zoo.ZooPreset) -> Path:
    """The preset folder of a row, downloaded and converted when it is asked for the first time.

    Raises:
        OSError: the checkpoint cannot be had, or the disk is full.
        ValueError: the checkpoint is not what it should be.
    """
    folder = preset_place(row)
    _log.warning(row.notice())
    if is_converted(row):
        return folder
    had = checkpoint_place(row).is_file()
    checkpoint = obtain(row)
    try:
        estimator = build(state_dict=checkpoint, **row.settings())
    except ValueError:
        if not row.hashes and checkpoint == checkpoint_place(row):
            checkpoint.unlink()
        raise
    with room_for(folder):
        write_whole(estimator, folder, {**row.metadata(), "conversion": _VERSION})
    if not had and checkpoint == checkpoint_place(row):
        checkpoint.unlink()
    return folder


def is_converted(row: zoo.ZooPreset) -> bool:
    """Whether the converted preset lies in the cache."""
    folder = preset_place(row)
    if not (folder / CONFIG).is_file() or not (folder / METADATA).is_file():
        return False
    return read_json(folder / METADATA).get("conversion") == _VERSION


def preset_place(row: zoo.ZooPreset) -> Path:
    """Where the converted preset lies in the cache."""
    return cache_folder() / "presets" / row.name


def checkpoint_place(row: zoo.ZooPreset) -> Path:
    """Where the published file lies in the cache, or may be put by hand."""
    return cache_folder() / "checkpoints" / row.file


def obtain(row: zoo.ZooPreset, place: Path | None = None) -> Path:
    """The published file of a row: from the cache, the mirror, or the network.

    Args:
        row: of the zoo.
        place: where it shall lie; default: in the cache. A mirror's folder is read in place.
    """
    mirror = os.environ.get("KERAS_POSE_MIRROR", "")
    target = place or checkpoint_place(row)
    addresses = list(row.addresses)
    if mirror.startswith(("http://", "https://", "hf://")):
        addresses.insert(0, f"{mirror.rstrip('/')}/{row.file}")
    elif mirror:
        own = Path(mirror).expanduser() / row.file
        if own.is_file() and own != target:
            wrong = wrong_hash(own, row.hashes)
            if wrong:
                raise ValueError(f"{own} is damaged or another file: {wrong}")
            if place is None:
                return own
            with room_for(place):
                shutil.copyfile(own, place)
            return place
    return fetch(addresses, target, row.hashes)


def write_whole(estimator: keras.Model, folder: Path, metadata: Mapping) -> None:
    """Writes a preset beside its place and moves it there, so that it is whole or not there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        draft = save_preset(estimator, Path(temporary) / "preset", dict(metadata))
        if folder.exists():
            shutil.rmtree(folder)
        # Another process may have been quicker; its preset is as good.
        with contextlib.suppress(FileExistsError):
            os.rename(draft, folder)


@contextlib.contextmanager
def room_for(folder: Path):
    """Says what to do about a full disk."""
    try:
        yield
    except OSError as error:
        # HDF5 wraps the system's error and says its number only in the text.
        if error.errno != errno.ENOSPC and f"errno = {errno.ENOSPC}" not in str(error):
            raise
        raise OSError(
            errno.ENOSPC,
            f"the disk is full: {folder.name} does not fit into {folder.parent}; make room, or "
            "set KERAS_POSE_CACHE to a folder on another disk",
        ) from None
