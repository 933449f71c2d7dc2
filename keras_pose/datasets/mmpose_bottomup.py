"""The random part of MMPose's bottom-up train pipelines, from configs as data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_pose.datasets.mmpose_pixels import PIXEL_TYPES, pixel_changes, renamed
from keras_pose.datasets.transforms.bottomup import (
    BottomupAugment,
    FilterObjects,
    RandomAffine,
    RandomSceneCrop,
    RandomSceneFlip,
)
from keras_pose.datasets.transforms.mosaic import MixUp, Mosaic
from keras_pose.datasets.transforms.scene_resize import RandomChoiceResize

# Steps whose settings belong to the data set, the codec or `bottomup_dataset`.
NOT_RANDOM = {"BottomupGetHeatmapMask", "BottomupResize", "GenerateTarget", "LoadImage"}
NOT_RANDOM |= {"PackPoseInputs"}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _affine(settings: dict) -> RandomAffine:
    whole = settings.pop("scale_type", "short") == "long"
    distribution = {"trunc_norm": "normal"}.get(
        settings.get("distribution", "trunc_norm"), settings.get("distribution")
    )
    return RandomAffine(**{**settings, "whole": whole, "distribution": distribution})


def _crop(settings: dict) -> RandomSceneCrop:
    if settings.get("size_type") == "relative_range":  # whose first number is the height's
        settings["size"] = settings["size"][::-1]
    return RandomSceneCrop(**settings)


def _filter(settings: dict) -> FilterObjects:
    return FilterObjects(
        min_box=settings.get("box", (1, 1)) if settings.get("by_box", False) else None,
        min_area=settings.get("area", 1) if settings.get("by_area", False) else None,
        min_visible=settings.get("visible", 1) if settings.get("by_kpt", True) else None,
    )


def _mixup(settings: dict) -> MixUp:
    return MixUp(**{**settings, "flip_prob": 1 - settings.get("flip_prob", 0.5)})


def _choice(settings: dict) -> RandomChoiceResize:
    return RandomChoiceResize(**{**settings, "smooth": settings.get("smooth", "cv2") == "pillow"})


# Type -> what makes it, its settings by their names in the config (None: without effect here).
STEPS: dict[str, tuple[Callable, dict[str, str | None]]] = {
    "BottomupRandomAffine": (
        _affine,
        _same("input_size", "shift_factor", "shift_prob", "scale_factor", "scale_prob")
        | _same("scale_type", "rotate_factor", "rotate_prob", "shear_factor", "shear_prob")
        | _same("distribution")
        | {"transform_mode": "mode", "pad_val": "fill", "clip_border": "clip"}
        # Corners are kept always; use_udp does nothing in the reference.
        | {"bbox_keep_corner": None, "use_udp": None},
    ),
    "BottomupRandomChoiceResize": (
        _choice,
        {"scales": "sizes", "keep_ratio": "keep_ratio", "clip_object_border": "clip"}
        | {"backend": "smooth"},
    ),
    "BottomupRandomCrop": (
        _crop,
        {"crop_size": "size", "crop_type": "size_type", "allow_negative_crop": "allow_empty"},
    ),
    "FilterAnnotations": (
        _filter,
        _same("by_box", "by_area", "by_kpt")
        | {"min_gt_bbox_wh": "box", "min_gt_area": "area", "min_kpt_vis": "visible"}
        # Scenes that have become empty stay.
        | {"keep_empty": None},
    ),
    "Mosaic": (
        lambda settings: Mosaic(**settings),
        _same("prob", "center_range")
        | {"img_scale": "size", "pad_val": "fill", "pre_transform": None},
    ),
    "RandomFlip": (
        lambda settings: RandomSceneFlip(**settings),
        {"prob": "prob", "direction": "directions"},
    ),
    "YOLOXMixUp": (
        _mixup,
        _same("prob", "ratio_range")
        | {"img_scale": "size", "pad_val": "fill", "flip_ratio": "flip_prob"}
        | {"pre_transform": None},
    ),
}


def bottomup_augmentation_from_mmpose(pipeline: Sequence[Mapping[str, Any]]) -> BottomupAugment:
    """What a bottom-up `train_pipeline` of MMPose 1.x does at random.

    Changes of pixels act on the finished input, wherever the pipeline has them. Masks leave
    something out where the pipeline makes masks.

    Args:
        pipeline: `train_pipeline` as a list of dicts, each with its `type`.

    Returns:
        BottomupAugment.

    Raises:
        ValueError: for a type or setting without a counterpart, by name.

    Example:
        >>> bottomup_augmentation_from_mmpose([
        ...     {"type": "BottomupRandomAffine", "input_size": (512, 512)},
        ...     {"type": "RandomFlip", "direction": "horizontal"},
        ... ])
    """
    steps, pixels, masked = [], [], False
    for step in pipeline:
        kind = str(step.get("type"))
        masked = masked or kind == "BottomupGetHeatmapMask"
        if kind in NOT_RANDOM:
            continue
        if kind in STEPS:
            make, names = STEPS[kind]
            steps.append(make(renamed(kind, names, step)))
        elif kind in PIXEL_TYPES:
            pixels.extend(pixel_changes(step))
        else:
            raise ValueError(
                f"{kind} has no counterpart in bottom-up training here; known are "
                f"{', '.join(sorted([*STEPS, *PIXEL_TYPES, *NOT_RANDOM]))}"
            )
    return BottomupAugment(tuple(steps), tuple(pixels), masked)


def is_bottomup(pipeline: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a pipeline of MMPose is for whole images."""
    return any(str(step.get("type")) in {*STEPS} - {"RandomFlip"} for step in pipeline)
