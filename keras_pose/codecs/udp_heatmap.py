"""Unbiased heatmaps (UDP, Huang et al., 2020, https://arxiv.org/abs/1911.07524)."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.blur import blur_maps, checked_kernel_size
from keras_pose.codecs.codec import Codec, label_weights, last_instance
from keras_pose.codecs.decoding import (
    constant,
    found_position,
    grid,
    heatmap_maximum,
    mirrored,
    values_at,
)
from keras_pose.codecs.gaussian import gaussian_targets
from keras_pose.codecs.refinement import udp_dark_step

_MAPS = {"gaussian": 1, "combined": 3}


@keras.saving.register_keras_serializable(package="keras_pose")
class UDPHeatmap(Codec):
    """Heatmaps whose corner pixels are the input's corner pixels.

    Args:
        input_size: (width, height) of the network's input in pixels.
        heatmap_size: (width, height) of the maps.
        heatmap_type: "gaussian": a Gaussian around each keypoint, decoded by UDP's kind of DARK;
            "combined": three maps a keypoint, a disc around it and the way to it along x and y.
        sigma: float, deviation of the Gaussians in map pixels.
        radius_factor: float, radius of the discs as a part of the maps' longer side.
        blur_kernel_size: odd int, of the blur before DARK's step; discs are blurred by a kernel
            of twice this size and one.
        plain_warp: bool, decode to positions that are larger than the true ones by w / (w - 1)
            along an input of w pixels. So MMPose 1.3.2 decodes always, and the crops of UDP undo
            it; its models that join this codec with plain crops are told so.
        shift_flipped: bool, in flip tests move the mirrored maps by one column.
    """

    def __init__(
        self,
        input_size,
        heatmap_size,
        heatmap_type="gaussian",
        sigma=2.0,
        radius_factor=0.0546875,
        blur_kernel_size=11,
        plain_warp=False,
        shift_flipped=False,
    ):
        if heatmap_type not in _MAPS:
            raise ValueError(f'heatmap_type must be "gaussian" or "combined", got {heatmap_type!r}')
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.heatmap_type = heatmap_type
        self.sigma = float(sigma)
        self.radius_factor = float(radius_factor)
        self.blur_kernel_size = checked_kernel_size(blur_kernel_size)
        self.plain_warp = plain_warp
        self.shift_flipped = shift_flipped
        self._radius = self.radius_factor * max(self.heatmap_size)
        last_pixel = np.subtract(self.heatmap_size, 1.0)
        true_scale = np.subtract(self.input_size, 1.0) / last_pixel
        self._scale = true_scale.astype("float32")
        decoding_scale = self.input_size / last_pixel if plain_warp else true_scale
        self._decoding_scale = decoding_scale.astype("float32")

    @property
    def maps_per_keypoint(self):
        return _MAPS[self.heatmap_type]

    def encode(self, labels):
        """`heatmaps` `(B, h, w, K or 3K)` and `weights` `(B, K)`.

        Combined maps are keypoint by keypoint: 1 within the radius and 0 elsewhere, then the way
        to the keypoint along x and y in radii. Of several instances the last visible one counts.
        """
        points = ops.cast(labels["keypoints"], "float32") / constant(self._scale)
        if self.heatmap_type == "gaussian":
            return gaussian_targets(labels, points, self.heatmap_size, self.sigma, "point")
        width, height = self.heatmap_size
        cells = constant(np.concatenate(grid(height, width)).transpose(1, 2, 0))
        drawn = labels["visible"] >= 0.5
        # (B, h * w, K, 2)
        way = (last_instance(points, drawn)[:, None] - cells) / self._radius
        disc = ops.cast(ops.sum(ops.square(way), axis=-1, keepdims=True) <= 1, "float32")
        maps = ops.concatenate([disc, way], axis=-1)
        maps = ops.where(ops.any(drawn, axis=1)[:, None, :, None], maps, 0.0)
        maps = ops.reshape(maps, (-1, height, width, 3 * points.shape[2]))
        return {"heatmaps": maps, "weights": ops.max(label_weights(labels), axis=1)}

    def decode(self, outputs):
        maps = ops.cast(outputs["heatmaps"], "float32")
        if self.heatmap_type == "gaussian":
            x, y, score = heatmap_maximum(maps)
            step_x, step_y = udp_dark_step(maps, x, y, self.blur_kernel_size)
        else:
            discs = blur_maps(maps[..., ::3], 2 * self.blur_kernel_size + 1, "reflect")
            x, y, score = heatmap_maximum(discs)
            step_x, step_y = (
                values_at(maps[..., i::3], x[..., None], y[..., None])[..., 0] * self._radius
                for i in (1, 2)
            )
        position = found_position(x + step_x, y + step_y, score)
        keypoints = position * constant(self._decoding_scale)
        return {"keypoints": keypoints[:, None], "scores": score[:, None]}

    def flip(self, outputs, flip_indices):
        maps = mirrored(outputs["heatmaps"], self.shift_flipped)
        if self.heatmap_type == "gaussian":
            return {"heatmaps": ops.take(maps, flip_indices, axis=-1)}
        _, height, width, channels = maps.shape
        triples = ops.reshape(maps, (-1, height, width, channels // 3, 3))
        triples = ops.take(triples, flip_indices, axis=3) * constant([1.0, -1.0, 1.0])
        return {"heatmaps": ops.reshape(triples, (-1, height, width, channels))}

    def get_config(self):
        return {
            "input_size": self.input_size,
            "heatmap_size": self.heatmap_size,
            "heatmap_type": self.heatmap_type,
            "sigma": self.sigma,
            "radius_factor": self.radius_factor,
            "blur_kernel_size": self.blur_kernel_size,
            "plain_warp": self.plain_warp,
            "shift_flipped": self.shift_flipped,
        }
