"""RTMO: one-stage poses whose keypoints are classified (https://arxiv.org/abs/2312.07526)."""

import math

import keras
from keras import ops

from keras_pose.codecs import RTMOCodec
from keras_pose.codecs.decoding import rows_at
from keras_pose.codecs.priors import flattened, prior_points
from keras_pose.heads.dynamic_coordinate_classifier import DynamicCoordinateClassifier
from keras_pose.heads.head import Head
from keras_pose.layers import Composite, Conv2D, Stack
from keras_pose.layers.csp import CSPConv
from keras_pose.losses import RTMOLoss

# A cell without anybody starts with this chance of being somebody.
_RARE = 0.01


class RTMOHeadModule(Composite):
    """The layers that look at maps: per level a branch for scores and one for poses.

    The first half of a map's channels goes into the one, the second half into the other.
    """

    def __init__(
        self,
        num_keypoints,
        levels,
        cls_filters,
        pose_filters,
        groups,
        stacked_convs,
        vector_channels,
        settings,
        **kwargs,
    ):
        super().__init__(**kwargs)

        def branches(depth, filters, groups):
            return Stack(
                [
                    Stack(
                        [
                            CSPConv(filters, 3, groups=groups if i else 1, **settings)
                            for i in range(depth)
                        ]
                    )
                    for _ in range(levels)
                ]
            )

        def outputs(channels, bias=0.0):
            return Stack([_output(channels, bias) for _ in range(levels)])

        self.conv_cls = branches(stacked_convs, cls_filters, 1)
        self.conv_pose = branches(2 * stacked_convs, pose_filters, groups)
        self.out_cls = outputs(1, -math.log((1 - _RARE) / _RARE))
        self.out_bbox = outputs(4)
        self.out_kpt_reg = outputs(2 * num_keypoints)
        self.out_kpt_vis = outputs(num_keypoints)
        self.out_pose = outputs(vector_channels)

    def call(self, features, training=None):
        maps = {name: [] for name in ("classes", "boxes", "offsets", "visibility", "pose_vectors")}
        for i, x in enumerate(features):
            half = x.shape[-1] // 2
            whose = self.conv_cls[i](x[..., :half], training=training)
            pose = self.conv_pose[i](x[..., half:], training=training)
            maps["classes"].append(self.out_cls[i](whose))
            maps["boxes"].append(self.out_bbox[i](pose))
            maps["offsets"].append(self.out_kpt_reg[i](pose))
            maps["visibility"].append(self.out_kpt_vis[i](pose))
            maps["pose_vectors"].append(self.out_pose[i](pose))
        return {name: flattened(levels) for name, levels in maps.items()}


@keras.saving.register_keras_serializable(package="keras_pose")
class RTMOHead(Head):
    """Says of each cell how sure it is of somebody, and that one's box and a vector of the pose.

    Keypoints of the people that are left are found by a `DynamicCoordinateClassifier`.

    Args:
        num_keypoints: int.
        codec: default `RTMOCodec()`.
        loss_module: `RTMOLoss` or its config; default one without sigmas, which those of a skeleton
            should replace where it has some.
        strides: ints, input pixels per cell of the levels, fine to coarse.
        cls_filters: int, width of the branch of scores.
        channels_per_group: int, width of a group of the branch of poses.
        groups: int, in which its 3x3 convolutions but the first are.
        stacked_convs: int, 3x3 convolutions of the branch of scores; that of poses has twice as
            many.
        vector_channels: int, width of a pose vector.
        classifier: settings of the `DynamicCoordinateClassifier` beside the number of keypoints.
        norm_epsilon, norm_momentum: of every `BatchNormalization` but the classifier's.
        activation: name.

    Returns:
        Of all P cells of the levels, one level after the other and row by row, float32: `classes`
        `(B, P, 1)` logits; `boxes` `(B, P, 4)` in the terms of `codecs.priors.decode_boxes`;
        `visibility` `(B, P, K)` logits; `pose_vectors` `(B, P, C)`; `priors` `(B, P, 3)` x, y,
        stride; and `offsets` `(B, P, 2K)`, guesses of the keypoints in strides that only training
        uses.
    """

    def __init__(
        self,
        num_keypoints=17,
        codec=None,
        loss_module=None,
        strides=(16, 32),
        cls_filters=256,
        channels_per_group=36,
        groups=8,
        stacked_convs=2,
        vector_channels=512,
        classifier=None,
        norm_epsilon=1e-3,
        norm_momentum=0.97,
        activation="silu",
        **kwargs,
    ):
        super().__init__(codec or RTMOCodec(), loss_module or RTMOLoss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.strides = tuple(strides)
        self.cls_filters = cls_filters
        self.channels_per_group = channels_per_group
        self.groups = groups
        self.stacked_convs = stacked_convs
        self.vector_channels = vector_channels
        self.classifier = dict(classifier or {})
        self.norm_epsilon = norm_epsilon
        self.norm_momentum = norm_momentum
        self.activation = activation
        self.head_module = RTMOHeadModule(
            num_keypoints,
            len(self.strides),
            cls_filters,
            channels_per_group * groups,
            groups,
            stacked_convs,
            vector_channels,
            {
                "norm": {"epsilon": norm_epsilon, "momentum": norm_momentum},
                "activation": activation,
            },
        )
        self.dcc = DynamicCoordinateClassifier(num_keypoints, **self.classifier)

    def build(self, input_shape):
        # `call` leaves it out.
        self.dcc.build((None, self.vector_channels))
        super().build(input_shape)

    def call(self, features, training=None):
        if len(features) != len(self.strides):
            raise ValueError(
                f"the head has strides {list(self.strides)} for {len(features)} levels of features"
            )
        outputs = self.head_module(features, training=training)
        shapes = [ops.shape(each)[1:3] for each in features]
        priors = prior_points(shapes, self.strides, centred=True)
        return {**outputs, "priors": ops.zeros_like(outputs["boxes"][..., :3]) + priors}

    def instances(self, outputs):
        """People in the slots of the codec, the surest first; those of empty slots mean nothing.

        Args:
            outputs: of `call`.

        Returns:
            `keypoints` `(B, S, K, 2)` and `boxes` `(B, S, 4)` xyxy in input pixels, `visibility`
            `(B, S, K)` logits, `box_scores` `(B, S)`, 0 in empty slots, and all `priors`.
        """
        index, boxes, scores = self.codec.people(outputs)
        vectors = rows_at(outputs["pose_vectors"], index)
        points = rows_at(outputs["priors"], index)[..., :2]
        rows = [ops.reshape(each, (-1, each.shape[-1])) for each in (vectors, boxes, points)]
        found = self.dcc(*rows)["keypoints"]
        slots = index.shape[1]
        return {
            "keypoints": ops.reshape(found, (-1, slots, self.num_keypoints, 2)),
            "boxes": boxes,
            "visibility": rows_at(outputs["visibility"], index),
            "box_scores": scores,
            "priors": outputs["priors"],
        }

    def compare(self, targets, outputs, training=False):
        def classify(vectors, boxes, points, counted):
            found = self.dcc(vectors, boxes, points, training=training, counted=counted)
            return {**found, "sigmas": self.dcc.sigmas(vectors)}

        return self.loss_module(targets, outputs, classify)

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "strides": self.strides,
            "cls_filters": self.cls_filters,
            "channels_per_group": self.channels_per_group,
            "groups": self.groups,
            "stacked_convs": self.stacked_convs,
            "vector_channels": self.vector_channels,
            "classifier": self.classifier,
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
