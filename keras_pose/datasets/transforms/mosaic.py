"""Several scenes in one: mosaics of four and mixtures of two, as YOLOX introduced them.

Labels are multiplied by the factor that a picture is resized by, as in MMPose 1.3.2; its pixels
are resized with half-pixel centres to whole sizes, which differs by less than a pixel.
"""

from dataclasses import dataclass, replace

import numpy as np

from keras_pose.datasets.transforms.scene import (
    IDENTITY,
    Scene,
    SceneContext,
    clip,
    flip_scene,
    join,
    move,
)
from keras_pose.datasets.transforms.scene_resize import resize_pixels


def mosaic(
    scenes: list[Scene],
    center: tuple[int, int],
    size: tuple[int, int],
    fill: float | tuple[float, ...] = 114,
) -> Scene:
    """Four scenes around a point, each resized to fit `size`.

    Args:
        scenes: four Scenes: left above, right above, left below and right below the point.
        center: (x, y), where they meet.
        size: (width, height) that each fits into; the mosaic is twice as large.
        fill: grey level, or one a channel, where none of them is.

    Returns:
        Scene of twice the size; its `affine` is that of the first.
    """
    canvas = (2 * size[0], 2 * size[1])
    tiles = [_tile(scene, i % 2, i // 2, center, size) for i, scene in enumerate(scenes)]
    moved = [move(scene, tile.affine, canvas) for scene, tile in zip(scenes, tiles, strict=True)]

    def read() -> np.ndarray:
        image = np.empty((canvas[1], canvas[0], 3), np.uint8)
        image[:] = fill
        for scene, tile in zip(scenes, tiles, strict=True):
            tile.paste(scene.image(), image)
        return image

    def read_ignored() -> np.ndarray:
        plane = np.zeros((canvas[1], canvas[0]), np.uint8)
        for scene, tile in zip(scenes, tiles, strict=True):
            if scene.read_ignored is not None:
                tile.paste(1 - scene.mask(outside=True), plane)
        return plane

    any_ignored = any(scene.read_ignored is not None for scene in scenes)
    joined = join(
        moved[0],
        moved[1:],
        read=read,
        read_ignored=read_ignored if any_ignored else None,
        source=IDENTITY,
        source_size=canvas,
        fill=fill,
    )
    return clip(joined)


@dataclass(frozen=True)
class _Tile:
    """Where a picture of a mosaic lies: resized to `size`, its first pixel at `corner`."""

    size: tuple[int, int]
    corner: tuple[int, int]
    quarter: tuple[slice, slice]
    affine: np.ndarray

    def paste(self, image: np.ndarray, canvas: np.ndarray) -> None:
        image = resize_pixels(image, self.size)
        (x, y), (width, height) = self.corner, self.size
        target = canvas[self.quarter]
        left, top = x - self.quarter[1].start, y - self.quarter[0].start
        # The part of the picture that lies in its quarter of the canvas.
        columns = slice(max(left, 0), max(min(left + width, target.shape[1]), 0))
        rows = slice(max(top, 0), max(min(top + height, target.shape[0]), 0))
        part = image[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        target[rows, columns] = part


def _tile(scene: Scene, right: int, below: int, center, size) -> _Tile:
    ratio = min(size[0] / scene.size[0], size[1] / scene.size[1])
    width, height = max(int(scene.size[0] * ratio), 1), max(int(scene.size[1] * ratio), 1)
    x = center[0] - (0 if right else width)
    y = center[1] - (0 if below else height)
    quarter = (
        slice(center[1], 2 * size[1]) if below else slice(0, center[1]),
        slice(center[0], 2 * size[0]) if right else slice(0, center[0]),
    )
    affine = np.array([[1 / ratio, 0, -x / ratio], [0, 1 / ratio, -y / ratio]])
    return _Tile((width, height), (x, y), quarter, affine)


def mix(
    scene: Scene,
    other: Scene,
    size: tuple[int, int],
    factor: float = 1.0,
    mirrored: bool = False,
    offset: tuple[int, int] = (0, 0),
    fill: float | tuple[float, ...] = 114,
) -> Scene:
    """The mean of a scene and another one; nothing changes if the other has no objects.

    Args:
        scene: Scene.
        other: Scene, resized to fit `size`, with a border at the right or below.
        size: (width, height).
        factor: float, by which it is then resized again, border included.
        mirrored: bool, whether it is mirrored.
        offset: (x, y), the pixel of it that comes to lie at the scene's first one.
        fill: grey level, or one a channel, beyond the other.

    Returns:
        Scene of the first one's size, with its `affine`, and the objects of both.
    """
    if not len(other):
        return scene
    ratio = min(size[0] / other.size[0], size[1] / other.size[1])
    width, height = max(int(other.size[0] * ratio), 1), max(int(other.size[1] * ratio), 1)
    whole = (int(size[0] * factor), int(size[1] * factor))
    grown = move(other, np.eye(2, 3) / (ratio * factor), whole)

    def read_other() -> np.ndarray:
        image = np.empty((size[1], size[0], 3), np.uint8)
        image[:] = fill
        image[:height, :width] = resize_pixels(other.image(), (width, height))
        return resize_pixels(image, whole)

    def read_other_ignored() -> np.ndarray:
        plane = np.zeros((size[1], size[0]), np.uint8)
        plane[:height, :width] = 1 - other.mask((width, height), outside=True)
        return resize_pixels(plane, whole)

    grown = replace(
        clip(grown),
        read=read_other,
        read_ignored=None if other.read_ignored is None else read_other_ignored,
        source=IDENTITY,
        source_size=whole,
        fill=fill,
    )
    if mirrored:
        grown = flip_scene(grown)
    laid = move(grown, np.array([[1, 0, offset[0]], [0, 1, offset[1]]]), scene.size)

    def read() -> np.ndarray:
        # (a + b) // 2, as the mean of 8-bit levels is truncated
        a, b = scene.image(), laid.image()
        return (a & b) + ((a ^ b) >> 1)

    def read_ignored() -> np.ndarray:
        return 1 - scene.mask(outside=True) * laid.mask(outside=True)

    any_ignored = scene.read_ignored is not None or laid.read_ignored is not None
    joined = join(
        scene,
        [laid],
        read=read,
        read_ignored=read_ignored if any_ignored else None,
        source=IDENTITY,
        source_size=scene.size,
    )
    return clip(joined)


@dataclass(frozen=True)
class Mosaic:
    """Puts the scene and three others of the data set around a random point.

    The result is twice as large as the input: RandomAffine(mode="perspective") should follow.

    Args:
        prob: float, how often. Default 1.
        center_range: (smallest, largest) of the point's coordinates, as fractions of the size.
            Default (0.5, 1.5).
        fill: grey level, or one a channel, where no picture is. Default 114.
        size: (width, height) that each picture fits into. Default: the network's input.
    """

    prob: float = 1.0
    center_range: tuple[float, float] = (0.5, 1.5)
    fill: float | tuple[float, ...] = 114
    size: tuple[int, int] | None = None

    def __call__(self, scene: Scene, rng: np.random.Generator, context: SceneContext) -> Scene:
        if rng.uniform() >= self.prob:
            return scene
        size = self.size or context.input_size
        others = [context.draw(rng) for _ in range(3)]
        center = self.center(rng.uniform(*self.center_range, size=2), size)
        return mosaic([scene, *others], center, size, self.fill)

    @staticmethod
    def center(factors: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
        """The pixel where the pictures meet, of fractions `(2,)` of the size."""
        return int(factors[0] * size[0]), int(factors[1] * size[1])


@dataclass(frozen=True)
class MixUp:
    """Averages the scene with another one of the data set.

    Args:
        prob: float, how often. Default 1.
        ratio_range: (smallest, largest) factor on the other's size. Default (0.5, 1.5).
        flip_prob: float, how often the other is mirrored. Default 0.5.
        fill: grey level, or one a channel, beyond the other. Default 114.
        size: (width, height) that the other fits into. Default: the network's input.
    """

    prob: float = 1.0
    ratio_range: tuple[float, float] = (0.5, 1.5)
    flip_prob: float = 0.5
    fill: float | tuple[float, ...] = 114
    size: tuple[int, int] | None = None

    def __call__(self, scene: Scene, rng: np.random.Generator, context: SceneContext) -> Scene:
        if rng.uniform() >= self.prob:
            return scene
        size = self.size or context.input_size
        other = context.draw(rng)
        factor, mirrored = rng.uniform(*self.ratio_range), rng.uniform() < self.flip_prob
        room = [max(int(size[i] * factor) - scene.size[i], 0) for i in range(2)]
        offset = (int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1)))
        return mix(scene, other, size, factor, mirrored, offset, self.fill)
