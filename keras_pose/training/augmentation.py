"""The augmentation that a recipe describes as plain data."""

import inspect
from collections.abc import Mapping
from typing import Any

from keras_pose.datasets import transforms
from keras_pose.datasets.mmpose import augmentation_from_mmpose
from keras_pose.training.schedule import unknown

_STEPS = {
    "flip": transforms.RandomFlip,
    "half_body": transforms.RandomHalfBody,
    "jitter": transforms.RandomJitter,
}
_PIXELS = (
    *("Blur", "CoarseDropout", "GaussianBlur", "GaussianNoise", "GridDropout"),
    *("HueSaturationValue", "MedianBlur", "PhotometricDistortion"),
    *("RandomBrightnessContrast", "RandomColor", "RandomHSV"),
)


def augmentation(settings: Mapping[str, Any]):
    """The augmentation for `topdown_dataset` and its like.

    Args:
        settings: either the arguments of `augmentation_from_mmpose`, `pipeline` and for a second
            stage `last_pipeline` and `switch_epoch`; or the steps of a `TopdownAugment` with their
            arguments: `flip`, `half_body` and `jitter`, each a dict, or null to leave it out, and
            `pixels`, a list of dicts with `type`, such as {"type": "RandomColor"}. Steps that are
            not named are as `TopdownAugment` has them.

    Raises:
        ValueError: for unknown names on any level, with the nearest known ones.

    Example:
        >>> augmentation({"half_body": None, "jitter": {"rotate_factor": 180}})
    """
    if "pipeline" in settings:
        known = inspect.signature(augmentation_from_mmpose).parameters
        _check("augmentation", settings, known)
        return augmentation_from_mmpose(**settings)
    _check("augmentation", settings, [*_STEPS, "pixels", "pipeline"])
    steps: dict[str, Any] = {
        name: None if settings[name] is None else _made(cls, settings[name])
        for name, cls in _STEPS.items()
        if name in settings
    }
    pixels = []
    for step in settings.get("pixels") or ():
        kind = step.get("type")
        if kind not in _PIXELS:
            raise ValueError(f"augmentation: pixels: {unknown('type', kind, _PIXELS)}")
        rest = {key: value for key, value in step.items() if key != "type"}
        pixels.append(_made(getattr(transforms, kind), rest))
    return transforms.TopdownAugment(**steps, pixels=tuple(pixels))


def _made(cls, settings):
    _check(cls.__name__, settings, inspect.signature(cls).parameters)
    return cls(**{key: _tuples(value) for key, value in settings.items()})


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _check(what, settings, known):
    for key in settings:
        if key not in known:
            raise ValueError(f"{what}: {unknown('setting', key, known)}")
