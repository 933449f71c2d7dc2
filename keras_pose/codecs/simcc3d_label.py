"""A keypoint in space as one bin per axis (RTMPose3D, https://arxiv.org/abs/2407.08634)."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.simcc_label import SimCCLabel, maximum

# From the root to the nearest and to the farthest bin in published models, metres.
DEPTH_RANGE = 2.1744869


@keras.saving.register_keras_serializable(package="keras_pose")
class SimCC3DLabel(SimCCLabel):
    """Three vectors per keypoint, over the bins of x, of y and of the depth from the root.

    x and y are pixels; depths are metres about the root, larger the farther away. Where the root
    itself lies no picture can tell: with its depth and a camera,
    `Camera.unproject(keypoints[..., :2], root + keypoints[..., 2])` gives camera space. The
    reference takes 5.14388 m, focal lengths (1145.04940459, 1143.78109572) and the middle of the
    picture where it knows no better.

    Labels are `keypoints` `(B, N, K, 3)`: x, y in input pixels and z in metres of camera space,
    whose root the codec takes off; or `(B, N, K, 2)` in batches without depths, which teach x and y
    alone. `visible_3d` `(B, N, K)` may say which depths are labelled (default: those of visible
    keypoints). Without a root that is labelled no depth counts.

    Args:
        input_size: (width, height) of the network's input in pixels.
        depth_size: int, the pixels of the depth's axis; `split_ratio` bins each. Default: the
            width.
        depth_range: float, metres from the root to both ends of that axis.
        depth_sigma: float, deviation of its Gaussians in bins; default: that of x.
        root_index: ints, the keypoints whose mean depth is the root's.
        **settings: of `SimCCLabel`.
    """

    optional_label_keys = ("weights", "visible_3d")
    label_dimensions = (2, 3)
    depth_column = "keypoints_3d"
    depth = "depth from the root in metres, larger the farther away"

    def __init__(
        self,
        input_size,
        depth_size=None,
        depth_range=DEPTH_RANGE,
        depth_sigma=None,
        root_index=(11, 12),
        **settings,
    ):
        super().__init__(input_size, **settings)
        if not depth_range > 0:
            raise ValueError(f"depth_range must be metres above 0, got {depth_range!r}")
        self.depth_size = int(self.input_size[0] if depth_size is None else depth_size)
        self.depth_range = float(depth_range)
        self.depth_sigma = float(self.sigma[0] if depth_sigma is None else depth_sigma)
        several = isinstance(root_index, Sequence)
        self.root_index = tuple(int(i) for i in (root_index if several else [root_index]))
        self.depth_bins = int(np.around(self.depth_size * self.split_ratio))

    def encode(self, labels):
        """As `SimCCLabel`, and `z` `(B, K, Wz)`, `root_depth` `(B,)` in metres, 0 where it is not
        known, and the weights of each axis, `x_weights`, `y_weights` and `z_weights` `(B, K)`."""
        points = labels["keypoints"]
        targets = super().encode({**labels, "keypoints": points[..., :2]})
        weights = targets["weights"]
        if points.shape[-1] == 2:
            depths, seen = ops.zeros_like(points[:, 0, :, 0]), ops.zeros_like(weights)
        else:
            depths = points[:, 0, :, 2]
            seen = labels.get("visible_3d", labels["visible"])[:, 0]
        depths, seen = ops.cast(depths, "float32"), ops.cast(seen, "float32")
        root, known = self._root(depths, seen > 0)
        middle = self.depth_size / 2
        pixels = (depths - root[:, None]) * (middle / self.depth_range) + middle
        axis = (ops.round(pixels * self.split_ratio), self.depth_bins, self.depth_sigma)
        inside, drawn = self._inside(*axis), (seen >= 0.5) & known[:, None]
        labelled = ops.cast((seen > 0) & (inside | ~drawn) & known[:, None], "float32")
        return {
            **targets,
            "z": self._vector(*axis) * ops.cast(drawn & inside, "float32")[..., None],
            "x_weights": weights,
            "y_weights": weights,
            "z_weights": weights * labelled,
            "root_depth": root,
        }

    def _root(self, depths, seen):
        """Mean depth `(B,)` of those roots that are seen, and whether there are any."""
        seen = [ops.cast(seen[:, i], "float32") for i in self.root_index]
        total = sum(depths[:, i] * shown for i, shown in zip(self.root_index, seen, strict=True))
        count = sum(seen)
        return total / ops.maximum(count, 1.0), count > 0

    def decode(self, outputs):
        """`keypoints` `(B, 1, K, 3)`, x, y in input pixels and depths in metres from the root, and
        `scores` `(B, 1, K)`, in which the depth plays no part."""
        decoded = super().decode(outputs)
        place, _ = self._place(ops.cast(outputs["z"], "float32"), self.depth_sigma)
        place = ops.where(decoded["scores"] > 0, place[:, None], -1.0) / self.split_ratio
        depth = (place * (2 / self.depth_size) - 1) * self.depth_range
        points = ops.concatenate([decoded["keypoints"], depth[..., None]], axis=-1)
        return {**decoded, "keypoints": points}

    def flip(self, outputs, flip_indices):
        depths = ops.take(outputs["z"], flip_indices, axis=1)
        return {**super().flip(outputs, flip_indices), "z": depths}

    def places(self, vectors, deep):
        """The bins `(B, K, 3)` of the maxima of three vectors, for losses of lengths.

        Args:
            vectors: outputs or targets.
            deep: `(B,)` float, 0 for samples whose depths are left out.
        """
        x, y, z = (maximum(ops.cast(vectors[axis], "float32"))[0] for axis in ("x", "y", "z"))
        return ops.stack([x, y, z * deep[:, None]], axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "depth_size": self.depth_size,
            "depth_range": self.depth_range,
            "depth_sigma": self.depth_sigma,
            "root_index": list(self.root_index),
        }
