"""Changes of colour after the crop has been cut out.

Everything here takes and returns RGB. MMPose 1.3.2 works on the same pixels in the order BGR: the
results are equal after swapping the channels.

8-bit values are truncated, not rounded, after every step, as there; since a step on one channel is
a function of 256 values, each is a table that OpenCV looks up. Hue is 0..179, saturation and value
0..255.
"""

from dataclasses import dataclass

import numpy as np

# Luma of ITU-R BT.601, as OpenCV's grey conversion uses it, RGB.
LUMA = np.array([0.299, 0.587, 0.114])
LEVELS = np.arange(256, dtype=np.float32)
HUES = 180


def change_color(
    image: np.ndarray, brightness: float = 0.0, contrast: float = 1.0, saturation: float = 1.0
) -> np.ndarray:
    """Changes brightness, contrast and saturation in one pass, rounded.

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


def scale_levels(image: np.ndarray, factor: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """`image * factor + offset`, cut to 0..255 and truncated.

    Args:
        image: uint8 array, any shape.
        factor: float.
        offset: float, in grey levels.

    Returns:
        uint8 array of the same shape.
    """
    import cv2

    return cv2.LUT(image, _levels(LEVELS * np.float32(factor) + np.float32(offset)))


def shift_hsv(
    image: np.ndarray, hue: float = 0.0, saturation: float = 0.0, value: float = 0.0
) -> np.ndarray:
    """Adds to hue, saturation and value.

    Args:
        image: uint8 array `(H, W, 3)`, RGB.
        hue: float, steps of two degrees; the circle of hues closes at 180.
        saturation: float, in 0..255; the sum is cut to this range.
        value: float, likewise.

    Returns:
        uint8 array `(H, W, 3)`.
    """
    tables = [_hues(hue), _levels(LEVELS + saturation), _levels(LEVELS + value)]
    return _through_hsv(image, tables)


def distort(
    image: np.ndarray,
    brightness: float = 0.0,
    contrast: float = 1.0,
    saturation: float | None = None,
    hue: int | None = None,
    last_contrast: float = 1.0,
    channels: tuple[int, int, int] = (0, 1, 2),
) -> np.ndarray:
    """The photometric distortion of the SSD paper (arXiv 1512.02325, section 2.2).

    Args:
        image: uint8 array `(H, W, 3)`, RGB.
        brightness: float, added to every channel, in grey levels.
        contrast: float, factor on every channel, before the saturation is changed.
        saturation: optional float, factor on the saturation.
        hue: optional int, added to the hue. Where neither is given the image is not taken through
            HSV, which costs up to 5 grey levels in rounding.
        last_contrast: float, factor on every channel, after the hue has been changed.
        channels: order in which the channels are given out.

    Returns:
        uint8 array `(H, W, 3)`.
    """
    if brightness:
        image = scale_levels(image, offset=brightness)
    if contrast != 1.0:
        image = scale_levels(image, contrast)
    if saturation is not None or hue is not None:
        factor = np.float32(1.0 if saturation is None else saturation)
        tables = [_hues(hue or 0), _levels(LEVELS * factor), _levels(LEVELS)]
        image = _through_hsv(image, tables)
    if last_contrast != 1.0:
        image = scale_levels(image, last_contrast)
    if tuple(channels) != (0, 1, 2):
        image = np.ascontiguousarray(image[..., list(channels)])
    return image


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _hues(shift: float) -> np.ndarray:
    return np.mod(LEVELS + shift, HUES).astype(np.uint8) % HUES


def _through_hsv(image: np.ndarray, tables: list[np.ndarray]) -> np.ndarray:
    """Looks hue, saturation and value up in a table of 256 entries each."""
    import cv2

    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv = cv2.LUT(hsv, np.stack(tables, -1)[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


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


@dataclass(frozen=True)
class PhotometricDistortion:
    """Brightness, contrast, saturation, hue and the order of the channels, half of the time each.

    Contrast comes first or last with equal chance. In MMPose 1.3.2 it acts twice instead of first
    and never instead of last, and a hue that falls below 0 jumps by 152 degrees; neither is
    reproduced.

    Args:
        brightness: float, largest change in grey levels. Default 32.
        contrast: (smallest, largest) factor. Default (0.5, 1.5).
        saturation: (smallest, largest) factor. Default (0.5, 1.5).
        hue: int, largest change in steps of two degrees; downwards one step more than upwards.
            Default 18.
    """

    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: int = 18

    def amounts(self, rng: np.random.Generator) -> dict:
        """Draws the arguments of `distort`."""
        changes_brightness, changes_contrast, contrast_first, swaps = rng.integers(2, size=4)
        hsv = rng.integers(4)  # nothing, saturation, hue, both
        contrast = rng.uniform(*self.contrast)
        brightness = rng.uniform(-self.brightness, self.brightness)
        saturation = rng.uniform(*self.saturation)
        hue = int(rng.integers(-self.hue, max(self.hue, 1 - self.hue)))
        channels = rng.permutation(3)
        return {
            "brightness": brightness if changes_brightness else 0.0,
            "contrast": contrast if changes_contrast and contrast_first else 1.0,
            "saturation": saturation if hsv in (1, 3) else None,
            "hue": hue if hsv in (2, 3) else None,
            "last_contrast": contrast if changes_contrast and not contrast_first else 1.0,
            "channels": tuple(channels.tolist()) if swaps else (0, 1, 2),
        }

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return distort(image, **self.amounts(rng))


@dataclass(frozen=True)
class RandomHSV:
    """Adds to hue, saturation and value, each half of the time; MMPose's YOLOXHSVRandomAug.

    Args:
        hue: int, largest change in steps of two degrees. Default 5. Draws are truncated towards
            zero, so it is not reached.
        saturation: int, largest change in 0..255. Default 30.
        value: int, likewise. Default 30.
    """

    hue: int = 5
    saturation: int = 30
    value: int = 30

    def amounts(self, rng: np.random.Generator) -> np.ndarray:
        """Draws the changes `(3,)` of hue, saturation and value."""
        largest = np.array([self.hue, self.saturation, self.value])
        return np.trunc(rng.uniform(-1, 1, 3) * largest) * rng.integers(2, size=3)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        amounts = self.amounts(rng)
        return shift_hsv(image, *amounts) if amounts.any() else image


@dataclass(frozen=True)
class HueSaturationValue:
    """Adds uniform draws to hue, saturation and value; as in albumentations 1.3.1.

    Args:
        hue, saturation, value: float, largest changes. Defaults 20, 30, 20.
        prob: float, how often. Default 0.5.
    """

    hue: float = 20.0
    saturation: float = 30.0
    value: float = 20.0
    prob: float = 0.5

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.uniform() >= self.prob:
            return image
        largest = np.array([self.hue, self.saturation, self.value])
        return shift_hsv(image, *(rng.uniform(-1, 1, 3) * largest))


@dataclass(frozen=True)
class RandomBrightnessContrast:
    """Multiplies by and adds uniform draws; as in albumentations 1.3.1.

    Args:
        brightness: float, largest change, in parts of 255. Default 0.2.
        contrast: float, largest change of the factor from 1. Default 0.2.
        prob: float, how often. Default 0.5.
    """

    brightness: float = 0.2
    contrast: float = 0.2
    prob: float = 0.5

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.uniform() >= self.prob:
            return image
        brightness, contrast = rng.uniform(-1, 1, 2) * (self.brightness, self.contrast)
        return scale_levels(image, 1 + contrast, 255 * brightness)
