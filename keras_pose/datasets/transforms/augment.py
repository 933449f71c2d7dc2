"""The random part of top-down training: small objects that draw numbers for `crop`'s functions.

Defaults are those of MMPose 1.3.2's published recipes.
"""

from dataclasses import dataclass, field

import numpy as np

from keras_pose.datasets.transforms.crop import Crop, choose_half_body, flip, half_body, jitter
from keras_pose.datasets.transforms.pixels_color import RandomColor
from keras_pose.skeleton import Skeleton


@dataclass(frozen=True)
class RandomFlip:
    """Mirrors the image; left and right keypoints change places.

    Args:
        prob: float, how often. Default 0.5.
        direction: "horizontal" (default), "vertical" or "diagonal".
    """

    prob: float = 0.5
    direction: str = "horizontal"

    def __call__(self, crop: Crop, skeleton: Skeleton, rng: np.random.Generator) -> Crop:
        if rng.uniform() >= self.prob:
            return crop
        return flip(crop, skeleton.flip_indices, self.direction)


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

    def __call__(self, crop: Crop, skeleton: Skeleton, rng: np.random.Generator) -> Crop:
        happens, prefers_upper = rng.uniform(size=2) < (self.prob, self.upper_prob)
        if not happens:
            return crop
        chosen = choose_half_body(
            crop.visible,
            skeleton.upper_body,
            skeleton.lower_body,
            prefers_upper,
            self.min_total,
            self.min_upper,
            self.min_lower,
        )
        return crop if chosen is None else half_body(crop, chosen, self.padding)


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

    def __call__(self, crop: Crop, skeleton: Skeleton, rng: np.random.Generator) -> Crop:
        return jitter(crop, *self.amounts(truncated_normal(rng, 4), rng.uniform(size=3)))

    def amounts(self, normal: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, float, float]:
        """What draws amount to.

        Args:
            normal: array `(4,)` in -1..1, for x, y, size and rotation.
            uniform: array `(3,)` in 0..1, which decide whether to shift, resize and rotate.

        Returns:
            Offset `(2,)` as a fraction of the crop's size, factor on the size, degrees.
        """
        shifts, resizes, turns = uniform < (self.shift_prob, self.scale_prob, self.rotate_prob)
        low, high = self.scale_factor
        offset = self.shift_factor * normal[:2] * shifts
        scale = (low + high) / 2 + (high - low) / 2 * normal[2] if resizes else 1.0
        return offset, scale, self.rotate_factor * normal[3] * turns


def truncated_normal(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws `(size,)` of a standard normal distribution under the condition -1 <= x <= 1."""
    draws = np.zeros(0)
    while len(draws) < size:
        more = rng.standard_normal(2 * size + 4)  # 68 % of them are used
        draws = np.concatenate([draws, more[np.abs(more) <= 1]])
    return draws[:size]


@dataclass(frozen=True)
class TopdownAugment:
    """What happens to a crop in training, in this order; None leaves a step out.

    Args:
        flip: RandomFlip or None.
        half_body: RandomHalfBody or None.
        jitter: RandomJitter or None.
        color: RandomColor or None (default).

    Example:
        >>> TopdownAugment(half_body=None, jitter=RandomJitter(rotate_factor=30))
    """

    flip: RandomFlip | None = field(default_factory=RandomFlip)
    half_body: RandomHalfBody | None = field(default_factory=RandomHalfBody)
    jitter: RandomJitter | None = field(default_factory=RandomJitter)
    color: RandomColor | None = None

    def __call__(self, crop: Crop, skeleton: Skeleton, rng: np.random.Generator) -> Crop:
        for transform in (self.flip, self.half_body, self.jitter):
            if transform is not None:
                crop = transform(crop, skeleton, rng)
        return crop
