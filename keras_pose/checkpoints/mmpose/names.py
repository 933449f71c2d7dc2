"""Names in checkpoints of MMPose 0.x, as its own loading hooks rename them."""

import re
from collections.abc import Mapping

import numpy as np

_RENAMED = [(re.compile(r"^keypoint_head\."), "head.")]
_DROPPED = re.compile(r"^data_preprocessor\.(mean|std)$")


def current_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A checkpoint's arrays under the names that MMPose 1.x uses."""
    arrays = {}
    for key, value in state.items():
        if _DROPPED.search(key):
            continue
        for pattern, replacement in _RENAMED:
            key = pattern.sub(replacement, key)
        arrays[key] = value
    return arrays
