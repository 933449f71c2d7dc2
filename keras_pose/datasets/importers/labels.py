"""What a reader of a label file gives back, before images are looked up and boxes made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# What COCO's third number of a keypoint means.
NOT_LABELLED, HIDDEN, SEEN = 0, 1, 2


@dataclass
class Kind:
    """A kind of object: what COCO calls a category.

    Args:
        name: str.
        keypoints: names, in order.
        links: pairs of positions, from 0.
        swaps: pairs of positions that change places in a mirrored picture. Default: not said by the
            file, guessed from the names.
        swaps_from: str, what in the file says so.
        named: bool, False where the file does not name its keypoints and they got numbers.
    """

    name: str
    keypoints: Sequence[str]
    links: Sequence[tuple[int, int]] = ()
    swaps: Sequence[tuple[int, int]] | None = None
    swaps_from: str = "the names"
    named: bool = True


@dataclass
class LabelledObject:
    """One object in one image.

    Args:
        kind: position in `Labels.kinds`.
        keypoints: floats `(K, 3)`: x, y and `NOT_LABELLED`, `HIDDEN` or `SEEN`.
        box: floats `(4,)`, xyxy. Default: the file has none.
        fields: further keys of its COCO annotation.
    """

    kind: int
    keypoints: np.ndarray
    box: Sequence[float] | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class LabelledImage:
    """One image and what was labelled in it.

    Args:
        path: str, as the label file names it; for a frame the name of the file to write.
        objects: list of LabelledObject.
        size: (width, height). Default: read from the image.
        split: str, such as `"train"`. Default: the file knows none.
        id: int of its COCO entry. Default: the next number.
        normalized: bool, whether coordinates are shares of the image's sides, not pixels.
        frame: function that gives the picture, uint8 `(H, W, 1 or 3)` RGB, where it lies in a
            video or in the label file itself.
    """

    path: str
    objects: list[LabelledObject] = field(default_factory=list)
    size: tuple[int, int] | None = None
    split: str | None = None
    id: int | None = None
    normalized: bool = False
    frame: Callable[[], np.ndarray] | None = None


@dataclass
class Skipped:
    """What was left out, counted by reason, with the first case of each as an example."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: object, count: int = 1) -> None:
        """Counts one more case, or several."""
        self.counts[reason] = self.counts.get(reason, 0) + count
        self.examples.setdefault(reason, str(example))


@dataclass
class Labels:
    """Everything that a label file says.

    Args:
        kinds: list of Kind.
        images: list of LabelledImage.
        roots: folders that image paths may be relative to, the likeliest first.
        above: folders above, in which only a whole path of several parts counts: one like
            `labeled-data/clip/a.png` does not turn up there by chance, `a.png` may.
        skipped: what the reader left out.
        notes: sentences about decisions that the reader took.
    """

    roots: list[Path]
    above: Sequence[Path] = ()
    kinds: list[Kind] = field(default_factory=list)
    images: list[LabelledImage] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)
    notes: list[str] = field(default_factory=list)
