"""Heatmaps from every level of every stage, as in MSPN and RSN."""

import keras
from keras import ops

from keras_pose.codecs import MultilevelHeatmap
from keras_pose.heads.head import Head, staged_heatmaps
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    ConvModule,
    Dense,
    SeparableConvModule,
    Stack,
    component,
    resize,
    set_kernel_initializer,
)
from keras_pose.losses import KeypointMSELoss, MultilevelLoss


class PoseRefineMachine(Composite):
    """Maps scaled by a gate per channel and a gate per pixel (https://arxiv.org/abs/2003.04030).

    Args:
        channels: int, width of the maps.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.conv_bn_relu_prm_1 = ConvModule(channels, 3)
        normal = keras.initializers.RandomNormal(stddev=0.01)
        self.middle_path = Stack()
        for _ in range(2):
            self.middle_path.append(Dense(channels, kernel_initializer=normal))
            self.middle_path.append(BatchNormalization())
            self.middle_path.append(keras.layers.ReLU())
        pixels = SeparableConvModule(
            1,
            9,
            norm="batch",
            activation="relu",
            depthwise_norm="batch",
            depthwise_activation="relu",
        )
        self.bottom_path = Stack([ConvModule(channels, 1), pixels])

    def call(self, x, training=None):
        x = self.conv_bn_relu_prm_1(x, training=training)
        # Sigmoids of what a ReLU made: no gate is below a half.
        means = ops.mean(x, axis=(1, 2))
        of_channels = ops.sigmoid(self.middle_path(means, training=training))[:, None, None]
        of_pixels = ops.sigmoid(self.bottom_path(x, training=training))
        return x * (1 + of_channels * of_pixels)


class PredictHeatmap(Composite):
    """Heatmaps from one feature map.

    Args:
        filters: int, number of maps.
        channels: int, width of the feature map.
        size: (height, width) of the heatmaps.
        refine: bool, whether a pose refine machine follows.
    """

    def __init__(self, filters, channels, size, refine, **kwargs):
        super().__init__(**kwargs)
        self._size = size
        self.conv_layers = Stack([ConvModule(channels, 1), ConvModule(filters, 3, activation=None)])
        self.prm = PoseRefineMachine(filters) if refine else None

    def call(self, x, training=None):
        x = self.conv_layers(x, training=training)
        x = resize(x, self._size, align_corners=True)
        return x if self.prm is None else self.prm(x, training=training)


@keras.saving.register_keras_serializable(package="keras_pose")
class MSPNHead(Head):
    """Heatmaps from each map of each stage; the last ones are the prediction.

    Args:
        num_keypoints: int.
        codec: a heatmap codec; `MultilevelHeatmap` for targets that differ from map to map. One
            that is none becomes the only level of one.
        loss_module: default `MultilevelLoss(KeypointMSELoss())`.
        num_stages: int, how many lists of maps come in.
        num_units: int, how many maps each list has.
        unit_channels: int, width of the maps.
        use_prm: bool, whether a pose refine machine follows each prediction.

    Returns:
        `{"heatmaps": (B, h, w, K)}` of the last map, and where there are others
        `{"intermediate_heatmaps": (B, S - 1, h, w, K)}` of those before, stage by stage.
    """

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        num_stages=4,
        num_units=4,
        unit_channels=256,
        use_prm=False,
        **kwargs,
    ):
        codec = component(codec)
        if not isinstance(codec, MultilevelHeatmap):
            codec = MultilevelHeatmap([codec])
        super().__init__(codec, loss_module or MultilevelLoss(KeypointMSELoss()), **kwargs)
        self.num_keypoints = num_keypoints
        self.num_stages = num_stages
        self.num_units = num_units
        self.unit_channels = unit_channels
        self.use_prm = use_prm
        filters = num_keypoints * codec.maps_per_keypoint
        size = tuple(codec.heatmap_size)[::-1]
        self.predict_layers = Stack(
            [
                PredictHeatmap(filters, unit_channels, size, use_prm)
                for _ in range(num_stages * num_units)
            ]
        )
        set_kernel_initializer(
            self, keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        )

    def call(self, features, training=None):
        counts = [len(maps) for maps in features]
        if counts != [self.num_units] * self.num_stages:
            raise ValueError(
                f"the head reads {self.num_stages} lists of {self.num_units} maps, got lists of "
                f"{counts}"
            )
        maps = [x for stage in features for x in stage]
        heatmaps = [
            layer(x, training=training) for layer, x in zip(self.predict_layers, maps, strict=True)
        ]
        return staged_heatmaps(heatmaps)

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "num_stages": self.num_stages,
            "num_units": self.num_units,
            "unit_channels": self.unit_channels,
            "use_prm": self.use_prm,
        }
