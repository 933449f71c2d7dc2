"""Contextual instance decoupling (CID, Wang and Zhang, 2022): maps of each person alone."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs import DecoupledHeatmap
from keras_pose.codecs.decoding import constant, rows_at
from keras_pose.codecs.decoupled_heatmap import smoothed
from keras_pose.heads.head import Head
from keras_pose.layers import Composite, Conv2D, Dense
from keras_pose.losses import CIDLoss

# Probabilities stay away from 0 and 1, of which the losses take logarithms.
_LEAST = 1e-4
# Most pixels show nothing.
_BIAS = -np.log(99).item()
# What distances to the root are divided by, in cells.
_REACH = 32.0


def _normal():
    return keras.initializers.RandomNormal(stddev=0.001)


def _convolution(filters, kernel_size=1, bias=0.0):
    return Conv2D(
        filters,
        kernel_size,
        padding=kernel_size // 2,
        kernel_initializer=_normal(),
        bias_initializer=keras.initializers.Constant(bias),
    )


def _probability(logits):
    return ops.clip(ops.sigmoid(ops.cast(logits, "float32")), _LEAST, 1 - _LEAST)


class InstanceAbstraction(Composite):
    """Shared heatmaps of all people's keypoints and roots (the paper's IIA)."""

    def __init__(self, num_keypoints, **kwargs):
        super().__init__(**kwargs)
        self.keypoint_root_conv = _convolution(num_keypoints + 1, bias=_BIAS)

    def call(self, features):
        return _probability(self.keypoint_root_conv(features))


class ChannelAttention(Composite):
    """A factor per channel from a person's features."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.atn = Dense(channels, kernel_initializer=_normal())

    def call(self, columns):
        return self.atn(columns)


