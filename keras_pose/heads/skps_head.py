"""Heatmaps and offsets of many keypoints at once, as in SKPS (MMPose's project of that name)."""

import keras
from keras import ops

from keras_pose.heads.heatmap_head import HeatmapHead
from keras_pose.losses import SKPSLoss


@keras.saving.register_keras_serializable(package="keras_pose")
class SKPSHead(HeatmapHead):
    """A heatmap per keypoint and the way to it, from one convolution of the last feature map.

    Args:
        num_keypoints: int.
        codec: `SKPSHeatmap`.
        loss_module: default `SKPSLoss()`.
        conv_filters: widths of the convolutions before the last one.
        conv_kernels: their kernel sizes.
        final_kernel: int, kernel size of the last one.

    Returns:
        `{"heatmaps": (B, h, w, K), "offsets": (B, h, w, 2K)}`, all offsets along x before those
        along y, in map pixels.
    """

    _deviation = 0.01

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        conv_filters=(),
        conv_kernels=(),
        final_kernel=1,
        **kwargs,
    ):
        super().__init__(
            num_keypoints,
            codec,
            loss_module or SKPSLoss(),
            deconv_filters=(),
            deconv_kernels=(),
            conv_filters=conv_filters,
            conv_kernels=conv_kernels,
            final_kernel=final_kernel,
            **kwargs,
        )

    def call(self, features, training=None):
        maps = super().call(features, training=training)["heatmaps"]
        heatmaps, offsets = ops.split(maps, [self.num_keypoints], axis=-1)
        return {"heatmaps": heatmaps, "offsets": offsets}

    def get_config(self):
        config = super().get_config()
        return {key: value for key, value in config.items() if not key.startswith("deconv_")}
