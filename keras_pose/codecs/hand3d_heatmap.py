"""Volumes of two hands, as InterNet learns them (https://arxiv.org/abs/2008.09309)."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec, label_weights
from keras_pose.codecs.decoding import constant, volume_maximum


@keras.saving.register_keras_serializable(package="keras_pose")
class Hand3DHeatmap(Codec):
    """A volume over x, y and depth for every joint, the depth between the wrists, and which hands
    are there.

    Depths are millimetres, larger the farther away: those of joints from the wrist of their own
    hand, `root_depth` that of the left wrist from the right one.

    Labels are `keypoints` `(B, N, K, 3)`, x, y in input pixels and the depth from the wrist, as
    `joint_depths` of `read_interhand`; optionally `hand_type` `(B, 2)`, right and left, 1 for a
    hand that is there, `root_depth` `(B,)`, and `hand_type_valid` and `root_depth_valid` `(B,)`
    (default 1). A part without labels learns nothing.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the volumes.
        depth_size: int, their depth.
        root_size: int, bins of the depth between the wrists.
        sigma: float, deviation of the Gaussians in voxels.
        peak: float, their height. Scores are parts of it, so that 1 is certain, where the
            reference gives the height itself.
        depth_bound, root_depth_bound: floats, millimetres from one end to the other of the depths
            of joints and of the depth between the wrists, whose middle is 0.
        joint_indices: ints, the keypoints of the labels that the volumes are of; default: all.
    """

    optional_label_keys = (
        "weights",
        "hand_type",
        "hand_type_valid",
        "root_depth",
        "root_depth_valid",
    )
    label_dimensions = (3,)
    depth_column = "joint_depths"
    depth = "depth from the wrist of its hand in millimetres, larger the farther away"

    def __init__(
        self,
        input_size,
        heatmap_size,
        depth_size=64,
        root_size=64,
        sigma=2.0,
        peak=1.0,
        depth_bound=400.0,
        root_depth_bound=400.0,
        joint_indices: Sequence[int] | None = None,
    ):
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.depth_size = int(depth_size)
        self.root_size = int(root_size)
        self.sigma = float(sigma)
        self.peak = float(peak)
        self.depth_bound = float(depth_bound)
        self.root_depth_bound = float(root_depth_bound)
        self.joint_indices = None if joint_indices is None else list(map(int, joint_indices))

    def encode(self, labels):
        """`heatmaps` `(B, h, w, K, D)` and their `weights` `(B, K)`; `root` `(B, 1)` in bins,
        `hand_type` `(B, 2)`, and the weights of both, `root_weights` and `hand_type_weights`
        `(B, 1)`.

        A Gaussian reaches 3 deviations. The reference leaves every other voxel of it empty where it
        begins midway between two voxels; here all are filled.
        """
        points = ops.cast(labels["keypoints"][:, 0], "float32")
        weights = ops.cast(label_weights(labels)[:, 0], "float32")
        if self.joint_indices is not None:
            indices = ops.convert_to_tensor(np.array(self.joint_indices, "int32"))
            points, weights = ops.take(points, indices, 1), ops.take(weights, indices, 1)
        sizes = (*self.heatmap_size, self.depth_size)
        scale = np.divide(self.heatmap_size, self.input_size)
        centers = points * constant([*scale, self.depth_size / self.depth_bound])
        centers = centers + constant([0, 0, self.depth_size / 2])
        x, y, z = (self._vector(centers[..., i], size) for i, size in enumerate(sizes))
        depths = centers[..., 2]
        inside = ops.cast((depths >= 0) & (depths < self.depth_size), "float32")
        across = ops.transpose(y, (0, 2, 1))[:, :, None] * ops.transpose(x, (0, 2, 1))[:, None]
        return {
            "heatmaps": across[..., None] * (self.peak * z)[:, None, None],
            "weights": weights * inside,
            **self._root_and_type(labels, points),
        }

    def _vector(self, centers, size):
        """Gaussians `(B, K, size)` about centers `(B, K)`; what would lie beyond an end is its
        last voxel's."""
        reach = 3 * self.sigma
        first = ops.round(centers - reach)
        last = ops.round(centers - reach + np.ceil(2 * reach))
        first, last = (ops.clip(end, 0.0, float(size - 1))[..., None] for end in (first, last))
        voxels = constant(np.arange(size))
        near = ops.exp(-ops.square(voxels - centers[..., None]) / (2 * self.sigma**2))
        return near * ops.cast((voxels >= first) & (voxels <= last), "float32")

    def _root_and_type(self, labels, points):
        column = ops.zeros_like(points[:, :1, 0])

        def given(name, default):
            if name not in labels:
                return column + default
            return ops.reshape(ops.cast(labels[name], "float32"), (-1, 1))

        known = {name: float(name in labels) for name in ("root_depth", "hand_type")}
        root = (given("root_depth", 0.0) / self.root_depth_bound + 0.5) * self.root_size
        inside = ops.cast((root >= 0) & (root <= self.root_size), "float32")
        types = labels.get("hand_type", ops.concatenate([column, column], axis=1))
        return {
            "root": root,
            "root_weights": inside * given("root_depth_valid", 1.0) * known["root_depth"],
            "hand_type": ops.reshape(ops.cast(types, "float32"), (-1, 2)),
            "hand_type_weights": given("hand_type_valid", 1.0) * known["hand_type"],
        }

    def decode(self, outputs):
        """`keypoints` `(B, 1, K, 3)`, x, y in input pixels and depths in millimetres from the wrist
        of each hand; `scores` `(B, 1, K)`; `root_depth` `(B, 1)`, millimetres; `hand_type`
        `(B, 2)`, 1 for a hand that is there; and `visible` `(B, 1, K)`, the probability that its
        hand is there, of joints whose first half is the right hand's."""
        x, y, z, score = volume_maximum(ops.cast(outputs["heatmaps"], "float32"))
        places = ops.stack([x, y, z], axis=-1)
        places = ops.where(score[..., None] > 0, places, -1.0)
        scale = np.divide(self.input_size, self.heatmap_size)
        points = places * constant([*scale, self.depth_bound / self.depth_size])
        points = points - constant([0, 0, self.depth_bound / 2])
        root = ops.cast(outputs["root"], "float32")
        logits = ops.cast(outputs["hand_type"], "float32")
        count = points.shape[1]
        hands = ops.convert_to_tensor(np.arange(count, dtype="int32") * 2 // count)
        return {
            "keypoints": points[:, None],
            "scores": score[:, None] / self.peak,
            "root_depth": (root / self.root_size - 0.5) * self.root_depth_bound,
            "hand_type": ops.cast(logits > 0, "float32"),
            "visible": ops.take(ops.sigmoid(logits), hands, axis=1)[:, None],
        }

    def flip(self, outputs, flip_indices):
        """Right hands become left ones, and the depth between the wrists changes its sign.

        The reference forgets the middle of the root's bins and the mirrored hand type.
        """
        maps = ops.flip(outputs["heatmaps"], axis=2)
        return {
            "heatmaps": ops.take(maps, flip_indices, axis=3),
            "root": self.root_size - outputs["root"],
            "hand_type": ops.flip(outputs["hand_type"], axis=-1),
        }

    def get_config(self):
        return {
            "input_size": list(self.input_size),
            "heatmap_size": list(self.heatmap_size),
            "depth_size": self.depth_size,
            "root_size": self.root_size,
            "sigma": self.sigma,
            "peak": self.peak,
            "depth_bound": self.depth_bound,
            "root_depth_bound": self.root_depth_bound,
            "joint_indices": self.joint_indices,
        }
