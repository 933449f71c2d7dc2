"""Writes a data set as shards of crops."""

import contextlib
import importlib.util
import io
import json
import os
import tempfile
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.shards.builder import NAME, SPLIT, builder, tensorflow_datasets
from keras_pose.datasets.shards.opening import INDEX, PreparedShards, join
from keras_pose.datasets.shards.records import FORMAT, columns_of, fingerprint, shards_of
from keras_pose.datasets.shards.settings import ShardSettings


def prepare_shards(
    dataset: KeypointDataset,
    folder: str | os.PathLike,
    settings: ShardSettings = ShardSettings(),  # noqa: B008 (frozen)
    *,
    objects_per_shard: int = 2048,
    max_broken: float = 0.01,
    overwrite: bool = False,
    threads: int = 4,
    beam_runner: Any = None,
    beam_options: Any = None,
) -> PreparedShards:
    """Writes the crops of a data set's objects with their labels to TFRecord shards.

    Shards are written under temporary names, the folder gets its name when all are complete, and
    its index comes last: whatever happens, nobody reads half a shard. The same data set and
    settings give the same bytes, with Apache Beam or without.

    Args:
        dataset: KeypointDataset with images.
        folder: path or URL that `tf.io.gfile` writes to, such as `gs://bucket/train`.
        settings: ShardSettings, what is stored of every object.
        objects_per_shard: int, objects in a shard, about. Default 2048: 60 MB.
        max_broken: float, largest share of objects whose images do not decode. They are left out
            and listed in `left_out`; more of them stop the run. Default 0.01.
        overwrite: bool, replace shards of other data or settings. Default off: an error.
        threads: int, images that are read at a time. Default 4.
        beam_runner: name or instance of an Apache Beam runner, such as "DirectRunner"; each shard
            is then written by one worker, which must reach images and folder. Default: no Beam.
        beam_options: `apache_beam.options.pipeline_options.PipelineOptions`.

    Returns:
        PreparedShards, opened. If they are there already, nothing is written.

    Raises:
        ValueError: for an empty data set, images of a wrong size, a folder that holds something
            else, too many images that do not decode.
        OSError: images are missing, or the disk is full; nothing is left of what was written.

    Example:
        >>> train = KeypointDataset.from_coco("train.json", "images")
        >>> prepare_shards(train, "shards/train", ShardSettings(input_sizes=((192, 256),)))
        PreparedShards('shards/train', 149813 objects in 73 shards, skeleton 'coco')
    """
    tensorflow_datasets()
    import tensorflow as tf

    if beam_runner is not None and importlib.util.find_spec("apache_beam") is None:
        raise ImportError("Apache Beam is missing: pip install keras-pose[scale]")
    folder = os.fspath(folder).rstrip("/")
    if not len(dataset):
        raise ValueError(f"{dataset.name} is empty: there is no object to prepare")
    for name, value in (("objects_per_shard", objects_per_shard), ("threads", threads)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    dataset.check_images()
    mark = fingerprint(dataset, settings, objects_per_shard)
    there = _what_is_there(folder, mark, overwrite)
    if there is not None:
        return there
    shards = shards_of(dataset, settings, objects_per_shard, 1 if beam_runner else threads)
    try:
        _write(builder(dataset, shards, folder), beam_runner, beam_options)
        written = _shard_table(folder)
        left_out = _left_out(dataset, folder, written, max_broken)
    except (OSError, tf.errors.OpError) as error:
        _remove(folder)
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        message = f"writing shards to {folder} failed, nothing is left of them: {reason}"
        raise OSError(message) from error
    except BaseException:
        _remove(folder)
        raise
    index = {
        "format": FORMAT,
        "name": dataset.name,
        "fingerprint": mark,
        "objects": sum(shard["objects"] for shard in written),
        "shards": written,
        "left_out": left_out,
        "settings": settings.to_dict(),
        "skeleton": dataset.skeleton.to_dict(),
        "columns": {name: [list(s), dtype] for name, (s, dtype) in columns_of(dataset).items()},
    }
    partial = join(folder, f".{INDEX}.partial")
    try:
        with tf.io.gfile.GFile(partial, "w") as file:
            file.write(json.dumps(index))
        tf.io.gfile.rename(partial, join(folder, INDEX), overwrite=True)
    except tf.errors.OpError as error:
        _remove(folder)
        raise OSError(f"writing the index of {folder} failed: {error.message}") from error
    return PreparedShards(folder)


def _what_is_there(folder: str, mark: str, overwrite: bool) -> PreparedShards | None:
    """The same shards, if they are there already; makes room for new ones otherwise."""
    import tensorflow as tf

    parent, name = os.path.split(folder)
    for leftover in tf.io.gfile.glob(join(parent or ".", f"incomplete.??????_{name}")):
        tf.io.gfile.rmtree(leftover)  # of a run that was killed
    if not tf.io.gfile.exists(folder):
        return None
    files = [file.rstrip("/") for file in tf.io.gfile.listdir(folder)]
    if INDEX in files:
        there = PreparedShards(folder, check=False)
        if there.fingerprint == mark and not there.damage():
            return there
        if not overwrite and not there.damage():
            raise ValueError(
                f"{folder} holds shards of other data or settings ({there.name}, {len(there)} "
                f"objects): give another folder, or overwrite them"
            )
    ours = {INDEX, f".{INDEX}.partial", "dataset_info.json", "features.json"}
    foreign = [file for file in files if file not in ours and not file.startswith(f"{NAME}-")]
    if foreign:
        raise ValueError(
            f"{folder} is not empty and holds files that are no shards, such as {foreign[0]}: "
            f"give another folder"
        )
    _remove(folder)
    return None


def _write(builder: Any, beam_runner: Any, beam_options: Any) -> None:
    tfds = tensorflow_datasets()
    if beam_runner is not None and beam_options is None:
        from apache_beam.options.pipeline_options import PipelineOptions

        beam_options = PipelineOptions([])  # else it takes the command line of this process
    config = tfds.download.DownloadConfig(
        try_download_gcs=False, beam_runner=beam_runner, beam_options=beam_options
    )
    with (
        contextlib.redirect_stdout(io.StringIO()),  # where it announces itself
        tempfile.TemporaryDirectory() as downloads,  # which there are none
    ):
        builder.download_and_prepare(download_dir=downloads, download_config=config)
    counts = builder.data_path / f"{NAME}-{SPLIT}.shard_infos.json"  # what Beam's workers reported
    counts.unlink(missing_ok=True)


def _shard_table(folder: str) -> list[dict[str, Any]]:
    """Name, number of objects and bytes of every shard that was written."""
    import tensorflow as tf

    split = tensorflow_datasets().builder_from_directory(folder).info.splits[SPLIT]
    return [
        {"file": name, "objects": objects, "bytes": tf.io.gfile.stat(join(folder, name)).length}
        for name, objects in zip(sorted(split.filenames), split.shard_lengths, strict=True)
    ]


def _left_out(
    dataset: KeypointDataset, folder: str, written: list[dict[str, Any]], max_broken: float
) -> list[str]:
    """The images that could not be decoded."""
    missing = len(dataset) - sum(shard["objects"] for shard in written)
    if not missing:
        return []
    kept = np.zeros(len(dataset), bool)
    for record in PreparedShards.records(folder, written, {"row": ((), "int64")}):
        kept[record["row"]] = True
    images = list(dict.fromkeys(dataset.image_paths[~kept]))
    if missing > max_broken * len(dataset):
        raise ValueError(
            f"{dataset.name}: {len(images)} images with {missing} of {len(dataset)} objects do "
            f"not decode, for example {images[0]}; more than {max_broken:.0%} of the objects"
        )
    return images


def _remove(folder: str) -> None:
    import tensorflow as tf

    if tf.io.gfile.exists(folder):
        tf.io.gfile.rmtree(folder)
