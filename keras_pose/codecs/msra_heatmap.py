"""Heatmaps with a Gaussian per keypoint (Xiao et al., 2018, https://arxiv.org/abs/1804.06208)."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec, label_weights
from keras_pose.codecs.decoding import constant, first_maximum, grid_position


@keras.saving.register_keras_serializable(package="keras_pose")
class MSRAHeatmap(Codec):
    """One heatmap per keypoint, decoded by its maximum and a quarter step to the higher neighbour.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the maps.
        sigma: float, deviation of the Gaussians in map pixels.
        shift_flipped: bool, in flip tests move the mirrored maps by one column, which brings a
            stride-4 network's maps closer to the others.
    """

    def __init__(self, input_size, heatmap_size, sigma=2.0, shift_flipped=True):
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.sigma = float(sigma)
        self.shift_flipped = shift_flipped
        self._scale = np.divide(self.input_size, self.heatmap_size).astype("float32")

    def encode(self, labels):
        """`heatmaps` `(B, h, w, K)` in 0..1 and `weights` `(B, K)`."""
        width, height = self.heatmap_size
        keypoints = ops.cast(labels["keypoints"], "float32")
        # As in MMPose 1.3.2: centres are whole pixels, truncated towards zero; windows of three
        # deviations whose start is truncated too.
        centre = ops.trunc(keypoints / constant(self._scale) + 0.5)
        start = ops.trunc(centre - 3 * self.sigma)
        end = ops.trunc(centre + 3 * self.sigma + 1)
        peak = start + float((6 * self.sigma + 1) // 2)
        size = constant(self.heatmap_size)
        inside = ops.all((start < size) & (end >= 0), axis=-1)
        visible = labels["visible"]
        drawn = ops.cast(inside & (visible >= 0.5), "float32")
        columns = self._profile(width, start, end, peak, 0)[:, :, None, :, :]
        rows = self._profile(height, start, end, peak, 1)[:, :, :, None, :]
        maps = columns * rows * drawn[:, :, None, None, :]
        weights = label_weights(labels) * ops.cast(inside, "float32")
        return {"heatmaps": ops.max(maps, axis=1), "weights": ops.max(weights, axis=1)}

    def _profile(self, size, start, end, peak, axis):
        """The Gaussians along one axis, `(B, N, size, K)`."""
        pixels = constant(np.arange(size)[None, None, :, None])
        start, end, peak = (value[:, :, None, :, axis] for value in (start, end, peak))
        window = ops.cast((pixels >= start) & (pixels < end), "float32")
        return window * ops.exp(-ops.square(pixels - peak) / (2 * self.sigma**2))

    def decode(self, outputs):
        width, height = self.heatmap_size
        maps = ops.cast(outputs["heatmaps"], "float32")
        keypoint_count = maps.shape[-1]
        index, score, mask = first_maximum(ops.reshape(maps, (-1, height * width, keypoint_count)))
        x, y = grid_position(index, width)
        step_x = self._slope(maps, mask, 2)
        step_y = self._slope(maps, mask, 1)
        refine_x = (x > 1) & (x < width - 1) & (y > 0)
        refine_y = (y > 1) & (y < height - 1) & (x > 0)
        x = x + ops.where(refine_x, 0.25 * ops.sign(step_x), 0.0)
        y = y + ops.where(refine_y, 0.25 * ops.sign(step_y), 0.0)
        found = score > 0
        position = ops.stack([ops.where(found, x, -1.0), ops.where(found, y, -1.0)], axis=-1)
        return {"keypoints": (position * constant(self._scale))[:, None], "scores": score[:, None]}

    def _slope(self, maps, mask, axis):
        """Right minus left (axis 2) or lower minus upper (axis 1) neighbour of each maximum."""
        width, height = self.heatmap_size
        if axis == 2:
            slopes = maps[:, :, 2:] - maps[:, :, :-2]
            slopes = ops.pad(slopes, ((0, 0), (0, 0), (1, 1), (0, 0)))
        else:
            slopes = maps[:, 2:] - maps[:, :-2]
            slopes = ops.pad(slopes, ((0, 0), (1, 1), (0, 0), (0, 0)))
        return ops.sum(ops.reshape(slopes, (-1, height * width, maps.shape[-1])) * mask, axis=1)

    def flip(self, outputs, flip_indices):
        maps = ops.take(ops.flip(outputs["heatmaps"], axis=2), flip_indices, axis=-1)
        if self.shift_flipped:
            maps = ops.concatenate([maps[:, :, :1], maps[:, :, :-1]], axis=2)
        return {"heatmaps": maps}

    def get_config(self):
        return {
            "input_size": self.input_size,
            "heatmap_size": self.heatmap_size,
            "sigma": self.sigma,
            "shift_flipped": self.shift_flipped,
        }
