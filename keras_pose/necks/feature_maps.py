"""Necks without weights."""

import keras
from keras import ops

from keras_pose.layers import Composite, resize


@keras.saving.register_keras_serializable(package="keras_pose")
class GlobalAveragePooling(Composite):
    """The mean of each map: `(B, h, w, C)` to `(B, C)`, in a list."""

    def call(self, features):
        return [ops.mean(x, axis=(1, 2)) for x in features]


@keras.saving.register_keras_serializable(package="keras_pose")
class FeatureMapProcessor(Composite):
    """Picks, joins, cuts off and enlarges maps, in this order.

    Args:
        select_index: int or list of int, which maps to keep, in this order; None for all.
        concat: bool, whether to resize all maps to the first one's size and to join their channels.
        apply_relu: bool.
        scale_factor: float, enlargement of the maps; must give whole sizes.
        align_corners: bool, of all resizing, which is bilinear; see `layers.resize`.

    Returns:
        List of maps.
    """

    def __init__(
        self,
        select_index=None,
        concat=False,
        scale_factor=1.0,
        apply_relu=False,
        align_corners=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if scale_factor <= 0:
            raise ValueError(f"scale_factor must be above 0, got {scale_factor}")
        self.select_index = select_index
        self.concat = concat
        self.scale_factor = scale_factor
        self.apply_relu = apply_relu
        self.align_corners = align_corners

    def call(self, features):
        features = list(features)
        if self.select_index is not None:
            single = isinstance(self.select_index, int)
            indices = [self.select_index] if single else self.select_index
            if not all(-len(features) <= i < len(features) for i in indices):
                raise ValueError(
                    f"select_index {self.select_index} does not fit {len(features)} maps"
                )
            features = [features[i] for i in indices]
        if self.concat:
            size = features[0].shape[1:3]
            resized = [resize(x, size, align_corners=self.align_corners) for x in features]
            features = [ops.concatenate(resized, axis=-1)]
        if self.apply_relu:
            features = [ops.relu(x) for x in features]
        return [self._scaled(x) for x in features]

    def _scaled(self, x):
        size = [length * self.scale_factor for length in x.shape[1:3]]
        if any(length != int(length) for length in size):
            raise ValueError(
                f"scale_factor {self.scale_factor} does not fit maps of {tuple(x.shape[1:3])}"
            )
        return resize(x, [int(length) for length in size], align_corners=self.align_corners)

    def get_config(self):
        return {
            **super().get_config(),
            "select_index": self.select_index,
            "concat": self.concat,
            "scale_factor": self.scale_factor,
            "apply_relu": self.apply_relu,
            "align_corners": self.align_corners,
        }
