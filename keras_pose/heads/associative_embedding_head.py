"""Heatmaps of all people and the tags that tell them apart."""

import keras

from keras_pose.codecs import AssociativeEmbedding
from keras_pose.heads.heatmap_head import HeatmapHead
from keras_pose.losses import AssociativeEmbeddingLoss, KeypointMSELoss, MultipleLossWrapper


@keras.saving.register_keras_serializable(package="keras_pose")
class AssociativeEmbeddingHead(HeatmapHead):
    """A heatmap and a set of tags per keypoint from one convolution of the last feature map.

    Of associative embedding (https://arxiv.org/abs/1611.05424).

    Args:
        num_keypoints: int.
        codec: default `AssociativeEmbedding()`.
        loss_module: default: `KeypointMSELoss()` of the heatmaps and `AssociativeEmbeddingLoss` of
            the tags, a thousandth as strong.
        tag_dim: int, components of a tag.
        deconv_filters, deconv_kernels, conv_filters, conv_kernels, final_kernel: as in
            `HeatmapHead`.

    Returns:
        `heatmaps` `(B, h, w, K)` and `tags` `(B, h, w, tag_dim * K)`, the first components of all
        keypoints before the second ones.
    """

    def __init__(
        self,
        num_keypoints,
        codec=None,
        loss_module=None,
        tag_dim=1,
        deconv_filters=(),
        deconv_kernels=(),
        conv_filters=(),
        conv_kernels=(),
        final_kernel=1,
        **kwargs,
    ):
        losses = [KeypointMSELoss(), AssociativeEmbeddingLoss(1e-3)]
        self.tag_dim = int(tag_dim)
        super().__init__(
            num_keypoints,
            codec or AssociativeEmbedding(),
            loss_module or MultipleLossWrapper(losses),
            deconv_filters,
            deconv_kernels,
            conv_filters,
            conv_kernels,
            final_kernel,
            **kwargs,
        )

    def _number_of_maps(self):
        return self.num_keypoints * (1 + self.tag_dim)

    def call(self, features, training=None):
        maps = super().call(features, training=training)["heatmaps"]
        count = self.num_keypoints
        return {"heatmaps": maps[..., :count], "tags": maps[..., count:]}

    def get_config(self):
        config = super().get_config()
        del config["deconv_groups"]
        return {**config, "tag_dim": self.tag_dim}
