"""3D coordinates from the tokens of joints."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.layers import Composite, Dense
from keras_pose.losses import MPJPEVelocityJointLoss


class Representation(Composite):
    """The motion representation of section 3.2 of https://arxiv.org/abs/2210.06551."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.fc = Dense(channels)

    def call(self, x):
        return ops.tanh(self.fc(x))


@keras.saving.register_keras_serializable(package="keras_pose")
class MotionRegressionHead(Head):
    """A 3D point for every token (https://arxiv.org/abs/2210.06551).

    Args:
        num_keypoints: int, of the skeleton.
        codec: `MotionBERTLabel`.
        embedding_size: int, width of the representation; 0 for none.
        loss_module: default `MPJPEVelocityJointLoss(weighted=False, term="loss_pose3d")`.

    Returns:
        `{"coordinates": (B, T, K, 3)}` of tokens `(B, T, K, C)`, the last of the list.
    """

    def __init__(self, num_keypoints, codec, embedding_size=512, loss_module=None, **kwargs):
        default = MPJPEVelocityJointLoss(weighted=False, term="loss_pose3d")
        super().__init__(codec, loss_module or default, **kwargs)
        self.num_keypoints = num_keypoints
        self.embedding_size = embedding_size
        if embedding_size:
            self.pre_logits = Representation(embedding_size)
        self.fc = Dense(3)

    def call(self, features, training=None):
        x = features[-1] if isinstance(features, list | tuple) else features
        if len(x.shape) != 4 or x.shape[2] != self.num_keypoints:
            raise ValueError(
                f"a MotionRegressionHead needs tokens (B, T, {self.num_keypoints}, C), as "
                f"DSTFormer makes them, got shape {tuple(x.shape)}"
            )
        x = self.pre_logits(x) if self.embedding_size else x
        return {"coordinates": ops.cast(self.fc(x), "float32")}

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "embedding_size": self.embedding_size,
        }
