"""Coordinates from pooled features by one fully connected layer."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.layers import Dense
from keras_pose.losses import RLELoss, SmoothL1Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class RegressionHead(Head):
    """Coordinates as parts of the input's size (https://arxiv.org/abs/1312.4659).

    Args:
        num_keypoints: int.
        codec: `RegressionLabel`.
        loss_module: default `SmoothL1Loss()`.

    Returns:
        `{"coordinates": (B, K, 2)}` of features `(B, C)`, the last of the list.

    Raises:
        ValueError: if the features are maps, which a neck should have pooled.
    """

    # Numbers a keypoint.
    _width = 2

    def __init__(self, num_keypoints, codec, loss_module=None, **kwargs):
        super().__init__(codec, loss_module or SmoothL1Loss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.fc = Dense(
            self._width * num_keypoints,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        )

    def call(self, features, training=None):
        return {"coordinates": self._numbers(features[-1])}

    def _numbers(self, x):
        if len(x.shape) != 2:
            raise ValueError(
                f"a {type(self).__name__} needs features (B, C), as GlobalAveragePooling makes "
                f"them, got shape {tuple(x.shape)}"
            )
        x = ops.cast(self.fc(x), "float32")
        return ops.reshape(x, (-1, self.num_keypoints, self._width))

    def get_config(self):
        return {**super().get_config(), "num_keypoints": self.num_keypoints}


@keras.saving.register_keras_serializable(package="keras_pose")
class RLEHead(RegressionHead):
    """Coordinates and how far off they may be (https://arxiv.org/abs/2107.11291).

    Args:
        num_keypoints: int.
        codec: `RegressionLabel`, whose scores are 1 less the mean sigma.
        loss_module: default `RLELoss()`.

    Returns:
        `{"coordinates": (B, K, 2), "sigmas": (B, K, 2)}`, sigmas from 0 to 1 in the coordinates'
        unit, of features `(B, C)`, the last of the list.
    """

    _width = 4

    def __init__(self, num_keypoints, codec, loss_module=None, **kwargs):
        super().__init__(num_keypoints, codec, loss_module or RLELoss(), **kwargs)

    def call(self, features, training=None):
        x = self._numbers(features[-1])
        return {"coordinates": x[..., :2], "sigmas": ops.sigmoid(x[..., 2:])}
