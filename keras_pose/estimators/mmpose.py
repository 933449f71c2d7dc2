"""Models of MMPose: their configs and their weights."""

from collections.abc import Mapping
from pathlib import Path

from keras_pose.estimators.pose_estimator import PoseEstimator
from keras_pose.preset.conversion import build, described


def from_mmpose(
    model_config: Mapping | str | Path,
    state_dict_or_path: Mapping | str | Path,
    skeleton=None,
    codec=None,
    udp: bool | None = None,
    box_padding: float | None = None,
    resize: Mapping | None = None,
) -> PoseEstimator:
    """An estimator from an MMPose config and its weights. Nothing in the files is executed.

    Args:
        model_config: an MMPose 1.x config: a `.py` file, its JSON, the name of a published one,
            or the resolved `model` settings as plain dicts. What the arguments from `skeleton` on
            say is read from a file where they are None.
        state_dict_or_path: a `.pth`, `.safetensors` or `.npz`, or `{name: array}` in PyTorch's
            layouts. Names of MMPose 0.x are understood.
        skeleton: `Skeleton` or the name of one; its keypoints are the head's. Default: the
            config's, else "coco", of lifters "h36m".
        codec: MMPose's settings of the codec of training where they are not those of the head's
            decoder: a list for networks that learn several levels of targets.
        udp: bool, whether the model's crops are made by the unbiased warp (`use_udp` of
            `TopdownAffine`). Default: the config's, else False.
        box_padding: float, `padding` of `GetBBoxCenterScale`. Default: the config's, else 1.25.
        resize: of bottom-up models, dict of `input_size`, `resize_mode`, `size_factor` and `fill`
            of `BottomupEstimator`. Default: the config's, else what the reference's models with
            this head have.

    Returns:
        The estimator with the weights loaded.

    Raises:
        ValueError: the config uses something that has no counterpart, or names are missing or
            unused: it lists them and names the published architecture that is nearest.
    """
    if isinstance(model_config, Mapping):
        lifts = model_config.get("type") == "PoseLifter"
        settings = {"model_config": model_config, "skeleton": "h36m" if lifts else "coco"}
    else:
        settings, _ = described(model_config)
    given = {"skeleton": skeleton, "codec": codec, "udp": udp, "box_padding": box_padding}
    given["resize"] = resize
    settings |= {name: value for name, value in given.items() if value is not None}
    return build(state_dict=state_dict_or_path, **settings)
