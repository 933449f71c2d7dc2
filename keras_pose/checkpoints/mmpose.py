"""MMPose's model configs as configs of this package's classes. Imports no model.

A row of `_TYPES` says what an MMPose type is called here, how its settings are called, and which of
them have no meaning here. A setting that no row knows is an error, so that no network is built that
differs from the one which was trained.
"""

import re
from collections.abc import Mapping

import numpy as np

# Settings that only concern training or initialisation in MMPose.
_TRAINING = {"init_cfg", "norm_cfg", "norm_eval", "frozen_stages", "with_cp", "pretrained", "type"}


# type -> (our class, {their setting: ours}, {setting that means nothing here: allowed values}).
# None allows any value.
_TYPES = {
    "ResNet": (
        "ResNet",
        {"depth": "depth", "out_indices": "out_indices", "base_channels": "base_channels"},
        {
            "style": ("pytorch",),
            "deep_stem": (False,),
            "avg_down": (False,),
            "num_stages": (4,),
            "strides": ((1, 2, 2, 2),),
            "dilations": ((1, 1, 1, 1),),
            "stem_channels": (64,),
            "in_channels": (3,),
            "zero_init_residual": None,
        },
    ),
    "MobileNetV2": (
        "MobileNetV2",
        {"widen_factor": "widen_factor", "out_indices": "out_indices"},
        {"act_cfg": ({"type": "ReLU6"},), "conv_cfg": (None,)},
    ),
    "HeatmapHead": (
        "HeatmapHead",
        {
            "out_channels": "num_keypoints",
            "deconv_out_channels": "deconv_filters",
            "deconv_kernel_sizes": "deconv_kernels",
            "decoder": "codec",
            "loss": "loss_module",
        },
        {
            "in_channels": None,
            "conv_out_channels": (None, [], ()),
            "conv_kernel_sizes": (None, [], ()),
            "final_layer": ({"kernel_size": 1},),
        },
    ),
    "MSRAHeatmap": (
        "MSRAHeatmap",
        {
            "input_size": "input_size",
            "heatmap_size": "heatmap_size",
            "sigma": "sigma",
            "shift_heatmap": "shift_flipped",
        },
        {"unbiased": (False,), "blur_kernel_size": None},
    ),
    "KeypointMSELoss": (
        "KeypointMSELoss",
        {"loss_weight": "loss_weight"},
        # Weights apply whenever they are given, also in the reference.
        {"use_target_weight": None, "skip_empty_channel": (False,)},
    ),
}
# Values that are lists where MMPose allows a tuple, or None for an empty list.
_EMPTY_IF_NONE = {"deconv_filters", "deconv_kernels"}


def translate_model(config: Mapping, skeleton) -> dict:
    """The Keras config of the estimator that an MMPose model config describes.

    Args:
        config: resolved `model` settings of an MMPose 1.x config (plain dicts).
        skeleton: name, or config of a `Skeleton`.

    Returns:
        A dict for `keras.saving.deserialize_keras_object`.

    Raises:
        ValueError: if the model uses a type or a setting that has no counterpart yet; it names it.
    """
    if config.get("type") != "TopdownPoseEstimator":
        raise ValueError(
            f"only TopdownPoseEstimator models can be translated, got {config.get('type')!r}"
        )
    head = dict(config["head"])
    codec = dict(head.get("decoder") or {})
    test = config.get("test_cfg") or {}
    if codec.get("type") == "MSRAHeatmap":
        codec["shift_heatmap"] = bool(test.get("shift_heatmap", False))
        head["decoder"] = codec
    neck = config.get("neck")
    return _keras_config(
        "TopdownEstimator",
        {
            "preprocess": _preprocess(config.get("data_preprocessor") or {}),
            "backbone": _translate(config["backbone"]),
            "neck": _translate(neck) if neck else None,
            "head": _translate(head),
            "skeleton": skeleton,
            "input_size": list(codec["input_size"]),
        },
    )


def _keras_config(name: str, settings: dict) -> dict:
    return {
        "module": None,
        "class_name": name,
        "registered_name": f"keras_pose>{name}",
        "config": settings,
    }


def _preprocess(config: Mapping) -> dict:
    mean, std = config.get("mean") or [0.0] * 3, config.get("std") or [1.0] * 3
    swapped = config.get("bgr_to_rgb", False)
    channels = "rgb" if swapped else "bgr"
    settings = {"mean": list(mean), "std": list(std), "channels": channels}
    return _keras_config("PixelNormalization", settings)


def _translate(config: Mapping) -> dict:
    kind = config.get("type")
    if kind not in _TYPES:
        raise ValueError(
            f"MMPose's {kind} has no counterpart yet; known are {', '.join(sorted(_TYPES))}"
        )
    name, renamed, ignored = _TYPES[kind]
    settings = {}
    for key, value in config.items():
        if key in renamed:
            ours = renamed[key]
            if isinstance(value, Mapping) and "type" in value:
                value = _translate(value)
            elif value is None and ours in _EMPTY_IF_NONE:
                value = []
            settings[ours] = list(value) if isinstance(value, tuple) else value
        elif key in ignored:
            allowed = ignored[key]
            if allowed is not None and _plain(value) not in [_plain(a) for a in allowed]:
                raise ValueError(f"{kind} with {key}={value!r} has no counterpart yet")
        elif key not in _TRAINING:
            raise ValueError(f"{kind} has a setting {key!r} that is not known here")
    return _keras_config(name, settings)


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


# Names in checkpoints of MMPose 0.x, as its own loading hooks rename them.
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
