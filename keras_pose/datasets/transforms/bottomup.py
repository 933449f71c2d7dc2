"""The random part of bottom-up training: small objects that draw numbers for functions of scenes.

Each is called with a Scene, a random generator and a SceneContext, and gives a Scene. Defaults are
those of MMPose 1.3.2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_pose.datasets.transforms.draws import to_truncated_normal
from keras_pose.datasets.transforms.scene import (
    Scene,
    SceneContext,
    clip,
    crop_scene,
    flip_scene,
    move,
    select,
)
from keras_pose.geometry import center_scale_affine, invert_affine, match_aspect


def centered_affine(
    size: tuple[int, int],
    input_size: tuple[int, int],
    offset=(0.0, 0.0),
    scale: float = 1.0,
    rotation: float = 0.0,
    whole: bool = False,
    udp: bool = False,
) -> np.ndarray:
    """The map that shows the middle of a scene.

    Args:
        size: (width, height) of the scene.
        input_size: (width, height) of the input.
        offset: (x, y), how far from the middle, as a fraction of the scene's size.
        scale: float, factor on the part that is shown.
        rotation: float, degrees, see `keras_pose.geometry.center_scale_affine`.
        whole: bool, show the whole scene with a border, or (default) fill the input.
        udp: bool, see `keras_pose.geometry.center_scale_affine`.

    Returns:
        float32 `(2, 3)`, input to scene.
    """
    size = np.asarray(size, np.float64)
    shown = match_aspect(scale * size, input_size)
    if not whole:
        shown = shown * (scale * size / shown).min()
    center = (size - 1.0 if udp else size) / 2 + np.asarray(offset) * size
    return center_scale_affine(center, shown, input_size, rotation, udp)


def perspective_affine(
    input_size: tuple[int, int],
    offset=(0.0, 0.0),
    scale: float = 1.0,
    rotation: float = 0.0,
    shear=(0.0, 0.0),
) -> np.ndarray:
    """The map that resizes, turns, shears and shifts about the middle of the input.

    The scene's size does not matter: it should be close to the input's, or (mosaics) larger.

    Args:
        input_size: (width, height) of the input.
        offset: (x, y), shift of the content as a fraction of the input's size.
        scale: float, factor on the content's size.
        rotation: float, degrees by which the content is turned counter-clockwise.
        shear: (x, y), degrees.

    Returns:
        float32 `(2, 3)`, input to scene.
    """
    center = np.asarray(input_size, np.float64) / 2
    angle = -math.radians(rotation)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    slant = np.array([[1, math.tan(math.radians(shear[0]))], [math.tan(math.radians(shear[1])), 1]])
    linear = slant @ turn * scale
    shift = center + np.asarray(offset) * np.asarray(input_size) - linear @ center
    return invert_affine(np.column_stack([linear, shift])).astype(np.float32)


@dataclass(frozen=True)
class RandomAffine:
    """Shifts, resizes and turns a scene into the network's input.

    Args:
        mode: "affine" (default) shows the middle of the scene, "affine_udp" the same in the UDP
            convention, "perspective" moves it about the middle of the input, and shears.
        shift_factor: float, largest shift as a fraction of the scene's size ("perspective": of the
            input's). Default 0.2.
        shift_prob: float, how often. Default 1.
        scale_factor: (smallest, largest). Default (0.75, 1.5). On the part of the scene that is
            shown; for "perspective" on the content.
        scale_prob: float. Default 1.
        rotate_factor: float, largest rotation in degrees. Default 30.
        rotate_prob: float. Default 1.
        shear_factor: float, largest shear in degrees, only for "perspective". Default 2.
        shear_prob: float. Default 1.
        whole: bool, the unchanged scene fits into the input with a border, or (default) fills it.
            Not for "perspective".
        distribution: "normal" (default: standard normal, cut off at -1 and 1, times the factor) or
            "uniform".
        clip: bool, cut boxes at the border and make keypoints beyond it invisible. Default off.
        fill: grey level, or one a channel, beyond the border. Default 0.
        input_size: (width, height). Default: the network's.
    """

    mode: str = "affine"
    shift_factor: float = 0.2
    shift_prob: float = 1.0
    scale_factor: tuple[float, float] = (0.75, 1.5)
    scale_prob: float = 1.0
    rotate_factor: float = 30.0
    rotate_prob: float = 1.0
    shear_factor: float = 2.0
    shear_prob: float = 1.0
    whole: bool = False
    distribution: str = "normal"
    clip: bool = False
    fill: float | tuple[float, ...] = 0
    input_size: tuple[int, int] | None = None

    def __post_init__(self):
        for name, choices in (
            ("mode", ("affine", "affine_udp", "perspective")),
            ("distribution", ("normal", "uniform")),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")

    def __call__(self, scene: Scene, rng: np.random.Generator, context: SceneContext) -> Scene:
        input_size = self.input_size or context.input_size
        amounts = self.amounts(rng.uniform(size=6), rng.uniform(size=4))
        return self.apply(scene, input_size, *amounts)

    def amounts(self, spread: np.ndarray, happens: np.ndarray) -> tuple[Any, float, float, Any]:
        """What draws amount to.

        Args:
            spread: array `(6,)` in 0..1, for x, y, size, rotation, shear in x and y.
            happens: array `(4,)` in 0..1, which decide whether to shift, resize, turn and shear.

        Returns:
            Offset `(2,)`, scale, degrees, shear `(2,)` in degrees: arguments of `apply`.
        """
        spread = 2 * spread - 1 if self.distribution == "uniform" else to_truncated_normal(spread)
        probabilities = (self.shift_prob, self.scale_prob, self.rotate_prob, self.shear_prob)
        shifts, resizes, turns, shears = happens < probabilities
        low, high = self.scale_factor
        scale = (low + high) / 2 + (high - low) / 2 * spread[2] if resizes else 1.0
        shear = self.shear_factor * spread[4:] * (shears and self.mode == "perspective")
        return (
            self.shift_factor * spread[:2] * shifts,
            float(scale),
            float(self.rotate_factor * spread[3] * turns),
            shear,
        )

    def apply(
        self,
        scene: Scene,
        input_size: tuple[int, int],
        offset=(0.0, 0.0),
        scale: float = 1.0,
        rotation: float = 0.0,
        shear=(0.0, 0.0),
    ) -> Scene:
        """Moves a scene by given amounts, see `centered_affine` and `perspective_affine`."""
        if self.mode == "perspective":
            affine = perspective_affine(input_size, offset, scale, rotation, shear)
        else:
            udp = self.mode == "affine_udp"
            affine = centered_affine(
                scene.size, input_size, offset, scale, rotation, self.whole, udp
            )
        moved = move(scene, affine, input_size, self.fill)
        return clip(moved) if self.clip else moved


@dataclass(frozen=True)
class RandomSceneFlip:
    """Mirrors a scene; left and right keypoints change places.

    Args:
        prob: float, how often, shared equally by the directions; or one a direction. Default 0.5.
        directions: "horizontal" (default), "vertical", "diagonal", or a tuple of them.
    """

    prob: float | tuple[float, ...] = 0.5
    directions: str | tuple[str, ...] = "horizontal"

    def __call__(self, scene: Scene, rng: np.random.Generator, context: SceneContext) -> Scene:
        direction = self.direction(rng.uniform())
        return scene if direction is None else flip_scene(scene, direction)

    def direction(self, uniform: float) -> str | None:
        """The direction that a draw in 0..1 chooses, None for no flip."""
        directions = (self.directions,) if isinstance(self.directions, str) else self.directions
        shares = self.prob
        if not isinstance(shares, tuple):
            shares = (shares / len(directions),) * len(directions)
        chosen = int(np.searchsorted(np.cumsum(shares), uniform, side="right"))
        return directions[chosen] if chosen < len(directions) else None


@dataclass(frozen=True)
class RandomSceneCrop:
    """Cuts a rectangle out of a scene, anywhere.

    Args:
        size: (width, height) in pixels or, for "relative...", as fractions of the scene's; for
            "absolute_range" (smallest, largest) of both sides in pixels.
        size_type: "absolute" (default), "relative", "relative_range" (from these fractions to 1),
            "absolute_range".
        allow_empty: bool, whether the crop may show nobody. Default off: drawn again up to ten
            times, then the scene stays as it is.
    """

    size: tuple[float, float]
    size_type: str = "absolute"
    allow_empty: bool = False

    def __post_init__(self):
        if self.size_type not in _CROP_SIZES:
            raise ValueError(f"size_type must be one of {[*_CROP_SIZES]}, got {self.size_type!r}")

    def __call__(self, scene: Scene, rng: np.random.Generator, context: SceneContext) -> Scene:
        for _ in range(10):
            cut = crop_scene(scene, *self.rectangle(scene.size, rng.uniform(size=4)))
            if len(cut) or self.allow_empty or not len(scene):
                return cut
        return scene

    def rectangle(
        self, size: tuple[int, int], uniform: np.ndarray
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Offset (x, y) and size (width, height) that four draws in 0..1 amount to."""
        whole = np.asarray(size)
        cut = _CROP_SIZES[self.size_type](np.asarray(self.size), whole, uniform[:2])
        cut = np.clip(cut, 1, whole).astype(int)
        offset = (uniform[2:] * (whole - cut + 1)).astype(int)
        return tuple(offset.tolist()), tuple(cut.tolist())


