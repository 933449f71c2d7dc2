"""Class heatmaps and box sides."""

import keras
from keras import ops

from keras_pose.codecs import CenterNetCodec
from keras_pose.heads.head import Head
from keras_pose.layers import SeparableConvModule


@keras.saving.register_keras_serializable(package="keras_pose")
class CenterNetHead(Head):
    """A heatmap per class and the distances from each cell to the sides of its box.

    Args:
        num_classes: int.
        codec: default `CenterNetCodec()`.
        side_scale: float, input pixels per unit of the side map.

    Returns:
        `heatmaps` `(B, h, w, C)` logits and `sides` `(B, h, w, 4)` in input pixels: left, top,
        right, bottom.
    """

    def __init__(self, num_classes=80, codec=None, loss_module=None, side_scale=16.0, **kwargs):
        super().__init__(codec or CenterNetCodec(), loss_module, **kwargs)
        self.num_classes = num_classes
        self.side_scale = side_scale
        self.heatmap = SeparableConvModule(num_classes, 3)
        self.ltrb = SeparableConvModule(4, 3)

    def call(self, features, training=None):
        x = features[0]
        return {
            "heatmaps": ops.cast(self.heatmap(x), "float32"),
            "sides": ops.cast(self.ltrb(x), "float32") * self.side_scale,
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "side_scale": self.side_scale,
        }
