"""DEKR's head (Geng et al., 2021, https://arxiv.org/abs/2104.02300)."""

import keras
import numpy as np
from keras import ops

from keras_pose.backbones.resnet import BasicBlock
from keras_pose.codecs import SPR
from keras_pose.heads.head import Head
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    ConvModule,
    DeformableConv2D,
    Dense,
    Stack,
    component,
    serialized,
    set_kernel_initializer,
)
from keras_pose.losses import DEKRLoss

_TAPS = 9


class AdaptiveBlock(Composite):
    """A residual 3x3 convolution in groups, whose grid each pixel turns, stretches and moves.

    Args:
        channels: int, of input and output.
        groups: int, divides the channels; each has a grid of its own.
    """

    def __init__(self, channels, groups, **kwargs):
        super().__init__(**kwargs)
        self._groups = groups
        # Per group a matrix of two rows, that of y and that of x, for (y, x, 1) of a tap.
        self.transform_matrix_conv = Conv2D(6 * groups, 3, padding=1, groups=groups)
        self.adapt_conv = DeformableConv2D(
            channels, 3, deform_groups=groups, groups=groups, use_bias=False
        )
        self.norm = BatchNormalization()

    def call(self, x, training=None):
        y = self.norm(self.adapt_conv(x, self.offsets(x)), training=training)
        return ops.relu(y + x)

    def offsets(self, x):
        """Where taps lie beside a plain convolution's grid; see `DeformableConv2D`."""
        height, width = x.shape[1:3]
        matrices = self.transform_matrix_conv(x)
        matrices = ops.reshape(matrices, (-1, height * width, self._groups, 6))
        offsets = ops.matmul(matrices, ops.cast(_matrix_to_offsets(), matrices.dtype))
        return ops.reshape(offsets, (-1, height, width, self._groups * _TAPS * 2))


def _matrix_to_offsets():
    """`(6, 18)`: rows of a 2x3 matrix times it are (y, x) of all taps, row by row."""
    y, x = np.mgrid[-1:2, -1:2].reshape(2, -1).astype("float32")
    taps = np.stack([y, x, np.ones(_TAPS, "float32")])
    both = np.zeros((2, 3, _TAPS, 2), "float32")
    for axis in range(2):
        both[axis, :, :, axis] = taps
    return ops.convert_to_tensor(both.reshape(6, 2 * _TAPS))


@keras.saving.register_keras_serializable(package="keras_pose")
class PoseRescorer(Composite):
    """How likely a pose is, from the lengths and directions of its limbs and its keypoints' scores.

    It was trained after the network, with the truth at hand; no loss here trains it.

    Args:
        links: pairs of keypoint indices, in the order that the weights have learnt.
        unit_links: the two links whose mean length, at least a pixel, is the unit of lengths.
        hidden: int, width of its two layers.
    """

    def __init__(self, links, unit_links, hidden=256, **kwargs):
        # Half precision cannot name every pixel.
        super().__init__(autocast=False, **kwargs)
        self.links = [[int(end) for end in link] for link in links]
        self.unit_links = [int(i) for i in unit_links]
        self.hidden = int(hidden)
        if not all(0 <= i < len(self.links) for i in self.unit_links):
            raise ValueError(
                f"unit_links must be indices of the {len(self.links)} links, got {self.unit_links}"
            )
        self.l1 = Dense(self.hidden, activation="relu")
        self.l2 = Dense(self.hidden, activation="relu")
        self.l3 = Dense(1)

    def build(self, input_shape):
        """For a number of keypoints: `input_shape` is `(None, P, K)` of the scores."""
        self.call(
            keras.KerasTensor((*input_shape, 2), dtype="float32"),
            keras.KerasTensor(input_shape, dtype="float32"),
        )
        self.built = True

    def call(self, keypoints, scores):
        """Factors `(B, P)` for scores of poses.

        Args:
            keypoints: `(B, P, K, 2)` in input pixels.
            scores: `(B, P, K)`.
        """
        start, end = (np.array(ends, "int32") for ends in zip(*self.links, strict=True))
        limbs = ops.take(keypoints, start, axis=2) - ops.take(keypoints, end, axis=2)
        lengths = ops.sqrt(ops.sum(ops.square(limbs), axis=-1))
        first, second = self.unit_links
        unit = ops.maximum((lengths[..., first] + lengths[..., second]) / 2, 1.0)[..., None]
        limbs = ops.reshape(limbs, (-1, lengths.shape[1], 2 * len(self.links)))
        x = ops.concatenate([limbs / unit, lengths / unit, scores], axis=-1)
        return self.l3(self.l2(self.l1(x)))[..., 0]

    def compute_output_spec(self, keypoints, scores):
        return keras.KerasTensor(scores.shape[:2], dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "links": self.links,
            "unit_links": self.unit_links,
            "hidden": self.hidden,
        }


