"""Models of MMPose: their configs and their weights."""

from collections.abc import Mapping
from pathlib import Path

import keras

from keras_pose.checkpoints.mmpose import current_names, translate_model
from keras_pose.checkpoints.state_dict import read_state_dict
from keras_pose.estimators.topdown import TopdownEstimator
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import load_state_dict
from keras_pose.skeleton import Skeleton


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
    config = translate_model(
        model_config, Skeleton.resolve(skeleton).to_dict(), codec, udp, box_padding
    )
    arrays = current_names(read_state_dict(state_dict), model_config["head"])
    with skip_initialization():
        estimator = keras.saving.deserialize_keras_object(config)
    load_state_dict(estimator, arrays)
    return estimator
