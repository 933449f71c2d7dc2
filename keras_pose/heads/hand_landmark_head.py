"""What MediaPipe's hand landmark network says of a hand."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.layers import Dense
from keras_pose.losses import L1Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class HandLandmarkHead(Head):
    """Keypoints with depths, presence, handedness and keypoints in metres of one hand.

    Training teaches the coordinates in the image and nothing else. The layers of presence,
    handedness and world are frozen, but what they say changes with the features below them.

    Args:
        num_keypoints: int.
        codec: `HandLandmarkLabel`.
        loss_module: default `L1Loss()`.
        unit: float, the number that the network gives to the far edges of its input. The published
            one counts in pixels of 224.

    Returns:
        Of features `(B, C)`, the last of the list:
        `coordinates` `(B, K, 2)` as parts of the input; `depths` `(B, K)` in parts of the input's
        width, relative to the wrist and larger the farther away; `presence` `(B, 1)`, from 0 to
        1; `handedness` `(B, 1)`, 1 for a right hand in a photo that is not mirrored; `world`
        `(B, K, 3)` in metres from the hand's middle.

    Raises:
        ValueError: if the features are maps, which a neck should have pooled.
    """

    def __init__(self, num_keypoints, codec, loss_module=None, unit=224.0, **kwargs):
        super().__init__(codec, loss_module or L1Loss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.unit = float(unit)
        initializer = keras.initializers.RandomNormal(stddev=0.01 * self.unit)
        self.landmarks = Dense(3 * num_keypoints, kernel_initializer=initializer)
        # No loss reaches these, and weight decay must not either.
        self.presence = Dense(1, trainable=False)
        self.handedness = Dense(1, trainable=False)
        self.world = Dense(3 * num_keypoints, trainable=False)

    def call(self, features, training=None):
        x = features[-1]
        if len(x.shape) != 2:
            raise ValueError(
                "a HandLandmarkHead needs features (B, C), as GlobalAveragePooling makes them, "
                f"got shape {tuple(x.shape)}"
            )
        landmarks = self._points(self.landmarks(x)) / self.unit
        return {
            "coordinates": landmarks[..., :2],
            "depths": landmarks[..., 2],
            "presence": ops.sigmoid(ops.cast(self.presence(x), "float32")),
            "handedness": ops.sigmoid(ops.cast(self.handedness(x), "float32")),
            "world": self._points(self.world(x)),
        }

    def _points(self, x):
        return ops.reshape(ops.cast(x, "float32"), (-1, self.num_keypoints, 3))

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "unit": self.unit,
        }
