"""Changes of pixels in MMPose's train pipelines, from configs as data."""

from collections.abc import Mapping
from typing import Any

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

_HSV = (
    RandomHSV,
    {"hue_delta": "hue", "saturation_delta": "saturation", "value_delta": "value"},
)
# Type -> class, its settings by their names in the config.
PIXELS: dict[str, tuple[type, dict[str, str]]] = {
    "PhotometricDistortion": (
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


PIXEL_TYPES = {*PIXELS, "Albumentation"}


def pixel_changes(step: Mapping[str, Any]) -> tuple:
    """What a step of a type in `PIXEL_TYPES` does, as changes of pixels.

    Args:
        step: dict with its `type` and settings.

    Raises:
        ValueError: for a member or setting without a counterpart, by name.
    """
    kind = str(step.get("type"))
    return _albumentation(step) if kind == "Albumentation" else (_made(kind, *PIXELS[kind], step),)


def renamed(kind: str, names: Mapping[str, str | None], step: Mapping[str, Any]) -> dict[str, Any]:
    """A step's settings under our names, lists as tuples.

    Args:
        kind: str, the step's type, for messages.
        names: our names by those in the config; None for what has no effect here.
        step: dict with its settings.

    Raises:
        ValueError: for a setting that is not among the names.
    """
    settings = {key: value for key, value in step.items() if key != "type"}
    if unknown := sorted(set(settings) - set(names)):
        raise ValueError(
            f"{kind} has a setting {unknown[0]!r} that is not known here; known are "
            f"{', '.join(sorted(names))}"
        )
    return {names[key]: _tuples(value) for key, value in settings.items() if names[key]}


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
    arguments = renamed(kind, names, step)
    if cls is CoarseDropout:  # whose smallest are the largest where they are not given
        for what in ("holes", "height", "width"):
            arguments.setdefault(f"min_{what}", arguments[f"max_{what}"])
    for name, low in (("sizes", 3), ("variance", 0)):
        if isinstance(arguments.get(name), int | float):
            arguments[name] = (low, arguments[name])
    return cls(**arguments)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
