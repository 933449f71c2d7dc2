"""MoveNet's maps: where the person is, where its keypoints are, and the way between.

The network is Google's; how it decodes was read off the published graph. How it was trained was
never published: the targets here follow CenterNet (Zhou et al., 2019,
https://arxiv.org/abs/1904.07850), from which the network descends.
"""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec, label_weights
from keras_pose.codecs.decoding import (
    constant,
    first_maximum,
    grid,
    grid_position,
    mirrored,
    rows_at,
)

# Constants of the published graph, which holds them in half precision.
_CENTRE_SOFTNESS = 1.8
_KEYPOINT_SOFTNESS = 1.7998046875


@keras.saving.register_keras_serializable(package="keras_pose")
class MoveNetCodec(Codec):
    """A centre heatmap, keypoint heatmaps, displacements from the centre and sub-cell offsets.

    Displacements and offsets are `(y, x)` pairs in cells, keypoint by keypoint.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the maps in cells.
        sigma: float, deviation in cells of the Gaussians that keypoint heatmaps are trained on.
        centre_sigma: float, the same of the centre heatmap.
        cell_size: float, input pixels per cell; default: the ratio of the two sizes. The published
            graph holds 1/48 in half precision, which makes its cells 3.999 pixels.
    """

    def __init__(
        self,
        input_size=(192, 192),
        heatmap_size=(48, 48),
        sigma=1.0,
        centre_sigma=2.0,
        cell_size=None,
    ):
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.sigma = float(sigma)
        self.centre_sigma = float(centre_sigma)
        self.cell_size = cell_size
        ratio = np.divide(self.input_size, self.heatmap_size)
        self._scale = ratio if cell_size is None else np.array([cell_size, cell_size])
        width, height = self.heatmap_size
        self._x, self._y = grid(height, width)
        distance = np.hypot(self._x - width // 2, self._y - height // 2)
        self._central = (1 / (distance + _CENTRE_SOFTNESS)).astype("float16").astype("float32")

    def _flat(self, maps, channels):
        """Maps `(B, h, w, channels)` as `(B, h * w, channels)` float32."""
        width, height = self.heatmap_size
        return ops.reshape(ops.cast(maps, "float32"), (-1, height * width, channels))

    def decode(self, outputs):
        width, _ = self.heatmap_size
        heat = ops.sigmoid(self._flat(outputs["heatmaps"], outputs["heatmaps"].shape[-1]))
        count = heat.shape[-1]
        # The person whose centre is likely and near the middle of the crop.
        centre = ops.sigmoid(self._flat(outputs["center"], 1)) * constant(self._central)
        index = first_maximum(centre)[0]
        centre_x, centre_y = grid_position(index, width)
        displacement = rows_at(self._flat(outputs["displacements"], 2 * count), index)
        displacement = ops.reshape(displacement, (-1, count, 2))
        guess_y = (centre_y + displacement[:, :, 0])[:, None]
        guess_x = (centre_x + displacement[:, :, 1])[:, None]
        # Each keypoint's heat counts less the farther it is from where the centre expects it.
        distance = ops.sqrt(
            ops.square(constant(self._y) - guess_y) + ops.square(constant(self._x) - guess_x)
        )
        index = first_maximum(heat / (distance + _KEYPOINT_SOFTNESS))[0]
        x, y = grid_position(index, width)
        # Of the values of all keypoints at keypoint k's cell, those of k.
        own = constant(np.eye(count))
        score = ops.sum(rows_at(heat, index) * own, axis=2)
        offset = rows_at(self._flat(outputs["offsets"], 2 * count), index)
        offset = ops.reshape(offset, (-1, count, count, 2))
        offset = ops.sum(offset * own[..., None], axis=2)
        scale_x, scale_y = (float(s) for s in self._scale)
        keypoints = ops.stack(
            [(x + offset[:, :, 1]) * scale_x, (y + offset[:, :, 0]) * scale_y], axis=-1
        )
        return {"keypoints": keypoints[:, None], "scores": score[:, None]}

    def encode(self, labels):
        """Targets of one person per image.

        Returns:
            `center` `(B, P, 1)` and `heatmaps` `(B, P, K)`: Gaussians with peak 1 on the flattened
            grid; `displacements` `(B, P, K, 2)`: (y, x) in cells from every cell to every keypoint,
            which is also the target of the offsets; `weights` and `inside` `(B, K)`.
        """
        cells = ops.cast(labels["keypoints"], "float32")[:, 0] / constant(self._scale)
        size = constant(self.heatmap_size)
        inside = ops.cast(ops.all((cells >= 0) & (cells < size), axis=-1), "float32")
        labelled = labels["visible"][:, 0]
        weights = label_weights(labels)[:, 0]
        present = ops.cast(labelled > 0, "float32")
        total = ops.maximum(ops.sum(present, axis=1, keepdims=True), 1.0)
        centre = ops.sum(cells * present[..., None], axis=1, keepdims=True) / total[..., None]
        centre = ops.minimum(ops.maximum(centre, 0.0), size - 1)
        to_keypoints = ops.stack(
            [
                cells[:, None, :, 1] - constant(self._y),
                cells[:, None, :, 0] - constant(self._x),
            ],
            axis=-1,
        )
        someone = ops.cast(ops.any(labelled > 0, axis=1), "float32")[:, None, None]
        heatmaps = self._gaussian(cells, self.sigma) * (present * inside)[:, None]
        center = self._gaussian(centre, self.centre_sigma) * someone
        return {
            "center": center,
            "heatmaps": heatmaps,
            "displacements": to_keypoints,
            "weights": weights,
            "inside": inside,
        }

    def _gaussian(self, points, sigma):
        """Gaussians `(B, P, n)` around the cells nearest to points `(B, n, 2)`."""
        nearest = ops.floor(points)
        squared = ops.square(constant(self._x) - nearest[:, None, :, 0]) + ops.square(
            constant(self._y) - nearest[:, None, :, 1]
        )
        return ops.exp(-squared / (2 * sigma**2))

    def flip(self, outputs, flip_indices):
        # Mirroring maps input pixel x to W - 1 - x. With cells of `scale` pixels that start at
        # their left edge, and maps moved by one column as in `MSRAHeatmap`, what remains is:
        remainder = -1.0 / float(self._scale[0])
        flipped = {name: mirrored(maps, shift=True) for name, maps in outputs.items()}
        flipped["heatmaps"] = ops.take(flipped["heatmaps"], flip_indices, axis=-1)
        for name in ("displacements", "offsets"):
            flipped[name] = mirrored_pairs(flipped[name], flip_indices, remainder)
        return flipped

    def get_config(self):
        return {
            "input_size": self.input_size,
            "heatmap_size": self.heatmap_size,
            "sigma": self.sigma,
            "centre_sigma": self.centre_sigma,
            "cell_size": self.cell_size,
        }


def mirrored_pairs(maps, flip_indices, remainder: float):
    """Maps `(B, h, w, 2K)` of (y, x) pairs, already turned back, with keypoints and x swapped.

    Args:
        flip_indices: `(K,)` ints, the keypoint that each becomes in a mirror.
        remainder: float, cells between a place and the mirror of its mirror.
    """
    shape = (-1, *maps.shape[1:3], len(flip_indices), 2)
    pairs = ops.take(ops.reshape(maps, shape), flip_indices, axis=3)
    pairs = ops.stack([pairs[..., 0], remainder - pairs[..., 1]], axis=-1)
    return ops.reshape(pairs, (-1, *maps.shape[1:]))
