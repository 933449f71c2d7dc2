"""The objects found in one image."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """Parallel arrays, best first.

    Args:
        boxes: `(N, 4)` xyxy in image pixels, float32.
        scores: `(N,)` in 0..1, float32.
        classes: `(N,)` int32, indices into `class_names`.
        class_names: names of all classes the detector knows.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    class_names: tuple[str, ...] = ("person",)

    def __post_init__(self):
        if not len(self.boxes) == len(self.scores) == len(self.classes):
            raise ValueError(
                "boxes, scores and classes must be equally long, got "
                f"{len(self.boxes)}, {len(self.scores)} and {len(self.classes)}"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index) -> "Detections":
        index = [index] if isinstance(index, int | np.integer) else index
        return Detections(
            self.boxes[index], self.scores[index], self.classes[index], self.class_names
        )

    @property
    def names(self) -> list[str]:
        """The class name of each detection."""
        return [self.class_names[i] for i in self.classes]
