"""Heatmaps of one blurred pixel per keypoint, as in MSPN (https://arxiv.org/abs/1901.00148)."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.blur import blur_maps, blur_matrix, checked_kernel_size, with_maximum_of
from keras_pose.codecs.codec import Codec, label_weights
from keras_pose.codecs.decoding import constant, found_position, heatmap_maximum, mirrored
from keras_pose.codecs.refinement import quarter_step

_PEAK = 255.0


@keras.saving.register_keras_serializable(package="keras_pose")
class MegviiHeatmap(Codec):
    """One heatmap per keypoint, 255 at its pixel, blurred for training and again for decoding.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the maps.
        kernel_size: odd int, of the blur.
        shift_flipped: bool, in flip tests move the mirrored maps by one column.
    """

    def __init__(self, input_size, heatmap_size, kernel_size, shift_flipped=False):
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.kernel_size = checked_kernel_size(kernel_size)
        self.shift_flipped = shift_flipped
        self._scale = np.divide(self.input_size, self.heatmap_size).astype("float32")
        # Row i: what a blur makes of a vector that is 1 at i and 0 elsewhere, scaled to 1 at i.
        blurs = [blur_matrix(n, self.kernel_size, "reflect").T for n in self.heatmap_size]
        self._profiles = [blur / blur.diagonal()[:, None] for blur in blurs]

    def encode(self, labels):
        """`heatmaps` `(B, h, w, K)` in 0..255 and `weights` `(B, K)`."""
        pixel = ops.trunc(ops.cast(labels["keypoints"], "float32") / constant(self._scale))
        last = constant(self.heatmap_size) - 1.0
        inside = ops.all((pixel >= 0) & (pixel <= last), axis=-1)
        drawn = ops.cast(inside & (labels["visible"] >= 0.5), "float32") * _PEAK
        pixel = ops.cast(ops.clip(pixel, 0.0, last), "int32")
        # (B, N, K, w) and (B, N, K, h)
        columns, rows = (
            ops.take(constant(profile), pixel[..., axis], axis=0)
            for axis, profile in enumerate(self._profiles)
        )
        maps = rows[..., None] * columns[..., None, :] * drawn[..., None, None]
        weights = label_weights(labels) * ops.cast(inside, "float32")
        return {
            "heatmaps": ops.transpose(ops.max(maps, axis=1), (0, 2, 3, 1)),
            "weights": ops.max(weights, axis=1),
        }

    def decode(self, outputs):
        width, height = self.heatmap_size
        maps = ops.cast(outputs["heatmaps"], "float32")
        maps = with_maximum_of(blur_maps(maps, self.kernel_size), maps, (1, 2))
        x, y, score = heatmap_maximum(maps)
        # A blur leaves symmetric maps symmetric but for their last digits.
        step_x, step_y = quarter_step(maps, x, y, tie=1e-6 * score)
        inner = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
        x = ops.where(inner, x + step_x + 0.5, x)
        y = ops.where(inner, y + step_y + 0.5, y)
        position = found_position(x, y, score)
        # As in MMPose 1.3.2: half for nothing, above one for more than half a peak.
        score = score / _PEAK + 0.5
        return {"keypoints": (position * constant(self._scale))[:, None], "scores": score[:, None]}

    def flip(self, outputs, flip_indices):
        maps = mirrored(outputs["heatmaps"], self.shift_flipped)
        return {"heatmaps": ops.take(maps, flip_indices, axis=-1)}

    def get_config(self):
        return {
            "input_size": self.input_size,
            "heatmap_size": self.heatmap_size,
            "kernel_size": self.kernel_size,
            "shift_flipped": self.shift_flipped,
        }
