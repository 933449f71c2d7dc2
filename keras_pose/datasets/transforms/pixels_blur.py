"""Blur and noise after the crop has been cut out, as in albumentations 1.3.1."""

from dataclasses import dataclass

import numpy as np


def box_blur(image: np.ndarray, size: int) -> np.ndarray:
    """The mean of `size` x `size` pixels around each; borders are mirrored without the edge.

    Args:
        image: uint8 array `(H, W, 3)`.
        size: int, odd.

    Returns:
        uint8 array `(H, W, 3)`.
    """
    import cv2

    return cv2.blur(image, (size, size))


def median_blur(image: np.ndarray, size: int) -> np.ndarray:
    """The median of `size` x `size` pixels around each, channel by channel; see `box_blur`."""
    import cv2

    return cv2.medianBlur(image, size)


def gaussian_blur(image: np.ndarray, size: int) -> np.ndarray:
    """A mean weighted 1 2 1, 1 4 6 4 1, 1 3.5 7 9 7 3.5 1, ... in both directions; see `box_blur`.

    Which is OpenCV's choice of a Gaussian for a kernel of that size.
    """
    import cv2

    return cv2.GaussianBlur(image, (size, size), 0)


def add_noise(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Adds noise in grey levels; the sum is cut to 0..255 and truncated.

    Args:
        image: uint8 array `(H, W, 3)`.
        noise: float array that broadcasts to it.

    Returns:
        uint8 array `(H, W, 3)`.
    """
    return np.clip(image.astype(np.float32) + noise, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _RandomKernel:
    sizes: tuple[int, int] = (3, 7)
    prob: float = 0.5

    def __post_init__(self):
        low, high = self.sizes
        if not (low % 2 and high % 2 and 3 <= low <= high):
            raise ValueError(
                f"{type(self).__name__}: sizes must be two ordered odd numbers from 3 on, "
                f"got {self.sizes}"
            )

    def draw_size(self, rng: np.random.Generator) -> int:
        """The side of the kernel, pixels."""
        low, high = self.sizes
        return low + 2 * int(rng.integers((high - low) // 2 + 1))

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.blur(image, self.draw_size(rng)) if rng.uniform() < self.prob else image


class Blur(_RandomKernel):
    """Takes the mean over squares.

    Args:
        sizes: (smallest, largest) side of the squares, odd; all odd sides between are equally
            likely. Default (3, 7).
        prob: float, how often. Default 0.5.
    """

    blur = staticmethod(box_blur)


class MedianBlur(_RandomKernel):
    """Takes the median over squares; arguments as of `Blur`."""

    blur = staticmethod(median_blur)


class GaussianBlur(_RandomKernel):
    """Takes means weighted by a Gaussian that fits the squares; arguments as of `Blur`."""

    blur = staticmethod(gaussian_blur)


@dataclass(frozen=True)
class GaussianNoise:
    """Adds normally distributed noise to every channel of every pixel; albumentations' GaussNoise.

    Args:
        variance: (smallest, largest) variance in squared grey levels. Default (10, 50).
        prob: float, how often. Default 0.5.
    """

    variance: tuple[float, float] = (10.0, 50.0)
    prob: float = 0.5

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.uniform() >= self.prob:
            return image
        sigma = np.float32(np.sqrt(rng.uniform(*self.variance)))
        return add_noise(image, sigma * rng.standard_normal(image.shape, np.float32))