def _between(limits: np.ndarray, whole: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    low, high = np.minimum(whole, limits[0]), np.minimum(whole, limits[1])
    return low + np.floor(uniform * (high - low + 1))


# What size_type means: (size, scene's size, two draws in 0..1) -> width and height.
_CROP_SIZES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "absolute": lambda size, whole, uniform: size,
    "relative": lambda size, whole, uniform: np.floor(whole * size + 0.5),
    "relative_range": lambda size, whole, uniform: np.floor(
        whole * (size + uniform * (1 - size)) + 0.5
    ),
    "absolute_range": _between,
}


@dataclass(frozen=True)
class FilterObjects:
    """Leaves objects out that are too small or show too little. What they show stays.

    Args:
        min_box: (width, height) that a box must exceed, or None to not look. Default None.
        min_area: float, smallest area in square pixels, or None. Default None.
        min_visible: float, fewest visible keypoints, or None. Default 1.
    """

    min_box: tuple[float, float] | None = None
    min_area: float | None = None
    min_visible: float | None = 1

    def __call__(
        self,
        scene: Scene,
        rng: np.random.Generator | None = None,
        context: SceneContext | None = None,
    ) -> Scene:
        keep = np.ones(len(scene), bool)
        if self.min_box is not None:
            keep &= (scene.boxes[:, 2:] - scene.boxes[:, :2] > self.min_box).all(axis=-1)
        if self.min_area is not None:
            keep &= scene.areas >= self.min_area
        if self.min_visible is not None:
            visible = scene.visible if scene.visible.ndim == 2 else scene.visible[..., 0]
            keep &= visible.sum(axis=-1) >= self.min_visible
        return select(scene, keep)


@dataclass(frozen=True)
class BottomupAugment:
    """What happens to a scene in training, in this order.

    Args:
        steps: changes of the scene, such as RandomAffine. The last that resizes must end at the
            network's input size; where none does, the pipeline fits the scene into it.
        pixels: changes of colour and the like on the input, called with uint8 `(H, W, 3)` RGB and a
            random generator.
        masked: bool, whether labels with masks leave out what nobody labelled; off: every pixel
            counts, as in recipes that make no masks. Default on.

    Example:
        >>> BottomupAugment((RandomAffine(rotate_factor=10), RandomSceneFlip()))
    """

    steps: tuple[Callable, ...] = field(default_factory=lambda: (RandomAffine(), RandomSceneFlip()))
    pixels: tuple[Callable, ...] = ()
    masked: bool = True

    def __call__(self, scene: Scene, rng: np.random.Generator, context: SceneContext) -> Scene:
        for step in self.steps:
            scene = step(scene, rng, context)
        return scene
