"""Whether keypoints are visible, beside where they are."""

import keras
from keras import ops

from keras_pose.codecs import WithVisibility
from keras_pose.heads.head import Head
from keras_pose.layers import Dense, Stack, component, serialized
from keras_pose.losses import BCELoss, MultipleLossWrapper


@keras.saving.register_keras_serializable(package="keras_pose")
class VisPredictHead(Head):
    """Another head, and a probability of being visible per keypoint from the features' means.

    The codec is the pose head's with visibility, the loss that head's and the one of visibility.

    Args:
        pose_head: a head with `num_keypoints`, or its config.
        visibility_loss: loss of `visibility`; default
            `BCELoss(from_logits=False, weighted=False)`.
        num_keypoints: int, instead of what the pose head's config says.

    Returns:
        The pose head's outputs and `visibility` `(B, K)` in 0..1.
    """

    def __init__(self, pose_head, visibility_loss=None, num_keypoints=None, **kwargs):
        if num_keypoints is not None and isinstance(pose_head, dict):
            settings = {**pose_head["config"], "num_keypoints": num_keypoints}
            pose_head = {**pose_head, "config": settings}
        pose_head = component(pose_head)
        visibility_loss = component(visibility_loss) or BCELoss(from_logits=False, weighted=False)
        super().__init__(
            WithVisibility(pose_head.codec),
            MultipleLossWrapper([pose_head.loss_module, visibility_loss]),
            **kwargs,
        )
        self.pose_head = pose_head
        self.num_keypoints = pose_head.num_keypoints
        self._visibility_loss = visibility_loss
        self.vis_head = Stack(
            [
                keras.layers.GlobalAveragePooling2D(data_format="channels_last"),
                keras.layers.Flatten(data_format="channels_last"),
                Dense(
                    self.num_keypoints,
                    kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                ),
            ]
        )

    def call(self, features, training=None):
        logits = ops.cast(self.vis_head(features[-1]), "float32")
        pose = self.pose_head(features, training=training)
        return {**pose, "visibility": ops.sigmoid(logits)}

    def get_config(self):
        config = super().get_config()
        del config["codec"], config["loss_module"]
        return {
            **config,
            "pose_head": serialized(self.pose_head),
            "visibility_loss": serialized(self._visibility_loss),
            "num_keypoints": self.num_keypoints,
        }
