"""Names in checkpoints of MMPose 0.x, as MMPose 1.x renames them while it loads them."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from keras_pose.checkpoints.mmpose import bottomup_heatmap, dekr
from keras_pose.checkpoints.state_dict import StateDict

# What a whole network wrapped for training on several devices puts before every name.
_WRAPPER = "module."
# The normalisation of images and the sigmas of keypoints, which are settings here, and what follows
# from RTMO's settings: the bins and the wave lengths of their encoding.
_DROPPED = re.compile(
    r"^(data_preprocessor\.(mean|std)|head\.loss_\w+\.sigmas|head\.dcc\.(\w_bins|spe\.dim_t)"
    r"|neck\.sincos_pos_enc\.dim_t)$"
)
# From this version on, a module's names are those of MMPose 1.x.
_CURRENT = 2


def current_names(
    state: Mapping[str, np.ndarray], head: Mapping | None = None
) -> dict[str, np.ndarray]:
    """A checkpoint's arrays under the names that MMPose 1.x uses.

    Args:
        state: arrays by name; a `StateDict` knows the version of each module's names.
        head: MMPose's settings of the head, which decide how some names are read.

    Returns:
        The same arrays, those that are no weights left out; where the order of channels or a sign
        changed as well, new ones.
    """
    versions = state.versions if isinstance(state, StateDict) else {}
    if state and all(name.startswith(_WRAPPER) for name in state):
        state = {name.removeprefix(_WRAPPER): value for name, value in state.items()}
        # The wrapper's own version stands first, under the empty name.
        versions = {f"{name}.".removeprefix(_WRAPPER)[:-1]: n for name, n in versions.items()}
    names = {name: name for name in state if not _DROPPED.search(name)}
    if versions.get("", 0) < _CURRENT:
        names = {old: name.replace("keypoint_head", "head") for old, name in names.items()}
    if versions.get("head", 0) < _CURRENT:
        names = _of_old_heads(names)
    if _has_heatmap_stem(head or {}):
        names = {old: _STEM.sub(_in_stem, name) for old, name in names.items()}
    arrays = {name: state[old] for old, name in names.items()}
    kind = str((head or {}).get("type")).rpartition(".")[2]
    return _CHANGED[kind](arrays) if kind in _CHANGED else arrays


# Heads whose arrays changed as well.
_CHANGED = {
    "CIDHead": bottomup_heatmap.current_cid_arrays,
    "DEKRHead": dekr.current_arrays,
}


def _of_old_heads(names: Mapping[str, str]) -> dict[str, str]:
    """Names of a head before version 2.

    The convolutions between the last deconvolution and the heatmaps had one list with the one that
    makes the heatmaps, which is its last entry.
    """
    last = _last_convolution(names.values())

    def renamed(name):
        if match := _CONVOLUTION.match(name):
            index, rest = int(match.group(1)), match.group(2)
            layer = "final_layer" if index == last else f"conv_layers.{index}"
            return f"head.{layer}.{rest}"
        return _LOSS.sub("head.loss_module.", name)

    return {old: renamed(name) for old, name in names.items()}


_CONVOLUTION = re.compile(r"^head\.final_layer\.(\d+)\.(\w+)$")
_LOSS = re.compile(r"^head\.loss\.")


def _last_convolution(names: Iterable[str]) -> int:
    found = [_CONVOLUTION.match(name) for name in names]
    return max((int(match.group(1)) for match in found if match), default=-1)


# Heads that integrate heatmaps contain the head that makes them, unless a single layer does.
_STEM = re.compile(r"^head\.(?:(?:de)?conv_layers(?=\.)|(?=final_layer\.))")
_STEMS = ("DSNTHead", "IntegralRegressionHead")


def _in_stem(match: re.Match) -> str:
    layers = "" if match.group() == "head." else "deconv_layers"
    return f"head.simplebaseline_head.{layers}"


def _has_heatmap_stem(head: Mapping) -> bool:
    kind = str(head.get("type")).rpartition(".")[2]
    return kind in _STEMS and bool(head.get("deconv_out_channels", True))
