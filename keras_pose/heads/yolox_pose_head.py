"""YOLOX's decoupled head (https://arxiv.org/abs/2107.08430) with branches for poses."""

import math

import keras
from keras import ops

from keras_pose.codecs import YOLOXPoseCodec
from keras_pose.codecs.priors import flattened, prior_points
from keras_pose.heads.head import Head
from keras_pose.layers import Composite, Conv2D, Stack
from keras_pose.layers.csp import CSPConv
from keras_pose.losses import YOLOXPoseLoss

# A cell without anybody starts with this chance of being somebody.
_RARE = 0.01


class YOLOXPoseHeadModule(Composite):
    """The layers: per level one branch for classes, one for boxes, one for poses."""

    def __init__(self, num_keypoints, levels, filters, stacked_convs, settings, **kwargs):
        super().__init__(**kwargs)

        def branches(depth):
            return Stack(
                [
                    Stack([CSPConv(filters, 3, **settings) for _ in range(depth)])
                    for _ in range(levels)
                ]
            )

        def outputs(channels, rare=False):
            bias = -math.log((1 - _RARE) / _RARE) if rare else 0.0
            return Stack([_output(channels, bias) for _ in range(levels)])

        self.conv_cls = branches(stacked_convs)
        self.conv_reg = branches(stacked_convs)
        self.conv_pose = branches(2 * stacked_convs)
        self.out_cls = outputs(1, rare=True)
        self.out_obj = outputs(1, rare=True)
        self.out_bbox = outputs(4)
        self.out_kpt = outputs(2 * num_keypoints)
        self.out_kpt_vis = outputs(num_keypoints)

    def call(self, features, training=None):
        maps = {name: [] for name in ("classes", "objectness", "boxes", "offsets", "visibility")}
        for i, x in enumerate(features):
            whose = self.conv_cls[i](x, training=training)
            where = self.conv_reg[i](x, training=training)
            pose = self.conv_pose[i](x, training=training)
            maps["classes"].append(self.out_cls[i](whose))
            maps["objectness"].append(self.out_obj[i](where))
            maps["boxes"].append(self.out_bbox[i](where))
            maps["offsets"].append(self.out_kpt[i](pose))
            maps["visibility"].append(self.out_kpt_vis[i](pose))
        return {name: flattened(levels) for name, levels in maps.items()}


@keras.saving.register_keras_serializable(package="keras_pose")
class YOLOXPoseHead(Head):
    """Says of each cell how sure it is of somebody, and that one's box and keypoints.

    Args:
        num_keypoints: int.
        codec: default `YOLOXPoseCodec()`.
        loss_module: `YOLOXPoseLoss` or its config; default one without sigmas, which those of a
            skeleton should replace where it has some.
        strides: ints, input pixels per cell of the levels, fine to coarse.
        filters: int, width of all branches.
        stacked_convs: int, 3x3 convolutions of the branches of classes and boxes; that of poses
            has twice as many.
        norm_epsilon, norm_momentum: of every `BatchNormalization`.
        activation: name.

    Returns:
        Of all P cells of the levels, one level after the other and row by row, float32: logits
        `classes` and `objectness` `(B, P, 1)`; `boxes` `(B, P, 4)` in the terms of
        `codecs.priors.decode_boxes`; `offsets` `(B, P, 2K)` of keypoints in strides, x and y of
        each; `visibility` `(B, P, K)` logits; and `priors` `(B, P, 3)` x, y, stride.
    """

    def __init__(
        self,
        num_keypoints=17,
        codec=None,
        loss_module=None,
        strides=(8, 16, 32),
        filters=256,
        stacked_convs=2,
        norm_epsilon=1e-3,
        norm_momentum=0.97,
        activation="silu",
        **kwargs,
    ):
        super().__init__(codec or YOLOXPoseCodec(), loss_module or YOLOXPoseLoss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.strides = tuple(strides)
        self.filters = filters
        self.stacked_convs = stacked_convs
        self.norm_epsilon = norm_epsilon
        self.norm_momentum = norm_momentum
        self.activation = activation
        self.head_module = YOLOXPoseHeadModule(
            num_keypoints,
            len(self.strides),
            filters,
            stacked_convs,
            {
                "norm": {"epsilon": norm_epsilon, "momentum": norm_momentum},
                "activation": activation,
            },
        )

    def call(self, features, training=None):
        if len(features) != len(self.strides):
            raise ValueError(
                f"the head has strides {list(self.strides)} for {len(features)} levels of features"
            )
        outputs = self.head_module(features, training=training)
        priors = prior_points([ops.shape(each)[1:3] for each in features], self.strides)
        return {**outputs, "priors": ops.zeros_like(outputs["boxes"][..., :3]) + priors}

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "strides": self.strides,
            "filters": self.filters,
            "stacked_convs": self.stacked_convs,
            "norm_epsilon": self.norm_epsilon,
            "norm_momentum": self.norm_momentum,
            "activation": self.activation,
        }


def _output(channels, bias):
    return Conv2D(
        channels,
        1,
        kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
        bias_initializer=keras.initializers.Constant(bias),
    )
