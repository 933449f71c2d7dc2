"""Regions of an image (polygons, run lengths) as masks."""

from collections.abc import Iterable, Mapping

import numpy as np


def draw_regions(regions: Iterable, size: tuple[int, int]) -> np.ndarray:
    """Draws regions as COCO's tools do.

    Args:
        regions: of each a flat list of a polygon's corners (x, y, x, y, ...), a list of such lists,
            or a run-length dict with `size` and `counts`.
        size: (width, height) of the image.

    Returns:
        uint8 `(height, width)`, 1 inside of any of them.

    Raises:
        ImportError: without pycocotools.
        ValueError: for run lengths of another size.
    """
    width, height = size
    runs = [run for region in regions for run in _runs(region, width, height)]
    if not runs:
        return np.zeros((height, width), np.uint8)
    codec = _codec()
    return codec.decode(codec.merge(runs))


def _runs(region, width: int, height: int) -> list[dict]:
    if isinstance(region, Mapping):
        if tuple(region.get("size", ())) != (height, width):
            raise ValueError(
                f"run lengths of a region are for an image of height and width "
                f"{region.get('size')}, the image has {[height, width]}"
            )
        counts = region["counts"]
        if isinstance(counts, str | bytes):
            return [{"size": [height, width], "counts": counts}]
        return [_codec().frPyObjects(dict(region), height, width)]
    polygons = [region] if len(region) and np.isscalar(region[0]) else region
    # Fewer than three corners enclose nothing.
    polygons = [list(map(float, polygon)) for polygon in polygons if len(polygon) >= 6]
    return _codec().frPyObjects(polygons, height, width) if polygons else []


def _codec():
    try:
        from pycocotools import mask
    except ImportError:
        raise ImportError(
            "masks of ignored objects need pycocotools: pip install keras-pose[train]"
        ) from None
    return mask
