"""Transposed convolutions and one heatmap per keypoint, as in SimpleBaseline."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.layers import BatchNormalization, Conv2D, Conv2DTranspose, Stack
from keras_pose.losses import KeypointMSELoss


@keras.saving.register_keras_serializable(package="keras_pose")
class HeatmapHead(Head):
    """Heatmaps from the last feature map (https://arxiv.org/abs/1804.06208).

    Args:
        num_keypoints: int.
        codec: a heatmap codec, e.g. `MSRAHeatmap`.
        loss_module: default `KeypointMSELoss()`.
        deconv_filters: widths of the transposed convolutions, each of which doubles the size.
        deconv_kernels: their kernel sizes.

    Returns:
        `{"heatmaps": (B, h, w, K)}`.
    """

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        deconv_filters=(256, 256, 256),
        deconv_kernels=(4, 4, 4),
        **kwargs,
    ):
        super().__init__(codec, loss_module or KeypointMSELoss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.deconv_filters = tuple(deconv_filters)
        self.deconv_kernels = tuple(deconv_kernels)
        if len(self.deconv_filters) != len(self.deconv_kernels):
            raise ValueError(
                "deconv_filters and deconv_kernels must be equally long, got "
                f"{self.deconv_filters} and {self.deconv_kernels}"
            )
        self.deconv_layers = Stack()
        for filters, kernel in zip(self.deconv_filters, self.deconv_kernels, strict=True):
            self.deconv_layers.append(
                Conv2DTranspose(filters, kernel, 2, (kernel - 1) // 2, kernel % 2, use_bias=False)
            )
            self.deconv_layers.append(BatchNormalization())
            self.deconv_layers.append(keras.layers.ReLU())
        self.final_layer = Conv2D(
            num_keypoints, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.001)
        )

    def call(self, features, training=None):
        x = self.deconv_layers(features[-1], training=training)
        return {"heatmaps": ops.cast(self.final_layer(x), "float32")}

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "deconv_filters": self.deconv_filters,
            "deconv_kernels": self.deconv_kernels,
        }
