"""The augmentation that a recipe describes as plain data."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from keras_pose.datasets import RandomBatchSize, transforms
from keras_pose.datasets.mmpose import augmentation_from_mmpose
from keras_pose.datasets.transforms.lifting import RandomPoseFlip
from keras_pose.training.schedule import unknown
from keras_pose.training.setting_kinds import check_numbers

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
_SCENES = (
    *("FilterObjects", "MixUp", "Mosaic", "RandomAffine", "RandomChoiceResize"),
    *("RandomSceneCrop", "RandomSceneFlip"),
)


def augmentation(settings: Mapping[str, Any]):
    """The augmentation for `topdown_dataset` and its like.

    Args:
        settings: either the arguments of `augmentation_from_mmpose`, `pipeline` and for a second
            stage `last_pipeline` and `switch_epoch`; or the steps of a `TopdownAugment` with their
            arguments: `flip`, `half_body` and `jitter`, each a dict, or null to leave it out, and
            `pixels`, a list of dicts with `type`, such as {"type": "RandomColor"}, where steps that
            are not named are as `TopdownAugment` has them; or `scene`, a list like `pixels` of what
            changes whole images, such as {"type": "RandomAffine"}, with `pixels`, for bottom-up
            models; or `pose_flip`, a dict of arguments of `RandomPoseFlip`, for lifters. `resize`
            beside it is read by `batch_resize`.

    Raises:
        ValueError: for unknown names on any level, with the nearest known ones, and for values that
            are no numbers where there should be some.

    Example:
        >>> augmentation({"half_body": None, "jitter": {"rotate_factor": 180}})
    """
    settings = {key: value for key, value in settings.items() if key != "resize"}
    if "pipeline" in settings:
        known = inspect.signature(augmentation_from_mmpose).parameters
        _check("augmentation", settings, known)
        return augmentation_from_mmpose(**settings)
    if "pose_flip" in settings:
        _check("augmentation of a lifter", settings, ["pose_flip"])
        return _made(RandomPoseFlip, settings["pose_flip"] or {"prob": 0.0})
    if "scene" in settings:
        _check("augmentation of whole images", settings, ["scene", "pixels", "resize"])
        scene = _listed("scene", settings, _SCENES)
        return transforms.BottomupAugment(scene, _listed("pixels", settings, _PIXELS))
    known = [*_STEPS, "pixels", "pipeline", "scene", "pose_flip", "resize"]
    _check("augmentation", settings, known)
    steps: dict[str, Any] = {
        name: None if settings[name] is None else _made(cls, settings[name])
        for name, cls in _STEPS.items()
        if name in settings
    }
    return transforms.TopdownAugment(**steps, pixels=_listed("pixels", settings, _PIXELS))


def batch_resize(settings: Mapping[str, Any] | None) -> RandomBatchSize | None:
    """What `resize` of a recipe's augmentation describes: the arguments of `RandomBatchSize`."""
    resize = (settings or {}).get("resize")
    return None if resize is None else _made(RandomBatchSize, resize)


def _listed(name: str, settings: Mapping[str, Any], known: Sequence[str]) -> tuple:
    """The transforms of a list of dicts with `type`."""
    made = []
    steps = settings.get(name) or ()
    if not isinstance(steps, list | tuple):
        raise ValueError(f"augmentation: {name} must be a list of dicts, got {steps!r}")
    for step in steps:
        kind = step.get("type") if isinstance(step, Mapping) else step
        if kind not in known:
            raise ValueError(f"augmentation: {name}: {unknown('type', kind, known)}")
        rest = {key: value for key, value in step.items() if key != "type"}
        made.append(_made(getattr(transforms, kind), rest))
    return tuple(made)


def _made(cls, settings):
    known = inspect.signature(cls).parameters
    _check(cls.__name__, settings, known)
    check_numbers(cls.__name__, settings, known)
    return cls(**{key: _tuples(value) for key, value in settings.items()})


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _check(what, settings, known):
    if not isinstance(settings, Mapping):
        raise ValueError(f"{what} needs a dict of settings, got {settings!r}")
    for key in settings:
        if key not in known:
            raise ValueError(f"{what}: {unknown('setting', key, known)}")
