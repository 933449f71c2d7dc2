"""Heatmaps with a Gaussian per keypoint, as the codecs of heatmaps train on them."""

import numpy as np
from keras import ops

from keras_pose.codecs.codec import label_weights
from keras_pose.codecs.decoding import constant

FORMS = ("pixel", "point", "whole")


def gaussian_targets(labels: dict, points, size, sigma: float, form: str) -> dict:
    """Gaussians around keypoints, and what each keypoint weighs, as in MMPose 1.3.2.

    Where instances overlap a map holds the largest value, and a keypoint weighs as much as that of
    the instance for which it counts most.

    Args:
        labels, points, size, sigma, form: see `instance_gaussians`.

    Returns:
        `heatmaps` `(B, h, w, K)` in 0..1 and `weights` `(B, K)`.
    """
    maps, weights = instance_gaussians(labels, points, size, sigma, form)
    return {"heatmaps": ops.max(maps, axis=1), "weights": ops.max(weights, axis=1)}


def instance_gaussians(labels: dict, points, size, sigma, form: str) -> tuple:
    """A Gaussian in a map of its own for each keypoint of each instance.

    Keypoints less than half visible leave their map empty, and those whose Gaussian lies wholly
    outside weigh nothing besides.

    Args:
        labels: see `Codec.encode`.
        points: `(B, N, K, 2)`, the keypoints in map pixels.
        size: (width, height) of the maps.
        sigma: deviation in map pixels: a float, or `(B, N, 1)` for one per instance.
        form: "pixel": within three deviations of the nearest pixel and highest there; "point": the
            same window, highest at the keypoint itself; "whole": highest at the keypoint, without
            a window.

    Returns:
        Maps `(B, N, h, w, K)` in 0..1 and weights `(B, N, K)`.
    """
    width, height = size
    single = isinstance(sigma, int | float)
    # Beside points `(B, N, K, 2)`, and beside one axis of them, `(B, N, 1, K)`.
    spread, deviation = (sigma, sigma) if single else (sigma[..., None], sigma[:, :, None])
    if form == "whole":
        start, end, peak = points - 3 * spread, points + 3 * spread + 1, points
    else:
        # The nearest pixel is found by truncating towards zero, and so is where windows start;
        # the peak lies where it would in a window that is not cut short.
        centre = ops.trunc(points + 0.5)
        start = ops.trunc(centre - 3 * spread)
        end = ops.trunc(centre + 3 * spread + 1)
        peak = start + (6 * spread + 1) // 2
        if form == "point":
            peak = peak + (points - centre)
    inside = ops.all((start < constant(size)) & (end >= 0), axis=-1)
    drawn = ops.cast(inside & (labels["visible"] >= 0.5), "float32")
    profiles = []
    for axis, length in enumerate((width, height)):
        pixels = constant(np.arange(length)[None, None, :, None])
        first, last, top = (value[:, :, None, :, axis] for value in (start, end, peak))
        profile = ops.exp(-ops.square(pixels - top) / (2 * deviation**2))
        if form != "whole":
            window = (pixels >= first) & (pixels < last)
            profile = profile * ops.cast(window, "float32")
        profiles.append(profile)
    columns, rows = profiles
    maps = columns[:, :, None] * rows[:, :, :, None] * drawn[:, :, None, None, :]
    return maps, label_weights(labels) * ops.cast(inside, "float32")
