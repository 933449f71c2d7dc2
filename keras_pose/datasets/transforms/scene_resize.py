"""Resizing whole scenes: into the input of a network, or to one of several sizes."""

from dataclasses import dataclass, replace

import numpy as np

from keras_pose.datasets.transforms.scene import (
    IDENTITY,
    Scene,
    SceneContext,
    clip_corners,
    move,
)
from keras_pose.geometry.fitting import fit_affine


def fit_scene(
    scene: Scene,
    input_size: tuple[int, int],
    mode: str = "fit",
    size_factor: int = 32,
    udp: bool = False,
    fill: float | tuple[float, ...] | None = None,
) -> Scene:
    """Resizes a scene as `fit_affine` says."""
    affine, padded = fit_affine(scene.size, input_size, mode, size_factor, udp)
    return move(scene, affine, padded, fill)


def resize_scene(scene: Scene, size: tuple[int, int], clip: bool = True, smooth: bool = False):
    """Resizes the pixels of a scene, both sides by their own factor.

    Labels are multiplied by the factors, whereas pixels keep the centres of the picture's corners,
    as in MMPose 1.3.2: the two differ by `(factor - 1) / 2` pixels.

    Args:
        scene: Scene.
        size: (width, height).
        clip: bool, move boxes and keypoints beyond the border onto it.
        smooth: bool, average pixels when making smaller (as Pillow does), else bilinear.

    Returns:
        Scene.
    """
    factors = np.array(size, np.float64) / scene.size
    resized = move(scene, np.diag(1 / factors) @ np.eye(2, 3), size)
    keypoints = resized.keypoints
    if clip:
        resized = replace(resized, corners=clip_corners(resized.corners, size))
        keypoints = np.clip(keypoints, 0, np.asarray(size, np.float32))
    return replace(
        resized,
        keypoints=keypoints,
        read=lambda: resize_pixels(scene.image(), size, smooth),
        read_ignored=_resized_plane(scene, size),
        source=IDENTITY,
        source_size=resized.size,
    )


def _resized_plane(scene: Scene, size: tuple[int, int]):
    if scene.read_ignored is None:
        return None
    return lambda: 1 - scene.mask(size, outside=True)


def resize_pixels(image: np.ndarray, size: tuple[int, int], smooth: bool = False) -> np.ndarray:
    """Resizes an image `(H, W, C)` to (width, height), bilinear with half-pixel centres.

    Args:
        image: uint8 array, or float32 without `smooth`.
        size: (width, height).
        smooth: bool, widen the kernel when making smaller, as Pillow does, row by row and then
            column by column with 8 bits in between.
    """
    import cv2

    if image.shape[1::-1] == tuple(size):
        return image
    if not smooth:
        return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    for axis in (1, 0):
        weights = _triangles(image.shape[axis], size[1 - axis])
        image = np.moveaxis(np.tensordot(weights, image.astype(np.float64), (1, axis)), 0, axis)
        image = np.clip(np.floor(image + 0.5), 0, 255)
    return image.astype(np.uint8)


def _triangles(length: int, new_length: int) -> np.ndarray:
    """Weights `(new_length, length)` of a triangle as wide as two new pixels, at least two old."""
    factor = length / new_length
    reach = max(factor, 1.0)
    centers = (np.arange(new_length) + 0.5) * factor
    distance = np.abs(np.arange(length) + 0.5 - centers[:, None]) / reach
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def ratio_size(size: tuple[int, int], limits: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with the same shape, as large as the longer and the shorter limit allow."""
    factor = min(max(limits) / max(size), min(limits) / min(size))
    return int(size[0] * factor + 0.5), int(size[1] * factor + 0.5)


@dataclass(frozen=True)
class RandomChoiceResize:
    """Resizes a scene to one of several sizes.

    Args:
        sizes: (width, height) pairs, equally likely.
        keep_ratio: bool, keep the shape and use the sizes as limits of the longer and the shorter
            side. Default off.
        clip: bool, move boxes and keypoints beyond the border onto it. Default on.
        smooth: bool, see `resize_pixels`. Default off.
    """

    sizes: tuple[tuple[int, int], ...]
    keep_ratio: bool = False
    clip: bool = True
    smooth: bool = False

    def __call__(self, scene: Scene, rng: np.random.Generator, context: SceneContext) -> Scene:
        return self.apply(scene, int(rng.integers(len(self.sizes))))

    def apply(self, scene: Scene, choice: int) -> Scene:
        """Resizes to the size of an index."""
        size = tuple(self.sizes[choice])
        if self.keep_ratio:
            size = ratio_size(scene.size, size)
        return resize_scene(scene, size, self.clip, self.smooth)
