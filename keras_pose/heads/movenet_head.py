"""MoveNet's maps: four of one person, six of several."""

import keras
from keras import ops

from keras_pose.codecs import MoveNetCodec, MoveNetMultiPoseCodec
from keras_pose.heads.head import Head
from keras_pose.layers import Composite, Conv2D, SeparableConvModule
from keras_pose.losses import MoveNetLoss

# The logit of a tenth: heatmaps start low, so that the focal loss does not start by exploding.
_RARE = keras.initializers.Constant(-2.19)


class Branch(Composite):
    """A separable 3x3 with ReLU, then 1x1."""

    def __init__(self, filters, hidden, bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.sep = SeparableConvModule(hidden, 3, activation="relu")
        self.out = Conv2D(
            filters,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=bias_initializer,
        )

    def call(self, x):
        return ops.cast(self.out(self.sep(x)), "float32")


@keras.saving.register_keras_serializable(package="keras_pose")
class MoveNetHead(Head):
    """Centre, keypoint heatmaps, displacements and offsets; see `MoveNetCodec`.

    Args:
        num_keypoints: int.
        codec: default `MoveNetCodec()`.
        loss_module: default `MoveNetLoss()`.
        hidden: int, width inside each branch.

    Returns:
        `center` `(B, h, w, 1)` and `heatmaps` `(B, h, w, K)` logits; `displacements` and `offsets`
        `(B, h, w, 2K)` in cells, (y, x) pairs keypoint by keypoint.
    """

    codec_class, loss_class = MoveNetCodec, MoveNetLoss

    def __init__(self, num_keypoints=17, codec=None, loss_module=None, hidden=96, **kwargs):
        if loss_module is None and self.loss_class is not None:
            loss_module = self.loss_class()
        super().__init__(codec or self.codec_class(), loss_module, **kwargs)
        self.num_keypoints = num_keypoints
        self.hidden = hidden
        self.center = Branch(1, hidden, _RARE)
        self.kpt_heatmap = Branch(num_keypoints, hidden, _RARE)
        self.kpt_regress = Branch(2 * num_keypoints, hidden)
        self.kpt_offset = Branch(2 * num_keypoints, hidden)

    def call(self, features, training=None):
        x = features[0]
        return {
            "center": self.center(x),
            "heatmaps": self.kpt_heatmap(x),
            "displacements": self.kpt_regress(x),
            "offsets": self.kpt_offset(x),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "hidden": self.hidden,
        }


@keras.saving.register_keras_serializable(package="keras_pose")
class MoveNetMultiPoseHead(MoveNetHead):
    """The maps of `MoveNetHead` and those of the people's boxes; see `MoveNetMultiPoseCodec`.

    Args:
        codec: default `MoveNetMultiPoseCodec()`.
        loss_module: default None: how the network was trained was never published.
        num_keypoints, hidden: see `MoveNetHead`.

    Returns:
        What `MoveNetHead` returns, and `box_sizes` and `box_offsets` `(B, h, w, 2)` in cells,
        (y, x) pairs.
    """

    codec_class, loss_class = MoveNetMultiPoseCodec, None

    def __init__(self, num_keypoints=17, codec=None, loss_module=None, hidden=96, **kwargs):
        super().__init__(num_keypoints, codec, loss_module, hidden, **kwargs)
        self.box_scale = Branch(2, hidden)
        self.box_offset = Branch(2, hidden)

    def call(self, features, training=None):
        x = features[0]
        boxes = {"box_sizes": self.box_scale(x), "box_offsets": self.box_offset(x)}
        return {**super().call(features, training=training), **boxes}
