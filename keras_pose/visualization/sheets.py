"""Many pictures on one."""

import math
from collections.abc import Sequence

import numpy as np

from keras_pose.images import as_rgb
from keras_pose.visualization.shapes import INSTANCE_COLORS, write_label


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int | None = None,
    cell_size: tuple[int, int] | None = None,
    *,
    titles: Sequence[str] | None = None,
    gap: int = 8,
    background: tuple[int, int, int] = (24, 24, 27),
) -> np.ndarray:
    """Puts pictures side by side, each scaled to fit its cell without distortion.

    Args:
        images: one or more RGB pictures of any sizes, as `keras_pose.images.as_rgb` takes.
        columns: int. Default: as many as make the sheet about square.
        cell_size: (width, height) of a cell in pixels. Default: 320 wide, and as high as the
            median shape of the pictures asks.
        titles: optional texts, one a picture, written into its upper left corner; empty ones are
            left out.
        gap: int, pixels between and around the cells. Default 8.
        background: RGB. Default nearly black.

    Returns:
        uint8 RGB array.

    Raises:
        ValueError: without pictures, or for sizes that make no sense.
    """
    import cv2

    images = [as_rgb(image, f"images[{i}]") for i, image in enumerate(images)]
    if not images:
        raise ValueError("contact_sheet needs at least one image")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles must be {len(images)} texts, one an image, got {len(titles)}")
    if cell_size is None:
        shape = float(np.median([image.shape[0] / image.shape[1] for image in images]))
        cell_size = (320, max(1, round(320 * shape)))
    width, height = cell_size
    if width < 1 or height < 1 or gap < 0 or (columns is not None and columns < 1):
        raise ValueError(
            "columns and the sides of cell_size must be at least 1 and gap at least 0, "
            f"got {columns}, {cell_size} and {gap}"
        )
    if columns is None:
        columns = math.ceil(math.sqrt(len(images) * height / width))
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    sheet = np.empty((gap + rows * (height + gap), gap + columns * (width + gap), 3), np.uint8)
    sheet[:] = background
    for i, image in enumerate(images):
        factor = min(width / image.shape[1], height / image.shape[0])
        size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        fitted = cv2.resize(image, size, interpolation=method)
        if titles is not None and titles[i]:
            write_label(fitted, str(titles[i]), (4, 26), 10, INSTANCE_COLORS[0])
        left = gap + (i % columns) * (width + gap) + (width - size[0]) // 2
        top = gap + (i // columns) * (height + gap) + (height - size[1]) // 2
        sheet[top : top + size[1], left : left + size[0]] = fitted
    return sheet
