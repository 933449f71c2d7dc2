"""Heatmaps with a Gaussian per keypoint (Xiao et al., 2018, https://arxiv.org/abs/1804.06208)."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.blur import checked_kernel_size
from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import constant, found_position, heatmap_maximum, mirrored
from keras_pose.codecs.gaussian import gaussian_targets
from keras_pose.codecs.refinement import dark_step, quarter_step


@keras.saving.register_keras_serializable(package="keras_pose")
class MSRAHeatmap(Codec):
    """One heatmap per keypoint, decoded by its maximum and a quarter step to the higher neighbour.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the maps.
        sigma: float, deviation of the Gaussians in map pixels.
        shift_flipped: bool, in flip tests move the mirrored maps by one column, which brings a
            stride-4 network's maps closer to the others.
        unbiased: bool, Gaussians around the keypoint itself instead of the nearest pixel, and
            decoding by DARK (https://arxiv.org/abs/1910.06278).
        blur_kernel_size: odd int, of the blur before DARK's step.
    """

    def __init__(
        self,
        input_size,
        heatmap_size,
        sigma=2.0,
        shift_flipped=True,
        unbiased=False,
        blur_kernel_size=11,
    ):
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.sigma = float(sigma)
        self.shift_flipped = shift_flipped
        self.unbiased = unbiased
        self.blur_kernel_size = checked_kernel_size(blur_kernel_size)
        self._scale = np.divide(self.input_size, self.heatmap_size).astype("float32")

    def encode(self, labels):
        """`heatmaps` `(B, h, w, K)` in 0..1 and `weights` `(B, K)`."""
        points = ops.cast(labels["keypoints"], "float32") / constant(self._scale)
        form = "whole" if self.unbiased else "pixel"
        return gaussian_targets(labels, points, self.heatmap_size, self.sigma, form)

    def decode(self, outputs):
        maps = ops.cast(outputs["heatmaps"], "float32")
        x, y, score = heatmap_maximum(maps)
        if self.unbiased:
            step_x, step_y = dark_step(maps, x, y, self.blur_kernel_size)
        else:
            step_x, step_y = quarter_step(maps, x, y)
        position = found_position(x + step_x, y + step_y, score)
        return {"keypoints": (position * constant(self._scale))[:, None], "scores": score[:, None]}

    def flip(self, outputs, flip_indices):
        maps = mirrored(outputs["heatmaps"], self.shift_flipped)
        return {"heatmaps": ops.take(maps, flip_indices, axis=-1)}

    def get_config(self):
        return {
            "input_size": self.input_size,
            "heatmap_size": self.heatmap_size,
            "sigma": self.sigma,
            "shift_flipped": self.shift_flipped,
            "unbiased": self.unbiased,
            "blur_kernel_size": self.blur_kernel_size,
        }