class SpatialAttention(Composite):
    """A factor per pixel from a person's features and the way to the root."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.atn = Dense(channels, kernel_initializer=_normal())
        self.conv = _convolution(1, 5)

    def call(self, maps, columns, cells):
        """Factors `(B, P, h * w)`; see `FeatureDecoupling`."""
        _, height, width, channels = maps.shape
        pixels = ops.reshape(maps, (-1, height * width, channels))
        people = columns.shape[1]
        alike = ops.matmul(self.atn(columns), ops.swapaxes(pixels, 1, 2))
        y, x = np.mgrid[:height, :width].reshape(2, 1, 1, -1) + 0.5
        across, down = (
            (cells[..., i, None] - constant(place)[0]) / _REACH for i, place in ((0, x), (1, y))
        )
        planes = [alike, *(ops.cast(way, alike.dtype) for way in (across, down))]
        planes = ops.reshape(ops.stack(planes, axis=-1), (-1, height, width, 3))
        return ops.reshape(ops.sigmoid(self.conv(planes)), (-1, people, height * width))


class FeatureDecoupling(Composite):
    """Heatmaps of each person alone from features of all (the paper's GFD)."""

    def __init__(self, num_keypoints, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.conv_down = _convolution(channels)
        self.channel_attention = ChannelAttention(channels)
        self.spatial_attention = SpatialAttention(channels)
        self.fuse_attention = _convolution(channels)
        self.heatmap_conv = _convolution(num_keypoints, bias=_BIAS)

    def build(self, input_shape):
        """Builds everything for features `(B, h, w, C)`; `call` needs people besides."""
        self.conv_down.build(input_shape)
        columns = (None, None, input_shape[-1])
        for attention in (self.channel_attention, self.spatial_attention):
            attention.atn.build(columns)
            attention.built = True
        self.spatial_attention.conv.build((None, None, None, 3))
        self.fuse_attention.build((None, None, None, 2 * self.channels))
        self.heatmap_conv.build((None, None, None, self.channels))
        self.built = True

    def call(self, maps, columns, cells):
        """Maps of P people of each image.

        A convolution over two products, of maps with a factor per channel and with one per pixel,
        is one whose weights have the factors, and one of the maps times the factors: no person
        needs maps of their own before the sum.

        Args:
            maps: `(B, h, w, C')`, of `conv_down`.
            columns: `(B, P, C)`, the features at the roots.
            cells: `(B, P, 2)`, the roots (x, y).

        Returns:
            `(B, h, w, P, K)` in 0..1, float32.
        """
        _, height, width, channels = maps.shape
        people = columns.shape[1]
        pixels = ops.reshape(maps, (-1, height * width, channels))
        kernel = ops.cast(self.fuse_attention.kernel[0, 0], maps.dtype)
        own = self.channel_attention(columns)[..., None] * kernel[:channels]
        own = ops.reshape(ops.transpose(own, (0, 2, 1, 3)), (-1, channels, people * channels))
        own = ops.reshape(ops.matmul(pixels, own), (-1, height * width, people, channels))
        near = self.spatial_attention(maps, columns, cells)
        near = ops.transpose(near, (0, 2, 1))[..., None]
        shared = ops.matmul(pixels, kernel[channels:])[:, :, None]
        fused = ops.relu(own + near * shared + ops.cast(self.fuse_attention.bias, maps.dtype))
        fused = ops.reshape(fused, (-1, height, width * people, channels))
        drawn = _probability(self.heatmap_conv(fused))
        return ops.reshape(drawn, (-1, height, width, people, drawn.shape[-1]))


@keras.saving.register_keras_serializable(package="keras_pose")
class CIDHead(Head):
    """Heatmaps that people share, and for each root that they show heatmaps of one person.

    Of CID (Wang and Zhang, 2022).

    Args:
        num_keypoints: int.
        codec: default `DecoupledHeatmap()`.
        loss_module: default `CIDLoss()`.
        gfd_channels: int, width of the layers that draw people.
        max_train_instances: int, people of a batch that a training step draws; of more a random
            part.

    Returns:
        `heatmaps` `(B, h, w, K + 1)` in 0..1, the root's last, and the `features` themselves
        `(B, h, w, C)`.
    """

    def __init__(
        self,
        num_keypoints,
        codec=None,
        loss_module=None,
        gfd_channels=32,
        max_train_instances=200,
        **kwargs,
    ):
        super().__init__(codec or DecoupledHeatmap(), loss_module or CIDLoss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.gfd_channels = int(gfd_channels)
        self.max_train_instances = int(max_train_instances)
        self.iia_module = InstanceAbstraction(num_keypoints)
        self.gfd_module = FeatureDecoupling(num_keypoints, self.gfd_channels)

    def build(self, input_shape):
        super().build(input_shape)
        self.gfd_module.build(input_shape[-1])

    def call(self, features, training=None):
        x = features[-1]
        return {"heatmaps": self.iia_module(x), "features": ops.cast(x, "float32")}

    def instances(self, outputs):
        """Maps of the people whose roots the shared maps show.

        Returns:
            `instance_heatmaps` `(B, h, w, P, K)`, smoothed, and `root_scores` `(B, P)`.
        """
        scores, cells = self.codec.roots(outputs["heatmaps"])
        maps = self._drawn(outputs["features"], cells)
        if "mirrored_features" in outputs:
            other = self._drawn(outputs["mirrored_features"], cells)
            maps = 0.5 * (maps + ops.take(other, outputs["order"][0], axis=-1))
        _, height, width, people, count = maps.shape
        maps = smoothed(ops.reshape(maps, (-1, height, width, people * count)))
        maps = ops.reshape(maps, (-1, height, width, people, count))
        return {"instance_heatmaps": maps, "root_scores": scores}

    def _drawn(self, features, cells):
        columns = _columns(features, cells)
        return self.gfd_module(self.gfd_module.conv_down(features), columns, cells)

    def compare(self, targets, outputs, training=False):
        """The terms of the loss; people are drawn around the roots of the targets."""
        features, cells = outputs["features"], targets["cells"]
        height, width = features.shape[1:3]
        if targets["heatmaps"].shape[1:3] != (height, width):
            raise ValueError(
                f"the labels' masks have {targets['heatmaps'].shape[1:3]} pixels, the head's maps "
                f"{(height, width)}: masks need one for {self.codec.stride}x{self.codec.stride} "
                "pixels of the input"
            )
        columns = _columns(features, cells)
        chosen, image = self._chosen(targets)
        maps = ops.take(self.gfd_module.conv_down(features), image, axis=0)
        of = {
            name: _flat_rows(targets[name], chosen)
            for name in ("points", "visible", "sigmas", "cells", "present", "keypoint_weights")
            if name in targets
        }
        drawn = self.gfd_module(maps, _flat_rows(columns, chosen), of["cells"])
        truth, weights = self.codec.instance_targets(of, (width, height))
        return self.loss_module(
            {
                **{name: targets[name] for name in ("heatmaps", "mask", "present")},
                "instance_heatmaps": truth[:, 0],
                "instance_weights": (weights * of["present"][..., None])[:, 0],
            },
            {
                "heatmaps": outputs["heatmaps"],
                "instance_features": columns,
                "instance_heatmaps": drawn[:, :, :, 0],
            },
        )

    def _chosen(self, targets):
        """Which of all people of a batch are drawn `(M,)`, and the image of each."""
        present = targets["present"]
        people = present.shape[1]
        rank = ops.reshape(present * (1 + targets["draws"]), (-1,))
        count = self.max_train_instances
        if rank.shape[0] is None:
            # A batch of unknown size may have fewer people than are drawn.
            rank = ops.concatenate([rank, ops.zeros(count) - 1], axis=0)
            last = ops.shape(present)[0] * people - 1
            chosen = ops.minimum(ops.top_k(rank, count)[1], last)
        else:
            chosen = ops.top_k(rank, min(count, rank.shape[0]))[1]
        return chosen, chosen // people

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "gfd_channels": self.gfd_channels,
            "max_train_instances": self.max_train_instances,
        }


def _columns(features, cells):
    """What features `(B, h, w, C)` are at cells (x, y) `(B, P, 2)`: `(B, P, C)`."""
    _, height, width, channels = features.shape
    places = ops.cast(cells[..., 1] * width + cells[..., 0], "int32")
    return rows_at(ops.reshape(features, (-1, height * width, channels)), places)


def _flat_rows(values, rows):
    """Of values `(B, N, ...)` those of some people of the whole batch, `(M, 1, ...)`."""
    values = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.take(values, rows, axis=0)[:, None]
