"""3D poses about their root, for lifters of images and of videos."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec, label_weights
from keras_pose.codecs.decoding import constant


class LiftingCodec(Codec):
    """What the codecs of lifters share: a root, and mirroring in 3D.

    Labels of lifters are `keypoints_3d` `(B, N, K, 3)` in camera space, metres, and `visible_3d`
    `(B, N, K)` for the `N` frames that the head puts out.

    Args:
        root_index: int, the keypoint that the others are told from; of several their mean.
    """

    label_keys = ("keypoints_3d", "visible_3d")

    def __init__(self, root_index=0):
        several = isinstance(root_index, Sequence)
        self.root_index = [int(i) for i in root_index] if several else int(root_index)

    def root(self, keypoints):
        """The root `(..., 1, 3)` of poses `(..., K, 3)`."""
        if isinstance(self.root_index, int):
            return keypoints[..., self.root_index : self.root_index + 1, :]
        chosen = ops.stack([keypoints[..., i, :] for i in self.root_index], axis=-2)
        return ops.mean(chosen, axis=-2, keepdims=True)

    def flip(self, outputs, flip_indices):
        flipped = dict(outputs)
        flipped["coordinates"] = self._mirrored(outputs["coordinates"], np.asarray(flip_indices))
        if "trajectory" in outputs:
            flipped["trajectory"] = outputs["trajectory"] * constant([-1, 1, 1])
        return flipped

    def _mirrored(self, coordinates, flip_indices):
        indices = ops.convert_to_tensor(flip_indices.astype("int32"))
        return ops.take(coordinates, indices, axis=2) * constant([-1, 1, 1])


@keras.saving.register_keras_serializable(package="keras_pose")
class VideoPoseLifting(LiftingCodec):
    """Poses in camera space about their root (https://arxiv.org/abs/1811.11742), metres.

    Args:
        root_index: int or ints, see `LiftingCodec`.
        zero_center: bool, take the root off the targets.
        remove_root: bool, leave the root, which is 0, out of targets and outputs; for one root.
    """

    def __init__(self, root_index=0, zero_center=True, remove_root=False):
        super().__init__(root_index)
        self.zero_center = bool(zero_center)
        self.remove_root = bool(remove_root)

    @property
    def removed(self) -> int:
        """How many keypoints the head does not put out."""
        alone = isinstance(self.root_index, int)
        return int(self.zero_center and self.remove_root and alone)

    def encode(self, labels):
        """`coordinates` `(B, N, K, 3)` and `weights` `(B, N, K)`, and of the roots `target_root`
        and `trajectory` `(B, N, 1, 3)` and `trajectory_weights` `(B, N, 1)`, which are 1 / depth.
        """
        points = ops.cast(labels["keypoints_3d"], "float32")
        root = self.root(points)
        weights = label_weights({**labels, "visible": ops.cast(labels["visible_3d"], "float32")})
        depth = root[..., 2]
        targets = {
            "trajectory": root,
            "trajectory_weights": ops.where(depth > 0, 1.0 / ops.where(depth > 0, depth, 1.0), 0.0),
        }
        if self.zero_center:
            points = points - root
            targets["target_root"] = root
        if self.removed:
            points, weights = self._without_root(points, 2), self._without_root(weights, 2)
        return {**targets, "coordinates": self._standardized(points), "weights": weights}

    def decode(self, outputs):
        """`keypoints` `(B, N, K, 3)` in metres about the root, and `scores`, which are 1.

        Args:
            outputs: `coordinates`, and optionally `target_root` `(B, N, 1, 3)`, where the roots
                are: the keypoints are in camera space then.
        """
        points = self._plain(ops.cast(outputs["coordinates"], "float32"))
        if self.removed:
            i = self.root_index
            root = ops.zeros_like(points[:, :, :1])
            parts = [points[:, :, :i], root, points[:, :, i:]]
            # LiteRT takes a slice of nothing for a slice of all.
            points = ops.concatenate([part for part in parts if part.shape[2] != 0], axis=2)
        if "target_root" in outputs:
            points = points + outputs["target_root"]
        return {"keypoints": points, "scores": ops.ones_like(points[..., 0])}

    def get_config(self):
        return {
            "root_index": self.root_index,
            "zero_center": self.zero_center,
            "remove_root": self.remove_root,
        }

    def _without_root(self, values, axis):
        indices = np.delete(np.arange(values.shape[axis]), self.root_index).astype("int32")
        return ops.take(values, ops.convert_to_tensor(indices), axis=axis)

    def _standardized(self, points):
        return points

    def _plain(self, coordinates):
        return coordinates

    def _mirrored(self, coordinates, flip_indices):
        if self.removed:
            left = np.delete(np.arange(len(flip_indices)), self.root_index)
            place = {int(keypoint): i for i, keypoint in enumerate(left)}
            flip_indices = np.array([place[int(flip_indices[keypoint])] for keypoint in left])
        return self._standardized(super()._mirrored(self._plain(coordinates), flip_indices))


@keras.saving.register_keras_serializable(package="keras_pose")
class ImagePoseLifting(VideoPoseLifting):
    """Poses about their root, standardized (https://arxiv.org/abs/1705.03098).

    Args:
        root_index, remove_root: see `VideoPoseLifting`.
        target_mean, target_std: `(K, 3)`, metres, of the keypoints that the head puts out. Default:
            the poses are not standardized.
    """

    def __init__(self, root_index=0, remove_root=False, target_mean=None, target_std=None):
        super().__init__(root_index, remove_root=remove_root)
        if (target_mean is None) != (target_std is None):
            raise ValueError("target_mean and target_std must be given together, or neither")
        self.target_mean = _rows("target_mean", target_mean)
        self.target_std = _rows("target_std", target_std)

    def get_config(self):
        return {
            "root_index": self.root_index,
            "remove_root": self.remove_root,
            "target_mean": self.target_mean,
            "target_std": self.target_std,
        }

    def _standardized(self, points):
        if self.target_mean is None:
            return points
        return (points - constant(self.target_mean)) / constant(self.target_std)

    def _plain(self, coordinates):
        if self.target_mean is None:
            return coordinates
        return coordinates * constant(self.target_std) + constant(self.target_mean)


def _rows(name, values):
    if values is None:
        return None
    rows = np.asarray(values, np.float64)
    rows = rows[0] if rows.ndim == 3 and len(rows) == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise ValueError(f"{name} must be (K, 3), got shape {np.shape(values)}")
    return rows.tolist()
