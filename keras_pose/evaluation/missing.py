"""Sentences about what results lack: no metric scores that silently."""

from collections.abc import Iterable, Sequence

import numpy as np


def images_without_results(annotated: Iterable, found: Iterable) -> tuple[str, ...]:
    """A note on images with objects for which there is no result, none if there are no such.

    Args:
        annotated: ids of the images that have objects to be found, in any order and number.
        found: ids of the images that results are of.
    """
    own = dict.fromkeys(_plain(annotated))
    found = set(_plain(found))
    lacking = [image for image in own if image not in found]
    if not lacking:
        return ()
    return (
        f"{len(lacking)} of {len(own)} images with objects have no prediction, such as image "
        f"{_first(lacking)}; their objects count as missed",
    )


def objects_without_results(ids: Sequence, found: Iterable) -> tuple[str, ...]:
    """A note on objects for which there is no result, none if there are no such.

    Args:
        ids: ids of the annotated objects.
        found: ids of the objects that predictions are of.
    """
    found = set(_plain(found))
    lacking = [number for number in _plain(ids) if number not in found]
    if not lacking:
        return ()
    return (
        f"{len(lacking)} of {len(ids)} objects have no prediction, such as object "
        f"{_first(lacking)}; they are not counted by metrics of keypoints",
    )


def _plain(values) -> list:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _first(values: list, count: int = 3) -> str:
    return ", ".join(str(value) for value in values[:count])
