"""MMPose's model configs as configs of this package's classes."""

import difflib
from collections.abc import Mapping

from keras_pose.checkpoints.mmpose import backbones, codecs, heads, lifting, losses, necks
from keras_pose.checkpoints.mmpose.types import Type

TYPES: dict[str, Type] = {
    **backbones.TYPES,
    **necks.TYPES,
    **heads.TYPES,
    **codecs.TYPES,
    **losses.TYPES,
}
# Settings that only concern training or initialisation in MMPose, or how its registries look up.
_MEANINGLESS = {
    "type",
    "_scope_",
    "init_cfg",
    "norm_cfg",
    "norm_eval",
    "frozen_stages",
    "with_cp",
    "pretrained",
}


def translate_model(
    config: Mapping,
    skeleton,
    codec=None,
    udp: bool = False,
    box_padding: float = 1.25,
    resize: Mapping | None = None,
) -> dict:
    """The Keras config of the estimator that an MMPose model config describes.

    Args:
        config: resolved `model` settings of an MMPose 1.x config (plain dicts).
        skeleton: config of a `Skeleton`, for the keypoints that the head predicts.
        codec: settings of the codec that makes the targets of training where they are not those
            of the head's decoder: a list for heads that learn several levels of targets.
        udp: whether crops are made by the unbiased warp.
        box_padding: how much larger than its box a crop is.
        resize: of bottom-up models, how photos become inputs: `input_size`, `resize_mode`,
            `size_factor` and `fill` of `BottomupEstimator`, as far as they are not those that all
            models with this head share.

    Returns:
        A dict for `keras.saving.deserialize_keras_object`.

    Raises:
        ValueError: if the model uses a type or a setting that has no counterpart; it names it.
    """
    if config.get("type") == "PoseLifter":
        return _lifter(config, skeleton, codec)
    if config.get("type") == "BottomupPoseEstimator":
        return _bottomup(config, skeleton, udp, resize or {})
    if config.get("type") not in ("TopdownPoseEstimator", "TopdownPoseEstimator3D"):
        raise ValueError(
            "only models of the types TopdownPoseEstimator, BottomupPoseEstimator and PoseLifter "
            f"can be translated, got {config.get('type')!r}"
        )
    test = config.get("test_cfg") or {}
    translation = _Translation({**test, "plain_warp": not udp})
    head = dict(config["head"])
    if isinstance(codec, list | tuple):
        head["decoder"] = {"type": "MultilevelHeatmap", "codecs": list(codec)}
    neck = config.get("neck")
    return keras_config(
        "TopdownEstimator",
        {
            "preprocess": _preprocess(config.get("data_preprocessor") or {}),
            "backbone": translation(config["backbone"], "backbone"),
            "neck": translation(neck, "neck") if neck else None,
            "head": translation(head, "head"),
            "skeleton": skeleton,
            "output_keypoints": test.get("output_keypoint_indices"),
            "input_size": _input_size(_decoder(head)),
            "box_padding": box_padding,
            "udp": udp,
        },
    )


def _bottomup(config: Mapping, skeleton, udp: bool, resize: Mapping) -> dict:
    """`translate_model` of a model that finds everybody in a photo."""
    translation = _Translation(config.get("test_cfg") or {})
    neck, head = config.get("neck"), config["head"]
    # One-stage models were trained without a codec, on grey borders.
    codec = head.get("decoder")
    one_stage = {"input_size": [640, 640], "resize_mode": "fit", "fill": 114}
    shared = {"input_size": codec["input_size"], "resize_mode": "expand"} if codec else one_stage
    settings = {**shared, **resize}
    if "assigner" in head:
        head = {**head, "sigmas": skeleton["sigmas"]}
    if "rescore_cfg" in head:
        head = {**head, "skeleton": skeleton}
    return keras_config(
        "BottomupEstimator",
        {
            "preprocess": _preprocess(config.get("data_preprocessor") or {}),
            "backbone": translation(config["backbone"], "backbone"),
            "neck": translation(neck, "neck") if neck else None,
            "head": translation(head, "head"),
            "skeleton": skeleton,
            "udp": udp,
            **settings,
            "input_size": list(settings["input_size"]),
        },
    )


