"""Coordinates and the heatmaps whose means they are (https://arxiv.org/abs/1711.08229)."""

import keras
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.codecs.msra_heatmap import MSRAHeatmap
from keras_pose.codecs.regression_label import RegressionLabel


@keras.saving.register_keras_serializable(package="keras_pose")
class IntegralRegressionLabel(Codec):
    """The targets of `RegressionLabel` and heatmaps as in `MSRAHeatmap`; coordinates decode.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the maps.
        sigma: float, deviation of the Gaussians in map pixels.
        unbiased: bool, Gaussians around the keypoint itself instead of the nearest pixel.
        normalize: bool, whether the values of a map add up to 1.
        shift_flipped: bool, in flip tests move the mirrored keypoints by one pixel to the left.
        shift_flipped_heatmaps: bool, in flip tests move the mirrored maps by one column.
    """

    def __init__(
        self,
        input_size,
        heatmap_size,
        sigma=2.0,
        unbiased=False,
        normalize=True,
        shift_flipped=True,
        shift_flipped_heatmaps=False,
    ):
        self.normalize = normalize
        self._maps = MSRAHeatmap(input_size, heatmap_size, sigma, shift_flipped_heatmaps, unbiased)
        self._coordinates = RegressionLabel(input_size, shift_flipped)
        self.input_size = self._maps.input_size
        self.heatmap_size = self._maps.heatmap_size

    def encode(self, labels):
        """`heatmaps` `(B, h, w, K)`, `coordinates` `(B, K, 2)` and their `weights` `(B, K)`."""
        maps = self._maps.encode(labels)["heatmaps"]
        if self.normalize:
            maps = maps / (ops.sum(maps, axis=(1, 2), keepdims=True) + 1e-24)
        return {"heatmaps": maps, **self._coordinates.encode(labels)}

    def decode(self, outputs):
        return self._coordinates.decode(outputs)

    def flip(self, outputs, flip_indices):
        rest = {key: value for key, value in outputs.items() if key != "heatmaps"}
        flipped = self._coordinates.flip(rest, flip_indices)
        if "heatmaps" in outputs:
            flipped |= self._maps.flip(outputs, flip_indices)
        return flipped

    def get_config(self):
        return {
            "input_size": self.input_size,
            "heatmap_size": self.heatmap_size,
            "sigma": self._maps.sigma,
            "unbiased": self._maps.unbiased,
            "normalize": self.normalize,
            "shift_flipped": self._coordinates.shift_flipped,
            "shift_flipped_heatmaps": self._maps.shift_flipped,
        }
