"""A scene: one image with all its objects, on the way to the input of a bottom-up network.

Maps are composed, pixels wait: what moves a scene moves its labels at once and remembers one map to
the pixels, which `Scene.image` follows when everything is decided.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from keras_pose.geometry import (
    apply_affine,
    clip_boxes,
    compose_affine,
    flip_affine,
    invert_affine,
    points_to_xyxy,
    warp,
)

IDENTITY = np.eye(2, 3, dtype=np.float32)


@dataclass(frozen=True)
class Scene:
    """An image with its `N` objects. Coordinates are pixels of the scene as it is now.

    Attributes:
        size: (width, height).
        corners: float32 `(N, 4, 2)`, the boxes' corners left-top, left-bottom, right-top,
            right-bottom, which stay corners when the scene is turned.
        keypoints: float32 `(N, K, 2)`.
        visible: float32 `(N, K)`, or `(N, K, 2)` with a weight beside the visibility.
        areas: float32 `(N,)`, square pixels.
        ids: int64 `(N,)`.
        category_ids: int64 `(N,)`.
        flip_indices: int64 `(K,)`, the keypoint that each becomes in a mirror.
        read: function without arguments that gives the pixels, uint8 `(H, W, 3)` RGB.
        source_size: (width, height) of what `read` gives.
        source: float32 `(2, 3)`, from the scene to what `read` gives.
        affine: float32 `(2, 3)`, from the scene to the image as it was photographed (of several
            images, the first).
        read_ignored: function that gives uint8 `(H, W)`, 1 where objects are that are nobody's
            target, for the same pixels as `read`; None where there are none.
        fill: grey level, or one a channel, of what no image covers.
    """

    size: tuple[int, int]
    corners: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    areas: np.ndarray
    ids: np.ndarray
    category_ids: np.ndarray
    flip_indices: np.ndarray
    read: Callable[[], np.ndarray]
    source_size: tuple[int, int]
    source: np.ndarray = field(default_factory=lambda: IDENTITY)
    affine: np.ndarray = field(default_factory=lambda: IDENTITY)
    read_ignored: Callable[[], np.ndarray] | None = None
    fill: float | tuple[float, ...] = 0

    OBJECTS: ClassVar[tuple[str, ...]] = (
        "corners",
        "keypoints",
        "visible",
        "areas",
        "ids",
        "category_ids",
    )

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def boxes(self) -> np.ndarray:
        """The upright boxes around the corners, float32 `(N, 4)` xyxy."""
        return points_to_xyxy(self.corners)

    def image(self) -> np.ndarray:
        """The pixels, uint8 `(height, width, 3)` RGB; do not write into them."""
        image = self.read()
        if self.size == self.source_size and np.array_equal(self.source, IDENTITY):
            return image
        return warp(image, self.source, self.size, self.fill)

    def mask(self, size: tuple[int, int] | None = None, outside: bool = False) -> np.ndarray:
        """Where a loss counts.

        Args:
            size: (width, height) of the mask. Default: the scene's.
            outside: bool, whether it counts where there is no image. Default off.

        Returns:
            uint8 `(height, width)`: 0 where ignored objects are (and outside of the image), else 1.
        """
        import cv2

        width, height = self.source_size
        ignored = np.zeros((height, width), np.uint8)
        if self.read_ignored is not None:
            ignored = self.read_ignored()
        # What lies outside becomes 0, so the other side of the mask is moved.
        moved = ignored if outside else 1 - ignored
        moved = warp(moved.astype(np.float32), self.source, self.size)
        if size is not None:
            moved = cv2.resize(moved, size, interpolation=cv2.INTER_LINEAR)
        return ((moved <= 0.5) if outside else (moved > 0.5)).astype(np.uint8)


@dataclass(frozen=True)
class SceneContext:
    """What a random change of a scene may need besides the scene.

    Attributes:
        input_size: (width, height) of the network's input.
        draw: function from a random generator to another scene of the data set.
    """

    input_size: tuple[int, int]
    draw: Callable[[np.random.Generator], Scene]


def corners_of(boxes: np.ndarray) -> np.ndarray:
    """Corners `(..., 4, 2)` of boxes `(..., 4)` xyxy, in the order of `Scene.corners`."""
    return np.asarray(boxes)[..., [[0, 1], [0, 3], [2, 1], [2, 3]]]


def move(
    scene: Scene,
    affine: np.ndarray,
    size: tuple[int, int],
    fill: float | tuple[float, ...] | None = None,
) -> Scene:
    """Moves a scene into another rectangle.

    Args:
        scene: Scene.
        affine: array `(2, 3)`, from the new scene to the old one.
        size: (width, height) of the new one.
        fill: what no image covers. Default: as it was.
    """
    forward = invert_affine(np.asarray(affine, np.float64))
    return replace(
        scene,
        size=(int(size[0]), int(size[1])),
        corners=apply_affine(forward, scene.corners),
        keypoints=apply_affine(forward, scene.keypoints),
        areas=(scene.areas * abs(np.linalg.det(forward[:, :2]))).astype(np.float32),
        source=compose_affine(scene.source, affine),
        affine=compose_affine(scene.affine, affine),
        fill=scene.fill if fill is None else fill,
    )


def flip_scene(scene: Scene, direction: str = "horizontal") -> Scene:
    """Mirrors a scene.

    Left and right keypoints change places, except for "diagonal", which is a rotation by 180
    degrees.
    """
    scene = move(scene, flip_affine(scene.size, direction), scene.size)
    if direction == "diagonal":
        return scene
    return replace(
        scene,
        keypoints=scene.keypoints[:, scene.flip_indices],
        visible=scene.visible[:, scene.flip_indices],
    )


def crop_scene(scene: Scene, offset: tuple[int, int], size: tuple[int, int]) -> Scene:
    """Cuts a rectangle out of a scene; objects whose boxes lie outside are left out.

    Keypoints beyond the border become invisible and move onto it.

    Args:
        scene: Scene.
        offset: (x, y) of the rectangle's first pixel.
        size: (width, height), which must not reach beyond the scene.
    """
    shift = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
    cut = clip(move(scene, shift, size))
    cut = replace(cut, keypoints=np.clip(cut.keypoints, 0, np.asarray(cut.size, np.float32)))
    sides = cut.boxes[:, 2:] - cut.boxes[:, :2]
    return select(cut, (sides > 0).all(axis=-1))


def clip(scene: Scene) -> Scene:
    """Cuts boxes at the scene's border and makes keypoints beyond it invisible."""
    return replace(
        scene,
        corners=clip_corners(scene.corners, scene.size),
        visible=hide_outside(scene.visible, scene.keypoints, scene.size),
    )


def clip_corners(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Moves corners `(N, 4, 2)` into 0..width and 0..height."""
    return clip_boxes(corners.reshape(-1, 4), size).reshape(corners.shape)


def hide_outside(visible: np.ndarray, keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Visibilities `(N, K)` or `(N, K, 2)`, 0 for keypoints beyond 0..width or 0..height."""
    inside = ((keypoints >= 0) & (keypoints <= np.asarray(size))).all(axis=-1)
    if visible.ndim == 2:
        return visible * inside
    return np.concatenate([visible[..., :1] * inside[..., None], visible[..., 1:]], axis=-1)


def select(scene: Scene, which: np.ndarray) -> Scene:
    """A scene with some of its objects, by mask `(N,)` or indices."""
    return replace(scene, **{field: getattr(scene, field)[which] for field in Scene.OBJECTS})


def join(scene: Scene, others: list[Scene], **changes) -> Scene:
    """A scene that has the objects of others too; all must lie in the same pixels."""
    joined = {
        field: np.concatenate([getattr(one, field) for one in (scene, *others)])
        for field in Scene.OBJECTS
    }
    return replace(scene, **joined, **changes)
