"""Heatmaps laid over the picture they belong to."""

import numpy as np

from keras_pose.images import as_rgb
from keras_pose.skeleton import Skeleton
from keras_pose.visualization.shapes import INSTANCE_COLORS


def draw_heatmaps(
    image: np.ndarray,
    heatmaps: np.ndarray,
    skeleton: Skeleton | str | None = None,
    affine: np.ndarray | None = None,
    input_size: tuple[int, int] | None = None,
    *,
    opacity: float = 0.8,
    darken: float = 0.35,
) -> np.ndarray:
    """Lays heatmaps over a picture as glowing spots, a colour a keypoint.

    Args:
        image: RGB picture, as `keras_pose.images.as_rgb` takes: the network's input, or with
            `affine` the image that the input was cropped from.
        heatmaps: `(h, w, K)` or `(h, w)`, output space; brightness is in proportion to the value,
            negative values count as 0 and the largest of all as full brightness.
        skeleton: gives each of the `K` maps the colour of its keypoint. Default: a palette.
        affine: `(2, 3)`, input to image pixels; needs `input_size`. Default: the maps cover
            the picture.
        input_size: (width, height) of the network's input.
        opacity: float in 0..1, of the brightest spots. Default 0.8.
        darken: float in 0..1, how much darker the picture gets so that spots stand out.
            Default 0.35.

    Returns:
        uint8 RGB array `(H, W, 3)`.

    Raises:
        ValueError: for arrays that do not fit each other or the skeleton.
    """
    import cv2

    canvas = as_rgb(image)
    height, width = canvas.shape[:2]
    maps = np.asarray(heatmaps, np.float32)
    maps = maps[..., None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or not maps.size:
        raise ValueError(f"heatmaps must be (h, w, K) or (h, w), got shape {maps.shape}")
    count = maps.shape[2]
    if skeleton is None:
        colors = INSTANCE_COLORS[np.arange(count) % len(INSTANCE_COLORS)]
    else:
        skeleton = Skeleton.resolve(skeleton)
        if skeleton.num_keypoints != count:
            raise ValueError(
                f"heatmaps must have {skeleton.num_keypoints} channels for skeleton "
                f"{skeleton.name!r}, got {count}"
            )
        colors = skeleton.keypoint_colors
    if (affine is None) != (input_size is None):
        raise ValueError("affine and input_size belong together, got only one of them")
    if affine is None:
        affine, input_size = np.eye(2, 3), (width, height)

    maps = np.nan_to_num(np.maximum(maps, 0))
    maps = maps / max(float(maps.max()), 1e-6)
    # The brightest map of a pixel gives its colour; mixing all would turn neighbours grey.
    glow = maps.max(axis=-1)
    tint = colors[maps.argmax(axis=-1)].astype(np.float32) * glow[..., None]
    sheet = np.concatenate([tint, glow[..., None]], axis=-1)
    # a pixel of the map stands for this many of the input: x_input = x_map * w_input / w_map
    cell = np.divide(input_size, maps.shape[1::-1])
    to_image = np.asarray(affine, np.float32) @ np.diag([*cell, 1.0])
    sheet = cv2.warpAffine(sheet, to_image, (width, height), flags=cv2.INTER_LINEAR)
    tint, glow = sheet[..., :3], opacity * sheet[..., 3:]
    return (
        np.rint(canvas * (1 - darken) * (1 - glow) + opacity * tint).clip(0, 255).astype(np.uint8)
    )
