"""Readers of annotation files, one file a family of formats.

A reader is a function `read(annotations, images, skeleton, **settings)` that returns the arguments
of `KeypointDataset` as a dict; those of `SEQUENCES` return the arguments of `PoseSequences`.
"""

import importlib
from collections.abc import Callable

# name in presets/datasets/*.json -> module:function; a module is imported when it is needed
READERS = {
    "coco": "keras_pose.datasets.readers.coco:read_coco",
    "coco_parts": "keras_pose.datasets.readers.coco_parts:read_coco_parts",
    "h36m": "keras_pose.datasets.readers.mocap:read_h36m",
    "h3wb": "keras_pose.datasets.readers.mocap:read_h3wb",
    "interhand": "keras_pose.datasets.readers.interhand:read_interhand",
    "mpii": "keras_pose.datasets.readers.mpii:read_mpii",
    "posetrack_video": "keras_pose.datasets.readers.posetrack_video:read_posetrack_video",
    "ubody3d": "keras_pose.datasets.readers.ubody3d:read_ubody3d",
}

# The readers whose rows are windows of frames.
SEQUENCES = {"h36m", "h3wb", "ubody3d"}


def find_reader(name: str) -> Callable[..., dict]:
    """The function of a reader.

    Raises:
        ValueError: for a name that `READERS` does not have.
    """
    if name not in READERS:
        raise ValueError(f"there is no reader {name!r}; there are {', '.join(sorted(READERS))}")
    module, _, function = READERS[name].partition(":")
    return getattr(importlib.import_module(module), function)
