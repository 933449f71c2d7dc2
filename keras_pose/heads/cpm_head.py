"""Heatmaps from every stage, as in convolutional pose machines and hourglasses."""

import keras

from keras_pose.codecs import MultilevelHeatmap
from keras_pose.heads.head import Head, staged_heatmaps
from keras_pose.heads.heatmap_head import deconvolutions
from keras_pose.layers import Conv2D, Stack, component
from keras_pose.losses import KeypointMSELoss, MultilevelLoss


@keras.saving.register_keras_serializable(package="keras_pose")
class CPMHead(Head):
    """Heatmaps from each stage's feature map (https://arxiv.org/abs/1602.00134, section 3).

    All stages learn the same targets; the last one's maps are the prediction.

    Args:
        num_keypoints: int.
        codec: a heatmap codec, e.g. `MSRAHeatmap`; one that is no `MultilevelHeatmap` becomes the
            only level of one.
        loss_module: default `MultilevelLoss(KeypointMSELoss())`.
        num_stages: int, how many maps come in.
        deconv_filters: widths of each stage's transposed convolutions, each of which doubles the
            size.
        deconv_kernels: their kernel sizes.
        final_kernel: int, kernel size of each stage's last convolution; None to do without it,
            then what comes before makes the maps.

    Returns:
        `{"heatmaps": (B, h, w, K)}` of the last stage, and where there are others
        `{"intermediate_heatmaps": (B, S - 1, h, w, K)}` of those before.

    Raises:
        ValueError: if a convolution lacks its kernel size, or other maps come in or go out than
            are asked for.
    """

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        num_stages=6,
        deconv_filters=(),
        deconv_kernels=(),
        final_kernel=1,
        **kwargs,
    ):
        codec = component(codec)
        if not isinstance(codec, MultilevelHeatmap):
            codec = MultilevelHeatmap([codec])
        super().__init__(codec, loss_module or MultilevelLoss(KeypointMSELoss()), **kwargs)
        self.num_keypoints = num_keypoints
        self.num_stages = num_stages
        self.deconv_filters = tuple(deconv_filters)
        self.deconv_kernels = tuple(deconv_kernels)
        self.final_kernel = final_kernel
        self._channels = num_keypoints * codec.maps_per_keypoint
        stages = range(num_stages)
        self.multi_deconv_layers = Stack(
            [deconvolutions(self.deconv_filters, self.deconv_kernels) for _ in stages]
        )
        self.multi_final_layers = None
        if final_kernel is not None:
            self.multi_final_layers = Stack([self._final_layer() for _ in stages])

    def _final_layer(self):
        return Conv2D(
            self._channels,
            self.final_kernel,
            padding=(self.final_kernel - 1) // 2,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        )

    def call(self, features, training=None):
        if len(features) != self.num_stages:
            raise ValueError(f"the head reads {self.num_stages} maps, got {len(features)}")
        maps = [
            deconvolve(x, training=training)
            for deconvolve, x in zip(self.multi_deconv_layers, features, strict=True)
        ]
        if self.multi_final_layers is not None:
            maps = [layer(x) for layer, x in zip(self.multi_final_layers, maps, strict=True)]
        if maps[-1].shape[-1] != self._channels:
            raise ValueError(
                f"the codec needs {self._channels} maps, the head has {maps[-1].shape[-1]}"
            )
        return staged_heatmaps(maps)

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "num_stages": self.num_stages,
            "deconv_filters": self.deconv_filters,
            "deconv_kernels": self.deconv_kernels,
            "final_kernel": self.final_kernel,
        }
