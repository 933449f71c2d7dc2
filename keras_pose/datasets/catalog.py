"""The data sets that are read by name: a row of JSON each, under `presets/datasets`."""

import difflib
import functools
import inspect
import json
import os
from collections.abc import Mapping
from typing import Any

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.readers import SEQUENCES, find_reader
from keras_pose.paths import PRESETS
from keras_pose.skeleton import Skeleton

FOLDER = PRESETS / "datasets"


def dataset_names() -> list[str]:
    """Names of the data sets that `load` reads."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def describe(name: str) -> dict[str, Any]:
    """What the catalog knows of a data set.

    Args:
        name: one of `dataset_names()`.

    Returns:
        A dict of `name`; `reader`, a name in `keras_pose.datasets.readers.READERS`; `settings`, its
        further arguments; `skeleton`, a name; `homepage`; `licence` of the data, "unknown" where
        its makers state none; `reference_class`, MMPose's; and `notes`, where the reading differs
        from MMPose 1.3.2 and what a user should know.

    Raises:
        ValueError: for an unknown name; the nearest ones are named.
    """
    if name not in dataset_names():
        near = difflib.get_close_matches(str(name), dataset_names(), n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "see `keras-pose datasets`"
        raise ValueError(
            f"unknown data set {name!r}; {hint} A file of your own in COCO form is read by "
            "KeypointDataset.from_coco"
        )
    return json.loads(_row(name))


@functools.cache
def _row(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def load(
    name: str,
    /,
    annotations: str | os.PathLike | Mapping[str, Any] | list,
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping | None = None,
    **settings: Any,
):
    """Reads a known data set.

    Args:
        name: one of `dataset_names()`.
        annotations: path of the annotation file, as the data set's makers or MMPose publish it,
            or its content.
        images: folder that the file's image names are relative to.
        skeleton: Skeleton, name, path or dict with the same keypoints. Default: the data set's.
        **settings: further arguments of its reader, such as `drop_unlabelled`, `sample_interval`
            or `name` (what messages call it); they replace those of the catalog.

    Returns:
        A `KeypointDataset`, or for a data set of sequences a `PoseSequences`.

    Raises:
        FileNotFoundError: for a missing file or folder.
        ValueError: for an unknown name or setting, and for a file that is not what it should be;
            the message says which entry.

    Example:
        >>> people = load("crowdpose", "crowdpose_trainval.json", "crowdpose/images")
        >>> test = load("coco", "person_keypoints_val2017.json", "val2017")
        >>> test = test.with_detections("COCO_val2017_detections_AP_H_56_person.json")
    """
    row = describe(name)
    arguments = {"skeleton": skeleton or row["skeleton"], **row["settings"], **settings}
    reader = find_reader(row["reader"])
    unknown = sorted(arguments.keys() - inspect.signature(reader).parameters.keys())
    if unknown:
        known = ", ".join(list(inspect.signature(reader).parameters)[2:])
        raise ValueError(f"data set {name!r} has no setting {unknown[0]!r}; it has {known}")
    arguments = reader(annotations, images, **arguments)
    if row["reader"] in SEQUENCES:
        from keras_pose.datasets.sequences import PoseSequences

        return PoseSequences(**arguments)
    return KeypointDataset(**arguments)
