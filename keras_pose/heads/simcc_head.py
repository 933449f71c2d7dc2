"""SimCC: from the map of each keypoint to one vector per axis."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.layers import Conv2D, Dense, component, serialized
from keras_pose.losses import KLDiscretLoss

NARROW = keras.initializers.RandomNormal(stddev=0.01)
NARROWER = keras.initializers.RandomNormal(stddev=0.001)


def map_vectors(x):
    """One vector `(B, K, h * w)` per keypoint, row by row, from maps `(B, h, w, K)`."""
    _, height, width, count = x.shape
    return ops.transpose(ops.reshape(x, (-1, height * width, count)), (0, 2, 1))


@keras.saving.register_keras_serializable(package="keras_pose")
class SimCCHead(Head):
    """Logits over the bins of x and y (https://arxiv.org/abs/2107.03332).

    Args:
        num_keypoints: int.
        codec: `SimCCLabel`, which knows the numbers of bins.
        loss_module: default `KLDiscretLoss()`.
        deconv_head: a head that makes a heatmap per keypoint, or its config, whose number of
            keypoints follows this head's; None for a 1x1 convolution of the last feature map.

    Returns:
        `{"x": (B, K, Wx), "y": (B, K, Wy)}`.
    """

    def __init__(self, num_keypoints, codec, loss_module=None, deconv_head=None, **kwargs):
        super().__init__(codec, loss_module or KLDiscretLoss(), **kwargs)
        self.num_keypoints = num_keypoints
        if isinstance(deconv_head, dict):
            settings = {**deconv_head["config"], "num_keypoints": num_keypoints}
            deconv_head = {**deconv_head, "config": settings}
        self.deconv_head = component(deconv_head)
        self.final_layer = None
        if self.deconv_head is None:
            self.final_layer = Conv2D(num_keypoints, 1, kernel_initializer=NARROWER)
        elif self.deconv_head.num_keypoints != num_keypoints:
            raise ValueError(
                f"deconv_head must make {num_keypoints} maps, got one that makes "
                f"{self.deconv_head.num_keypoints}"
            )
        columns, rows = self.codec.bins
        self.mlp_head_x = Dense(columns, kernel_initializer=NARROW)
        self.mlp_head_y = Dense(rows, kernel_initializer=NARROW)

    def call(self, features, training=None):
        if self.deconv_head is None:
            maps = self.final_layer(features[-1])
        else:
            maps = self.deconv_head(features, training=training)["heatmaps"]
        x = map_vectors(maps)
        return {
            "x": ops.cast(self.mlp_head_x(x), "float32"),
            "y": ops.cast(self.mlp_head_y(x), "float32"),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "deconv_head": serialized(self.deconv_head),
        }
