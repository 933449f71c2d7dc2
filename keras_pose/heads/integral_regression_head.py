"""Coordinates that are the means of heatmaps."""

import keras
import numpy as np
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.heads.heatmap_head import HeatmapHead
from keras_pose.layers import Conv2D
from keras_pose.losses import SmoothL1Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class IntegralRegressionHead(Head):
    """The mean place under the softmax of each heatmap (https://arxiv.org/abs/1711.08229).

    With a Jensen-Shannon loss of the heatmaps beside that of the coordinates this is the DSNT head
    (https://arxiv.org/abs/1801.07372).

    Args:
        num_keypoints: int.
        codec: `IntegralRegressionLabel`.
        loss_module: default `SmoothL1Loss()`, which trains the coordinates alone.
        deconv_filters: widths of the transposed convolutions, each of which doubles the size.
        deconv_kernels: their kernel sizes.
        beta: float, factor of the maps before the softmax.
        debias: bool, take off the pull towards the middle (Gu et al., Removing the Bias of
            Integral Pose Regression, ICCV 2021).

    Returns:
        `{"coordinates": (B, K, 2), "heatmaps": (B, h, w, K)}`, each map of sum 1.
    """

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        deconv_filters=(256, 256, 256),
        deconv_kernels=(4, 4, 4),
        beta=1.0,
        debias=False,
        **kwargs,
    ):
        super().__init__(codec, loss_module or SmoothL1Loss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.deconv_filters = tuple(deconv_filters)
        self.deconv_kernels = tuple(deconv_kernels)
        self.beta = float(beta)
        self.debias = debias
        # Under the names of checkpoints, in which a head without deconvolutions has no inner one.
        self.simplebaseline_head = self.final_layer = None
        if self.deconv_filters:
            self.simplebaseline_head = HeatmapHead(
                num_keypoints, self.codec, None, self.deconv_filters, self.deconv_kernels
            )
        else:
            self.final_layer = Conv2D(
                num_keypoints, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.001)
            )

    def call(self, features, training=None):
        if self.simplebaseline_head is not None:
            maps = self.simplebaseline_head(features, training=training)["heatmaps"]
        else:
            maps = ops.cast(self.final_layer(features[-1]), "float32")
        _, height, width, count = maps.shape
        logits = ops.transpose(ops.reshape(maps, (-1, height * width, count)), (0, 2, 1))
        parts = ops.softmax(logits * self.beta)
        rows, columns = np.mgrid[:height, :width].astype("float32")
        places = np.stack([columns / width, rows / height], axis=-1).reshape(-1, 2)
        coordinates = ops.matmul(parts, ops.convert_to_tensor(places))
        if self.debias:
            # One over the sum of the exponentials, as in the reference without beta.
            rest = ops.exp(-ops.logsumexp(logits, axis=-1, keepdims=True))
            coordinates = (coordinates - rest / 2) / (1 - rest)
        heatmaps = ops.reshape(ops.transpose(parts, (0, 2, 1)), (-1, height, width, count))
        return {"coordinates": coordinates, "heatmaps": heatmaps}

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "deconv_filters": self.deconv_filters,
            "deconv_kernels": self.deconv_kernels,
            "beta": self.beta,
            "debias": self.debias,
        }