@keras.saving.register_keras_serializable(package="keras_pose")
class DEKRHead(Head):
    """Heatmaps of keypoints and roots, and each keypoint's displacement from the root.

    Every keypoint has features of its own, from convolutions that look where the keypoint is.

    Args:
        num_keypoints: int.
        codec: `SPR` or its config; default `SPR(sigma=(4, 2))`.
        loss_module: default `DEKRLoss()`.
        heatmap_filters: int, width of the part that makes heatmaps.
        keypoint_filters: int, width of the features of each keypoint.
        rescore_net: `PoseRescorer` or its config, which corrects the scores of poses; default
            None: they stay as they are.

    Returns:
        `heatmaps` `(B, h, w, K + 1)`, the roots last, and `displacements` `(B, h, w, 2K)` in cells,
        x and y of each keypoint.
    """

    def __init__(
        self,
        num_keypoints,
        codec=None,
        loss_module=None,
        heatmap_filters=32,
        keypoint_filters=15,
        rescore_net=None,
        **kwargs,
    ):
        super().__init__(codec or SPR(sigma=(4, 2)), loss_module or DEKRLoss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.heatmap_filters = heatmap_filters
        self.keypoint_filters = keypoint_filters
        self.heatmap_conv_layers = Stack(
            [
                ConvModule(heatmap_filters, 1),
                BasicBlock(heatmap_filters),
                Conv2D(num_keypoints + 1, 1),
            ]
        )
        width = num_keypoints * keypoint_filters
        self.displacement_conv_layers = Stack(
            [
                ConvModule(width, 1),
                AdaptiveBlock(width, num_keypoints),
                AdaptiveBlock(width, num_keypoints),
                Conv2D(2 * num_keypoints, 1, groups=num_keypoints),
            ]
        )
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))
        self.rescore_net = component(rescore_net)
        if self.rescore_net is not None:
            # No loss trains it, and it shall not decay.
            self.rescore_net.trainable = False

    def build(self, input_shape):
        super().build(input_shape)
        if self.rescore_net is not None and not self.rescore_net.built:
            self.rescore_net.build((None, 1, self.num_keypoints))

    def call(self, features, training=None):
        x = features[-1]
        maps = self.heatmap_conv_layers(x, training=training)
        ways = self.displacement_conv_layers(x, training=training)
        return {
            "heatmaps": ops.cast(maps, "float32"),
            "displacements": ops.cast(ways, "float32"),
        }

    def instances(self, outputs):
        """Where there is a `rescore_net`, what `SPR.people` finds, with other `root_scores`."""
        if self.rescore_net is None:
            return outputs
        people = self.codec.people(outputs)
        factors = self.rescore_net(people["keypoints"], people["scores"])
        sure = people["root_scores"] * ops.cast(factors, "float32")
        return {**people, "root_scores": sure}

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "heatmap_filters": self.heatmap_filters,
            "keypoint_filters": self.keypoint_filters,
            "rescore_net": serialized(self.rescore_net),
        }
