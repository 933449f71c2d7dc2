"""3D coordinates from features of frames."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.layers import Conv1D
from keras_pose.losses import MPJPELoss


@keras.saving.register_keras_serializable(package="keras_pose")
class TemporalRegressionHead(Head):
    """A pose for every frame by one linear map (https://arxiv.org/abs/1811.11742).

    Args:
        num_keypoints: int, of the skeleton; a root that the codec removes is not put out.
        codec: `VideoPoseLifting` or `ImagePoseLifting`.
        loss_module: default `MPJPELoss(weighted=False, term="loss_pose3d")`.

    Returns:
        `{"coordinates": (B, T, K, 3)}` of features `(B, T, C)`, the last of the list.
    """

    _term = "loss_pose3d"

    def __init__(self, num_keypoints, codec=None, loss_module=None, **kwargs):
        super().__init__(codec, loss_module or MPJPELoss(weighted=False, term=self._term), **kwargs)
        self.num_keypoints = num_keypoints
        self._outputs = num_keypoints - getattr(self.codec, "removed", 0)
        self.conv = Conv1D(3 * self._outputs, 1)

    def call(self, features, training=None):
        x = features[-1] if isinstance(features, list | tuple) else features
        if len(x.shape) != 3:
            raise ValueError(
                f"a {type(self).__name__} needs features (B, T, C), as TCN makes them, got shape "
                f"{tuple(x.shape)}"
            )
        x = ops.cast(self.conv(x), "float32")
        return {"coordinates": ops.reshape(x, (-1, ops.shape(x)[1], self._outputs, 3))}

    def get_config(self):
        return {**super().get_config(), "num_keypoints": self.num_keypoints}


@keras.saving.register_keras_serializable(package="keras_pose")
class TrajectoryRegressionHead(TemporalRegressionHead):
    """Where the root is in camera space, for every frame (section 4 of
    https://arxiv.org/abs/1811.11742).

    Args:
        num_keypoints: int, default 1: the root.
        codec: not used; the codec of the head of the poses makes the targets.
        loss_module: default `MPJPELoss(term="loss_traj")`, whose weights are 1 / depth.

    Returns:
        `{"coordinates": (B, T, 1, 3)}`, metres.
    """

    def __init__(self, num_keypoints=1, codec=None, loss_module=None, **kwargs):
        loss_module = loss_module or MPJPELoss(term="loss_traj")
        super().__init__(num_keypoints, codec, loss_module, **kwargs)
        self._outputs = num_keypoints
