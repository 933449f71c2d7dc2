"""The random part of MMPose's train pipelines of lifters, from configs as data."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_pose.datasets.mmpose_pixels import renamed
from keras_pose.datasets.transforms.lifting import RandomPoseFlip

# Steps whose settings belong to the codec.
NOT_RANDOM = {"GenerateTarget", "PackPoseInputs"}
_FLIP = "RandomFlipAroundRoot"
_SETTINGS: dict[str, str | None] = {
    **{name: name for name in ("flip_prob", "keypoints_flip_cfg", "target_flip_cfg")},
    # The codec makes its labels of what is mirrored already; its camera is mirrored here always.
    "flip_label": None,
    "flip_camera": None,
}
_AXES: dict[str, str | None] = {name: name for name in ("center_mode", "center_x", "center_index")}


def lifting_augmentation_from_mmpose(pipeline: Sequence[Mapping[str, Any]]) -> RandomPoseFlip:
    """What a lifter's `train_pipeline` of MMPose 1.x does at random: it mirrors.

    Pictures are mirrored about their middle and 3D poses about the camera's axis, or each pose
    about its root (`center_mode="root"`). Fixed axes of the config (`center_x`) mean coordinates
    that its codec has scaled; where a config mirrors before scaling, the reference turns pictures
    about the pixel 0.5, which no camera sees, and this does not.

    Args:
        pipeline: `train_pipeline` as a list of dicts, each with its `type`.

    Raises:
        ValueError: for a type or setting without a counterpart, by name.
    """
    flip = None
    for step in pipeline:
        kind = str(step.get("type"))
        if kind in NOT_RANDOM:
            continue
        if kind != _FLIP or flip is not None:
            raise ValueError(
                f"{kind} has no counterpart in training of lifters here; known are {_FLIP} (once), "
                f"{', '.join(sorted(NOT_RANDOM))}"
            )
        settings = renamed(kind, _SETTINGS, step)
        seen = renamed(kind, _AXES, settings.get("keypoints_flip_cfg") or {})
        target = renamed(kind, _AXES, settings.get("target_flip_cfg") or {})
        root = {cfg.get("center_index", 0) for cfg in (seen, target) if _about_root(cfg)}
        if len(root) > 1:
            raise ValueError(f"{kind}: two roots, {sorted(root)}, have no counterpart here")
        flip = RandomPoseFlip(
            prob=settings.get("flip_prob", 0.5),
            axis_x="root" if _about_root(seen) else "center",
            target_axis_x="root" if _about_root(target) else 0.0,
            root=root.pop() if root else 0,
        )
    return flip or RandomPoseFlip(prob=0.0)


def _about_root(cfg: Mapping[str, Any]) -> bool:
    mode = cfg.get("center_mode", "static")
    if mode not in ("static", "root"):
        raise ValueError(f"{_FLIP}: center_mode {mode!r} has no counterpart here")
    return mode == "root"


def is_lifting(pipeline: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a pipeline of MMPose is for poses of films, not for images."""
    return any(str(step.get("type")) == _FLIP for step in pipeline)
