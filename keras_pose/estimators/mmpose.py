"""Models of MMPose: their configs and their weights."""

from collections.abc import Mapping
from pathlib import Path

from keras_pose.estimators.topdown import TopdownEstimator
from keras_pose.preset.conversion import build


def from_mmpose(
    model_config: Mapping,
    state_dict: Mapping | str | Path,
    skeleton="coco",
    codec=None,
    udp: bool = False,
    box_padding: float = 1.25,
) -> TopdownEstimator:
    """An estimator from an MMPose model config and its weights.

    Args:
        model_config: the resolved `model` settings of an MMPose 1.x config, plain dicts.
        state_dict: `{name: array}` in PyTorch's layouts, or a `.pth`, `.safetensors` or `.npz`.
        skeleton: `Skeleton` or the name of one; its keypoints are the head's.
        codec: MMPose's settings of the codec of training where they are not those of the head's
            decoder: a list for networks that learn several levels of targets.
        udp: bool, whether the model's crops are made by the unbiased warp (`use_udp` of
            `TopdownAffine`).
        box_padding: float, `padding` of `GetBBoxCenterScale`.

    Returns:
        The estimator with the weights loaded.

    Raises:
        ValueError: if the config uses something that has no counterpart yet, or names are missing
            or unused; it lists them.
    """
    return build(model_config, state_dict, skeleton, codec, udp, box_padding)
