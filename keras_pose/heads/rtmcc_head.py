"""RTMPose's heads: SimCC whose keypoints attend to each other."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.heads.simcc_head import NARROW, NARROWER, map_vectors
from keras_pose.layers import (
    Conv2D,
    ConvModule,
    Dense,
    GatedAttentionUnit,
    ScaleNorm,
    Stack,
    pixel_shuffle,
)
from keras_pose.losses import KLDiscretLoss


class _AttendingHead(Head):
    """What these heads share: attention between keypoints and the last layers."""

    def __init__(self, num_keypoints, codec, loss_module, hidden, attention, kernel_size, **kwargs):
        super().__init__(codec, loss_module or KLDiscretLoss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.hidden = hidden
        self.attention = dict(attention or {})
        self.kernel_size = kernel_size
        self.gau = GatedAttentionUnit(hidden, **self.attention)
        columns, rows = self.codec.bins
        self.cls_x = Dense(columns, use_bias=False, kernel_initializer=NARROW)
        self.cls_y = Dense(rows, use_bias=False, kernel_initializer=NARROW)

    def _vectors(self, tokens, training):
        tokens = self.gau(tokens, training=training)
        layers = self._classifiers().items()
        return {axis: ops.cast(layer(tokens), "float32") for axis, layer in layers}

    def _classifiers(self):
        return {"x": self.cls_x, "y": self.cls_y}

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "hidden": self.hidden,
            "attention": self.attention,
            "kernel_size": self.kernel_size,
        }


def _embedding(width):
    return Stack([ScaleNorm(), Dense(width, use_bias=False, kernel_initializer=NARROW)])


@keras.saving.register_keras_serializable(package="keras_pose")
class RTMCCHead(_AttendingHead):
    """Logits over the bins of x and y from the last feature map (https://arxiv.org/abs/2303.07399).

    Args:
        num_keypoints: int.
        codec: `SimCCLabel`, which knows the numbers of bins.
        loss_module: default `KLDiscretLoss()`.
        hidden: int, width of a keypoint's token.
        attention: settings of the `GatedAttentionUnit` beside its width.
        kernel_size: odd int, of the convolution that makes one map per keypoint.

    Returns:
        `{"x": (B, K, Wx), "y": (B, K, Wy)}`.
    """

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        hidden=256,
        attention=None,
        kernel_size=7,
        **kwargs,
    ):
        super().__init__(
            num_keypoints, codec, loss_module, hidden, attention, kernel_size, **kwargs
        )
        self.final_layer = Conv2D(
            num_keypoints, kernel_size, padding=kernel_size // 2, kernel_initializer=NARROWER
        )
        self.mlp = _embedding(hidden)

    def call(self, features, training=None):
        tokens = self.mlp(map_vectors(self.final_layer(features[-1])))
        return self._vectors(tokens, training)


@keras.saving.register_keras_serializable(package="keras_pose")
class RTMWHead(_AttendingHead):
    """Logits over the bins of x and y from two levels (https://arxiv.org/abs/2407.08634).

    The coarse level, its channels made pixels, joins the fine one; both give half of a token.

    Args:
        num_keypoints: int.
        codec: `SimCCLabel`, which knows the numbers of bins.
        in_channels: int, channels of the coarse level.
        (others): as in `RTMCCHead`.

    Returns:
        `{"x": (B, K, Wx), "y": (B, K, Wy)}`.
    """

    def __init__(
        self,
        num_keypoints,
        codec,
        in_channels,
        loss_module=None,
        hidden=256,
        attention=None,
        kernel_size=7,
        **kwargs,
    ):
        super().__init__(
            num_keypoints, codec, loss_module, hidden, attention, kernel_size, **kwargs
        )
        self.in_channels = in_channels
        self.conv_dec = ConvModule(in_channels // 4, kernel_size)
        self.final_layer = ConvModule(num_keypoints, kernel_size)
        self.final_layer2 = ConvModule(num_keypoints, kernel_size)
        self.mlp = _embedding(hidden // 2)
        self.mlp2 = _embedding(hidden // 2)

    def call(self, features, training=None):
        fine, coarse = features
        first = self.mlp(map_vectors(self.final_layer(coarse, training=training)))
        enlarged = self.conv_dec(pixel_shuffle(coarse, 2), training=training)
        joined = ops.concatenate([enlarged, fine], axis=-1)
        second = self.mlp2(map_vectors(self.final_layer2(joined, training=training)))
        return self._vectors(ops.concatenate([first, second], axis=-1), training)

    def get_config(self):
        return {**super().get_config(), "in_channels": self.in_channels}


@keras.saving.register_keras_serializable(package="keras_pose")
class RTMW3DHead(RTMWHead):
    """Logits over the bins of x, y and depth from two levels (https://arxiv.org/abs/2407.08634).

    Args:
        codec: `SimCC3DLabel`, which knows the numbers of bins.
        loss_module: default a `KLDiscretLoss` over three axes, sharpened as in published models.
            Losses may read `coordinates` `(B, K, 3)`, the bins of the maxima of outputs and
            targets, which have no gradient: a `BoneLoss` of them shows how training goes.
        (others): as in `RTMWHead`.

    Returns:
        `{"x": (B, K, Wx), "y": (B, K, Wy), "z": (B, K, Wz)}`.
    """

    def __init__(self, num_keypoints, codec, in_channels, loss_module=None, **kwargs):
        if loss_module is None:
            loss_module = KLDiscretLoss(
                key=("x", "y", "z"), beta=10.0, label_softmax=True, weights_per_axis=True
            )
        super().__init__(num_keypoints, codec, in_channels, loss_module, **kwargs)
        if max(self.codec.root_index) >= num_keypoints:
            raise ValueError(
                f"the codec's root_index {self.codec.root_index} does not fit {num_keypoints} "
                "keypoints: give it the root of this skeleton"
            )
        self.cls_z = Dense(self.codec.depth_bins, use_bias=False, kernel_initializer=NARROW)

    def _classifiers(self):
        return {**super()._classifiers(), "z": self.cls_z}

    def compare(self, targets, outputs, training=False):
        deep = ops.cast(ops.any(targets["z_weights"] > 0, axis=1), "float32")
        targets, outputs = (
            {**each, "coordinates": self.codec.places(each, deep)} for each in (targets, outputs)
        )
        return super().compare(targets, outputs, training=training)
