"""Heatmaps with maps of the way to each keypoint, as in SKPS (MMPose's project of that name)."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec, last_instance
from keras_pose.codecs.decoding import (
    constant,
    found_position,
    grid,
    heatmap_maximum,
    mirrored,
    values_at,
)
from keras_pose.codecs.gaussian import gaussian_targets


@keras.saving.register_keras_serializable(package="keras_pose")
class SKPSHeatmap(Codec):
    """A heatmap per keypoint and the way from every pixel to the keypoint.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the maps.
        sigma: float, deviation of the Gaussians in map pixels.
        shift_flipped: bool, in flip tests move the mirrored maps by one column. Offsets are
            corrected for it, so that both ways decode to the same keypoints.
    """

    maps_per_keypoint = 3

    def __init__(self, input_size, heatmap_size, sigma=2.0, shift_flipped=True):
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.sigma = float(sigma)
        self.shift_flipped = shift_flipped
        self._scale = np.divide(self.input_size, self.heatmap_size).astype("float32")

    def encode(self, labels):
        """`heatmaps` `(B, h, w, K)`, `offsets` `(B, h, w, 2K)` and `weights` `(B, K)`.

        Offsets are in map pixels, those along x of all keypoints before those along y. They lead
        to the last instance whose keypoint is at least half visible, else to the first one: where
        there is no heat they weigh nothing.
        """
        width, height = self.heatmap_size
        points = ops.cast(labels["keypoints"], "float32") / constant(self._scale)
        targets = gaussian_targets(labels, points, self.heatmap_size, self.sigma, "whole")
        target = last_instance(points, labels["visible"] >= 0.5)[:, None]
        cells_x, cells_y = (constant(cells) for cells in grid(height, width))
        offsets = ops.concatenate([target[..., 0] - cells_x, target[..., 1] - cells_y], axis=-1)
        offsets = ops.reshape(offsets, (-1, height, width, 2 * points.shape[2]))
        return {**targets, "offsets": offsets}

    def decode(self, outputs):
        maps = ops.cast(outputs["heatmaps"], "float32")
        offsets = ops.cast(outputs["offsets"], "float32")
        x, y, score = heatmap_maximum(maps)
        step_x, step_y = (
            values_at(each, x[..., None], y[..., None])[..., 0]
            for each in ops.split(offsets, 2, axis=-1)
        )
        position = found_position(x + step_x, y + step_y, score)
        return {"keypoints": (position * constant(self._scale))[:, None], "scores": score[:, None]}

    def flip(self, outputs, flip_indices):
        maps, along_x, along_y = (
            ops.take(mirrored(each, self.shift_flipped), flip_indices, axis=-1)
            for each in (outputs["heatmaps"], *ops.split(outputs["offsets"], 2, axis=-1))
        )
        # Mirroring takes input pixel x to w - 1 - x but column i to W - 1 - i.
        remainder = float(1.0 - 1.0 / self._scale[0]) - self.shift_flipped
        offsets = ops.concatenate([remainder - along_x, along_y], axis=-1)
        return {"heatmaps": maps, "offsets": offsets}

    def get_config(self):
        return {
            "input_size": self.input_size,
            "heatmap_size": self.heatmap_size,
            "sigma": self.sigma,
            "shift_flipped": self.shift_flipped,
        }