def _lifter(config: Mapping, skeleton, codec=None) -> dict:
    """`translate_model` of a model that lifts 2D poses to 3D."""
    translation = _Translation(config.get("test_cfg") or {})
    head = dict(config["head"])
    if codec is not None:
        # The targets of training; predictions are decoded as the head's codec says.
        head["decoder"] = {**head["decoder"], "mode": codec.get("mode", "test")}
    parts = {"backbone": config["backbone"], "head": head}
    parts |= {name: config[name] for name in ("traj_backbone", "traj_head") if config.get(name)}
    return keras_config(
        "PoseLifter",
        {
            **{name: translation(part, name) for name, part in parts.items()},
            "preprocess": keras_config(
                "KeypointNormalization", lifting.normalization(head["decoder"])
            ),
            "skeleton": skeleton,
            "input_size": list(lifting.IMAGE_SIZE),
        },
    )


def translate_part(config: Mapping, place: str = "model", test: Mapping | None = None) -> dict:
    """The Keras config of one part of an MMPose model: a backbone, neck, head, codec or loss.

    Args:
        config: the part's settings.
        place: what to call it in error messages.
        test: the model's `test_cfg`, which some parts read.
    """
    return _Translation(test or {})(config, place)


def keras_config(name: str, settings: dict) -> dict:
    """Keras' serialised form of one of our classes."""
    return {
        "module": None,
        "class_name": name,
        "registered_name": f"keras_pose>{name}",
        "config": settings,
    }


def _decoder(head: Mapping) -> Mapping:
    """The settings of a head's codec; heads around another head have that one's."""
    decoder = head.get("decoder") or head["pose_cfg"]["decoder"]
    return decoder["codecs"][-1] if "codecs" in decoder else decoder


def _input_size(codec: Mapping) -> list[int]:
    """(width, height), of which some codecs add a depth."""
    return list(codec.get("input_size") or codec["image_size"])[:2]


def _preprocess(config: Mapping) -> dict:
    mean, std = config.get("mean") or [0.0] * 3, config.get("std") or [1.0] * 3
    channels = "rgb" if config.get("bgr_to_rgb", False) else "bgr"
    settings = {"mean": list(mean), "std": list(std), "channels": channels}
    return keras_config("PixelNormalization", settings)


class _Translation:
    """Translates the parts of one model, whose `test_cfg` some of them read."""

    def __init__(self, test: Mapping):
        self._test = test

    def __call__(self, config: Mapping, place: str) -> dict:
        kind = str(config.get("type")).rpartition(".")[2]
        if kind not in TYPES:
            near = difflib.get_close_matches(kind, TYPES, n=3, cutoff=0.5)
            hint = f"; the nearest are {', '.join(near)}" if near else ""
            raise ValueError(
                f"{place}: MMPose's {config.get('type')} has no counterpart here{hint}"
            )
        row = TYPES[kind]
        config = row.prepare(dict(config)) if row.prepare else config
        settings = dict(row.fixed)
        for key, value in config.items():
            if key in row.settings:
                settings[row.settings[key]] = self._value(value, f"{place}.{key}")
            elif key in row.ignored:
                allowed = row.ignored[key]
                if allowed is not None and _plain(value) not in [_plain(a) for a in allowed]:
                    raise ValueError(
                        f"{place}: {kind} with {key}={value!r} has no counterpart here"
                    )
            elif key not in _MEANINGLESS:
                raise ValueError(f"{place}: {kind} has a setting {key!r} that is not known here")
        for key, (ours, silent) in row.test.items():
            value = self._test.get(key)
            settings[ours] = silent if value is None else value
        return keras_config(row.name, settings)

    def _value(self, value, place):
        if isinstance(value, Mapping) and "type" in value:
            return self(value, place)
        if isinstance(value, list | tuple):
            return [self._value(item, f"{place}[{i}]") for i, item in enumerate(value)]
        return value


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
