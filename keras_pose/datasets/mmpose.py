"""The random part of MMPose's train pipelines, from configs as data."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from keras_pose.datasets.transforms.augment import (
    RandomFlip,
    RandomHalfBody,
    RandomJitter,
    TopdownAugment,
)
from keras_pose.datasets.transforms.pixels_blur import (
    Blur,
    GaussianBlur,
    GaussianNoise,
    MedianBlur,
)
from keras_pose.datasets.transforms.pixels_color import (
    HueSaturationValue,
    PhotometricDistortion,
    RandomBrightnessContrast,
    RandomHSV,
)
from keras_pose.datasets.transforms.pixels_dropout import CoarseDropout, GridDropout
from keras_pose.datasets.transforms.schedule import AugmentSchedule

# Steps whose settings belong to the estimator (crop, codec) or to the data set (keypoints).
NOT_RANDOM = {
    "GenerateTarget",
    "GetBBoxCenterScale",
    "KeypointConverter",
    "LoadImage",
    "PackPoseInputs",
    "TopdownAffine",
}
_HSV = (
    "pixels",
    RandomHSV,
    {"hue_delta": "hue", "saturation_delta": "saturation", "value_delta": "value"},
)
# Type -> field of TopdownAugment, class, its settings by their names in the config.
STEPS: dict[str, tuple[str, type, dict[str, str]]] = {
    "RandomFlip": ("flip", RandomFlip, {"prob": "prob", "direction": "direction"}),
    "RandomHalfBody": (
        "half_body",
        RandomHalfBody,
        {
            "prob": "prob",
            "upper_prioritized_prob": "upper_prob",
            "min_total_keypoints": "min_total",
            "min_upper_keypoints": "min_upper",
            "min_lower_keypoints": "min_lower",
            "padding": "padding",
        },
    ),
    "RandomBBoxTransform": (
        "jitter",
        RandomJitter,
        {
            name: name
            for name in (
                "shift_factor",
                "shift_prob",
                "scale_factor",
                "scale_prob",
                "rotate_factor",
                "rotate_prob",
            )
        },
    ),
    "PhotometricDistortion": (
        "pixels",
        PhotometricDistortion,
        {
            "brightness_delta": "brightness",
            "contrast_range": "contrast",
            "saturation_range": "saturation",
            "hue_delta": "hue",
        },
    ),
    "YOLOXHSVRandomAug": _HSV,
    "mmdet.YOLOXHSVRandomAug": _HSV,
}
_KERNEL = {"p": "prob", "blur_limit": "sizes"}
# Members of Albumentation: class, its settings by their names in the config.
ALBUMENTATION: dict[str, tuple[type, dict[str, str]]] = {
    "Blur": (Blur, _KERNEL),
    "MedianBlur": (MedianBlur, _KERNEL),
    "GaussianBlur": (GaussianBlur, _KERNEL),
    "GaussNoise": (GaussianNoise, {"p": "prob", "var_limit": "variance"}),
    "CoarseDropout": (
        CoarseDropout,
        {
            "p": "prob",
            "fill_value": "fill",
            **{
                f"{end}_{what}": f"{end}_{what}"
                for end in ("min", "max")
                for what in ("holes", "height", "width")
            },
        },
    ),
    "GridDropout": (
        GridDropout,
        {"p": "prob", "fill_value": "fill", "ratio": "ratio", "random_offset": "random_offset"}
        | {"unit_size_min": "min_unit", "unit_size_max": "max_unit"},
    ),
    "HueSaturationValue": (
        HueSaturationValue,
        {
            "p": "prob",
            "hue_shift_limit": "hue",
            "sat_shift_limit": "saturation",
            "val_shift_limit": "value",
        },
    ),
    "RandomBrightnessContrast": (
        RandomBrightnessContrast,
        {"p": "prob", "brightness_limit": "brightness", "contrast_limit": "contrast"},
    ),
}
# Of albumentations 1.3.1, where ours are others.
_DEFAULTS = {
    "CoarseDropout": {"max_holes": 8, "max_height": 8, "max_width": 8},
    "GridDropout": {"random_offset": False},
}


def augmentation_from_mmpose(
    pipeline: Sequence[Mapping[str, Any]],
    last_pipeline: Sequence[Mapping[str, Any]] | None = None,
    switch_epoch: int | None = None,
) -> TopdownAugment | AugmentSchedule:
    """What a `train_pipeline` of MMPose 1.x does at random, for top-down training.

    Steps that crop, encode or pack belong to the estimator and are passed over. Flip and jitter may
    come in any order (their draws are symmetric); changes of pixels that a config lists before the
    crop act on the crop here, with a warning.

    Args:
        pipeline: `train_pipeline` as a list of dicts, each with its `type`.
        last_pipeline: pipeline of the last epochs (`switch_pipeline` of a PipelineSwitchHook).
        switch_epoch: int, the first epoch of `last_pipeline` (`switch_epoch` of the hook).

    Returns:
        TopdownAugment; an AugmentSchedule of two where a second pipeline is given.

    Raises:
        ValueError: for a type or setting without a counterpart, by name.

    Example:
        >>> augmentation_from_mmpose([{"type": "RandomFlip", "direction": "horizontal"}])
    """
    if (last_pipeline is None) != (switch_epoch is None):
        raise ValueError("last_pipeline and switch_epoch belong together, got only one of them")
    if last_pipeline is not None:
        last = augmentation_from_mmpose(last_pipeline)
        return AugmentSchedule(augmentation_from_mmpose(pipeline), {int(switch_epoch): last})
    parts: dict[str, Any] = {"flip": None, "half_body": None, "jitter": None, "pixels": ()}
    types = [str(step.get("type")) for step in pipeline]
    for position, (kind, step) in enumerate(zip(types, pipeline, strict=True)):
        if kind in NOT_RANDOM:
            continue
        if kind == "Albumentation":
            field, value = "pixels", _albumentation(step)
        elif kind in STEPS:
            field, cls, names = STEPS[kind]
            value = _made(kind, cls, names, step)
            value = (value,) if field == "pixels" else value
        else:
            raise ValueError(
                f"{kind} has no counterpart in top-down training here; known are "
                f"{', '.join(sorted([*STEPS, 'Albumentation', *NOT_RANDOM]))}"
            )
        if field != "pixels" and parts[field] is not None:
            raise ValueError(f"{kind} occurs twice in the pipeline, which has no counterpart here")
        if field == "pixels" and "TopdownAffine" in types[position:]:
            warnings.warn(
                f"{kind} comes before the crop in this pipeline; here it changes the crop",
                stacklevel=2,
            )
        parts[field] = parts[field] + value if field == "pixels" else value
    return TopdownAugment(**parts)


def _albumentation(step: Mapping[str, Any]) -> tuple:
    unknown = set(step) - {"type", "transforms", "keymap"}
    if unknown or "transforms" not in step:
        raise ValueError(f"Albumentation needs transforms and nothing else, got {sorted(step)}")
    members = []
    for member in step["transforms"]:
        kind = str(member.get("type"))
        if kind not in ALBUMENTATION:
            raise ValueError(
                f"{kind} of Albumentation has no counterpart here; known are "
                f"{', '.join(sorted(ALBUMENTATION))}"
            )
        members.append(_made(kind, *ALBUMENTATION[kind], {**_DEFAULTS.get(kind, {}), **member}))
    return tuple(members)


def _made(kind: str, cls: type, names: Mapping[str, str], step: Mapping[str, Any]):
    """An object of a step's settings under our names."""
    settings = {key: value for key, value in step.items() if key != "type"}
    if unknown := sorted(set(settings) - set(names)):
        raise ValueError(
            f"{kind} has a setting {unknown[0]!r} that is not known here; known are "
            f"{', '.join(sorted(names))}"
        )
    arguments = {names[key]: _tuples(value) for key, value in settings.items()}
    if cls is CoarseDropout:  # whose smallest are the largest where they are not given
        for what in ("holes", "height", "width"):
            arguments.setdefault(f"min_{what}", arguments[f"max_{what}"])
    for name, low in (("sizes", 3), ("variance", 0)):
        if isinstance(arguments.get(name), int | float):
            arguments[name] = (low, arguments[name])
    return cls(**arguments)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
