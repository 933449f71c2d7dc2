"""Changes of colour, after the crop has been cut out."""

from dataclasses import dataclass

import numpy as np

# Luma of ITU-R BT.601, as OpenCV's grey conversion uses it, RGB.
LUMA = np.array([0.299, 0.587, 0.114])


def change_color(
    image: np.ndarray, brightness: float = 0.0, contrast: float = 1.0, saturation: float = 1.0
) -> np.ndarray:
    """Changes brightness, contrast and saturation in one pass.

    Args:
        image: uint8 array `(H, W, 3)`, RGB.
        brightness: float, added to every channel, in grey levels.
        contrast: float, factor on every channel.
        saturation: float, 0 gives grey, 1 leaves colours as they are.

    Returns:
        uint8 array `(H, W, 3)`.
    """
    import cv2

    mix = saturation * np.eye(3) + (1 - saturation) * LUMA
    return cv2.transform(image, np.column_stack([contrast * mix, np.full(3, brightness)]))


@dataclass(frozen=True)
class RandomColor:
    """Draws a brightness, a contrast and a saturation, each with probability `prob`.

    Args:
        brightness: float, largest change in grey levels. Default 32.
        contrast: (smallest, largest) factor. Default (0.5, 1.5).
        saturation: (smallest, largest) factor. Default (0.5, 1.5).
        prob: float, how often each of the three changes. Default 0.5.
    """

    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    prob: float = 0.5

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        happens = rng.uniform(size=3) < self.prob
        brightness, contrast, saturation = np.where(
            happens,
            (
                rng.uniform(-self.brightness, self.brightness),
                rng.uniform(*self.contrast),
                rng.uniform(*self.saturation),
            ),
            (0.0, 1.0, 1.0),
        )
        return change_color(image, brightness, contrast, saturation) if happens.any() else image
