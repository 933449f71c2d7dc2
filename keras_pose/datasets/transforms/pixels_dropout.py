"""Rectangles of the crop that are painted over, as in albumentations 1.3.1.

Keypoints under them stay labelled: the network shall guess them.
"""

from dataclasses import dataclass

import numpy as np


def cut_holes(image: np.ndarray, holes: np.ndarray, fill: int = 0) -> np.ndarray:
    """Paints rectangles over.

    Args:
        image: uint8 array `(H, W, 3)`.
        holes: int array `(N, 4)`: left, top, right, bottom in pixels; right and bottom stay.
        fill: int, the grey level that is painted. Default 0.

    Returns:
        uint8 array `(H, W, 3)`.
    """
    image = image.copy()
    for left, top, right, bottom in np.asarray(holes).tolist():
        image[top:bottom, left:right] = fill
    return image


def grid_holes(
    size: tuple[int, int], unit: int, hole: int, shift: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """One square hole in each square of a grid.

    Args:
        size: (width, height) of the image.
        unit: int, side of the grid's squares.
        hole: int, side of the holes.
        shift: (x, y) of the first hole.

    Returns:
        int array `(N, 4)`, see `cut_holes`; holes outside the image are empty.
    """
    width, height = size
    x, y = np.meshgrid(
        shift[0] + unit * np.arange(width // unit + 1),
        shift[1] + unit * np.arange(height // unit + 1),
        indexing="ij",
    )
    corners = np.stack([x, y, x + hole, y + hole], -1).reshape(-1, 4)
    return np.minimum(corners, [width, height, width, height])


@dataclass(frozen=True)
class CoarseDropout:
    """Some rectangles somewhere in the image.

    Args:
        max_holes, min_holes: int, how many. Defaults 8, 8.
        max_height, min_height, max_width, min_width: sides, pixels if int, parts of the image if
            float (the smallest and the largest of a kind). Defaults 8.
        fill: int, the grey level that is painted. Default 0.
        prob: float, how often. Default 0.5.

    Example:
        >>> CoarseDropout(1, 1, 0.4, 0.2, 0.4, 0.2)  # of the RTMPose recipes
    """

    max_holes: int = 8
    min_holes: int = 8
    max_height: float = 8
    min_height: float = 8
    max_width: float = 8
    min_width: float = 8
    fill: int = 0
    prob: float = 0.5

    def __post_init__(self):
        for name in ("holes", "height", "width"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if not 0 < low <= high or isinstance(low, float) != isinstance(high, float):
                raise ValueError(
                    f"CoarseDropout: min_{name} and max_{name} must be positive, in order, and "
                    f"both pixels (int) or both parts of the image (float), got {low} and {high}"
                )

    def holes(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draws the holes `(N, 4)` for an image of (width, height)."""
        count = int(rng.integers(self.min_holes, self.max_holes + 1))
        heights = self._sides(self.min_height, self.max_height, size[1], count, rng)
        widths = self._sides(self.min_width, self.max_width, size[0], count, rng)
        left = rng.integers(0, size[0] - widths + 1)
        top = rng.integers(0, size[1] - heights + 1)
        return np.stack([left, top, left + widths, top + heights], -1)

    @staticmethod
    def _sides(low, high, length, count, rng):
        if isinstance(low, float):
            sides = (length * rng.uniform(low, high, count)).astype(int)
        else:
            sides = rng.integers(low, high + 1, count)
        return np.minimum(sides, length)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.uniform() >= self.prob:
            return image
        return cut_holes(image, self.holes(image.shape[1::-1], rng), self.fill)


@dataclass(frozen=True)
class GridDropout:
    """Holes in a grid (GridMask, arXiv 2001.04086).

    Args:
        min_unit, max_unit: int, sides of the grid's squares, pixels. Defaults 10 and 40. One more
            than the largest is drawn too, as the published recipe was trained.
        ratio: float, the holes' side in parts of the squares'. Default 0.5.
        random_offset: bool, shift the grid. Default True.
        fill: int, the grey level that is painted. Default 0.
        prob: float, how often. Default 0.5.
    """

    min_unit: int = 10
    max_unit: int = 40
    ratio: float = 0.5
    random_offset: bool = True
    fill: int = 0
    prob: float = 0.5

    def __post_init__(self):
        if not (2 <= self.min_unit <= self.max_unit and 0 < self.ratio <= 1):
            raise ValueError(
                "GridDropout: min_unit and max_unit must be 2 or more and in order and ratio in "
                f"0..1, got {self.min_unit}, {self.max_unit} and {self.ratio}"
            )

    def holes(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draws the holes `(N, 4)` for an image of (width, height)."""
        unit = int(rng.integers(self.min_unit, self.max_unit + 2))
        hole = int(np.clip(int(unit * self.ratio), 1, unit - 1))
        shift = rng.integers(0, unit - hole + 1, 2) * self.random_offset
        return grid_holes(size, unit, hole, tuple(shift))

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.uniform() >= self.prob:
            return image
        return cut_holes(image, self.holes(image.shape[1::-1], rng), self.fill)
