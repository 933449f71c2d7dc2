"""The random part of MMPose's train pipelines, from configs as data."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from keras_pose.datasets.mmpose_bottomup import bottomup_augmentation_from_mmpose, is_bottomup
from keras_pose.datasets.mmpose_lifting import is_lifting, lifting_augmentation_from_mmpose
from keras_pose.datasets.mmpose_pixels import PIXEL_TYPES, pixel_changes, renamed
from keras_pose.datasets.transforms.augment import (
    RandomFlip,
    RandomHalfBody,
    RandomJitter,
    TopdownAugment,
)
from keras_pose.datasets.transforms.bottomup import BottomupAugment
from keras_pose.datasets.transforms.lifting import RandomPoseFlip
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
# Type -> field of TopdownAugment, class, its settings by their names in the config.
STEPS: dict[str, tuple[str, type, dict[str, str]]] = {
    "RandomFlip": ("flip", RandomFlip, {"prob": "prob", "direction": "direction"}),
    # Which hand is which is mirrored with the depths.
    "HandRandomFlip": ("flip", RandomFlip, {"prob": "prob"}),
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
}


def augmentation_from_mmpose(
    pipeline: Sequence[Mapping[str, Any]],
    last_pipeline: Sequence[Mapping[str, Any]] | None = None,
    switch_epoch: int | None = None,
) -> TopdownAugment | BottomupAugment | RandomPoseFlip | AugmentSchedule:
    """What a `train_pipeline` of MMPose 1.x does at random.

    Steps that crop, encode or pack belong to the estimator and are passed over. Flip and jitter may
    come in any order (their draws are symmetric); changes of pixels that a config lists before the
    crop act on the crop here, with a warning.

    Args:
        pipeline: `train_pipeline` as a list of dicts, each with its `type`.
        last_pipeline: pipeline of the last epochs (`switch_pipeline` of a PipelineSwitchHook).
        switch_epoch: int, the first epoch of `last_pipeline` (`switch_epoch` of the hook).

    Returns:
        TopdownAugment, BottomupAugment where the pipeline is for whole images, or RandomPoseFlip
        where it is for films of poses; an AugmentSchedule of two where a second pipeline is given.

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
    if is_bottomup(pipeline):
        return bottomup_augmentation_from_mmpose(pipeline)
    if is_lifting(pipeline):
        return lifting_augmentation_from_mmpose(pipeline)
    parts: dict[str, Any] = {"flip": None, "half_body": None, "jitter": None, "pixels": ()}
    types = [str(step.get("type")) for step in pipeline]
    for position, (kind, step) in enumerate(zip(types, pipeline, strict=True)):
        if kind in NOT_RANDOM:
            continue
        if kind in PIXEL_TYPES:
            field, value = "pixels", pixel_changes(step)
        elif kind in STEPS:
            field, cls, names = STEPS[kind]
            value = cls(**renamed(kind, names, step))
        else:
            raise ValueError(
                f"{kind} has no counterpart in top-down training here; known are "
                f"{', '.join(sorted([*STEPS, *PIXEL_TYPES, *NOT_RANDOM]))}"
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
