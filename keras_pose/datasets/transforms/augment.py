"""The random part of top-down training: small objects that draw numbers for `crop`'s functions.

Each takes `Crops` of many objects and the `Draws` of their rows. Defaults are those of MMPose
1.3.2's published recipes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from keras_pose.datasets.transforms.crop import Crops, choose_half_body, flip, half_body, jitter
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.skeleton import Skeleton


@dataclass(frozen=True)
class RandomFlip:
    """Mirrors the image; left and right keypoints change places.

    Args:
        prob: float, how often, shared equally by the directions; or a tuple, how often in each
            direction. Default 0.5.
        direction: "horizontal" (default), "vertical", "diagonal", or a tuple of them.
    """

    prob: float | tuple[float, ...] = 0.5
    direction: str | tuple[str, ...] = "horizontal"

    def __post_init__(self):
        probs, directions = np.ravel(self.prob), np.atleast_1d(self.direction)
        if len(probs) not in (1, len(directions)):
            raise ValueError(
                f"RandomFlip has {len(probs)} probabilities for {len(directions)} directions"
            )
        if not ((probs >= 0).all() and probs.sum() <= 1 + 1e-9):
            raise ValueError(f"RandomFlip needs probabilities whose sum is 0..1, got {self.prob}")

    def __call__(self, crops: Crops, skeleton: Skeleton, draws: Draws) -> Crops:
        chosen = self.chosen(draws.uniform("flip"))
        for number, direction in enumerate(np.atleast_1d(self.direction)):
            crops = flip(crops, skeleton.flip_indices, str(direction), chosen == number)
        return crops

    def chosen(self, uniform: np.ndarray) -> np.ndarray:
        """Which direction draws `(N,)` in 0..1 choose: its number, or that of directions: none."""
        directions = np.atleast_1d(self.direction)
        probs = np.ravel(self.prob)
        if len(probs) == 1:
            probs = np.full(len(directions), probs[0] / len(directions))
        return np.searchsorted(np.cumsum(probs), uniform, side="right")


@dataclass(frozen=True)
class RandomHalfBody:
    """Crops to the upper or the lower body where enough of it is labelled.

    Skeletons that name no upper and lower body are left alone.

    Args:
        prob: float, how often. Default 0.3.
        upper_prob: float, how often the upper half, if both would do. Default 0.7.
        min_total, min_upper, min_lower: int, fewest visible keypoints. Defaults 9, 2, 3.
        padding: float, factor on the extent of the half's keypoints. Default 1.5.
    """

    prob: float = 0.3
    upper_prob: float = 0.7
    min_total: int = 9
    min_upper: int = 2
    min_lower: int = 3
    padding: float = 1.5

    def __call__(self, crops: Crops, skeleton: Skeleton, draws: Draws) -> Crops:
        uniform = draws.uniform("half body", 2)
        chosen = self.chosen(crops.visible, uniform, skeleton.upper_body, skeleton.lower_body)
        return half_body(crops, chosen, self.padding)

    def chosen(
        self,
        visible: np.ndarray,
        uniform: np.ndarray,
        upper_body: np.ndarray,
        lower_body: np.ndarray,
    ) -> np.ndarray:
        """Keypoints `(N, K)` of the halves that draws `(N, 2)` in 0..1 choose; none: no half."""
        happens, prefers_upper = (uniform < (self.prob, self.upper_prob)).T
        limits = self.min_total, self.min_upper, self.min_lower
        chosen = choose_half_body(visible, upper_body, lower_body, prefers_upper, *limits)
        return chosen & happens[:, None]


@dataclass(frozen=True)
class RandomJitter:
    """Shifts, resizes and turns the crop.

    Amounts are drawn from a standard normal distribution cut off at -1 and 1, times the factor.

    Args:
        shift_factor: float, largest shift as a fraction of the crop's size. Default 0.16.
        shift_prob: float, how often. Default 0.3.
        scale_factor: (smallest, largest) factor on the crop's size. Default (0.5, 1.5).
        scale_prob: float. Default 1.0.
        rotate_factor: float, largest rotation in degrees. Default 80.
        rotate_prob: float. Default 0.6.
    """

    shift_factor: float = 0.16
    shift_prob: float = 0.3
    scale_factor: tuple[float, float] = (0.5, 1.5)
    scale_prob: float = 1.0
    rotate_factor: float = 80.0
    rotate_prob: float = 0.6

    def __call__(self, crops: Crops, skeleton: Skeleton, draws: Draws) -> Crops:
        normal, uniform = draws.truncated_normal("jitter", 4), draws.uniform("jitter or not", 3)
        return jitter(crops, *self.amounts(normal, uniform))

    def amounts(
        self, normal: np.ndarray, uniform: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What draws amount to.

        Args:
            normal: array `(N, 4)` in -1..1, for x, y, size and rotation.
            uniform: array `(N, 3)` in 0..1, which decide whether to shift, resize and rotate.

        Returns:
            Offsets `(N, 2)` as fractions of the crops' sizes, factors on the sizes `(N,)`, degrees
            `(N,)`.
        """
        probs = self.shift_prob, self.scale_prob, self.rotate_prob
        shifts, resizes, turns = (uniform < probs).T
        low, high = self.scale_factor
        offset = self.shift_factor * normal[:, :2] * shifts[:, None]
        scale = np.where(resizes, (low + high) / 2 + (high - low) / 2 * normal[:, 2], 1.0)
        return offset, scale, self.rotate_factor * normal[:, 3] * turns


@dataclass(frozen=True)
class TopdownAugment:
    """What happens to a crop in training, in this order; None leaves a step out.

    Args:
        flip: RandomFlip or None.
        half_body: RandomHalfBody or None.
        jitter: RandomJitter or None.
        pixels: tuple of transforms of the finished crop, such as RandomColor: functions of a uint8
            image `(H, W, 3)` and a NumPy generator. Default: none.

    Example:
        >>> TopdownAugment(half_body=None, jitter=RandomJitter(rotate_factor=30))
    """

    flip: RandomFlip | None = field(default_factory=RandomFlip)
    half_body: RandomHalfBody | None = field(default_factory=RandomHalfBody)
    jitter: RandomJitter | None = field(default_factory=RandomJitter)
    pixels: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = ()

    def __post_init__(self):
        if callable(self.pixels):
            raise ValueError(f"pixels must be a tuple of transforms, got {self.pixels!r} alone")

    def __call__(self, crops: Crops, skeleton: Skeleton, draws: Draws) -> Crops:
        for transform in (self.flip, self.half_body, self.jitter):
            if transform is not None:
                crops = transform(crops, skeleton, draws)
        return crops

    def change_pixels(self, image: np.ndarray, draws: Draws, position: int) -> np.ndarray:
        """The transforms of `pixels` on one crop, uint8 `(H, W, 3)`, that of `draws`' position."""
        if self.pixels:
            rng = draws.generator("pixels", position)
            for transform in self.pixels:
                image = transform(image, rng)
        return image
