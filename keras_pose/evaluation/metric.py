"""What every keypoint metric takes and gives: poses as parallel arrays, named numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.skeleton import Skeleton

# What the columns are that metrics ask for, for the message about a missing one.
COLUMNS = {
    "boxes": "boxes (N, 4), xyxy",
    "head_sizes": "the heads' sizes (N,) in pixels, which come from head boxes",
    "box_sizes": "the boxes' sizes (N,) in pixels",
    "image_names": "file names (N,)",
    "scores": "keypoint scores (N, K)",
    "crop_areas": "areas (N,) of the padded boxes, in square pixels",
    "predicted_depths": "depths (N, K) that a network puts out",
    "predicted_root_depth": "depths (N,) between the wrists that a network puts out",
    "predicted_hand_type": "hands (N, 2) that a network says are there",
    "keypoints_3d": "poses (N, K, 3) in camera space",
    "wrist_depths": "depths (N, 2) of the wrists, right and left",
}
# Columns with an axis of keypoints, (N, K, ...).
_BY_KEYPOINT = ("scores", "keypoints_3d", "predicted_depths")
# Names of numbers that are better when small, after the part's name and before "@" or "_".
LOWER_IS_BETTER = ("error", "EPE", "NME", "MPJPE", "P-MPJPE", "N-MPJPE", "MRRPE")


@dataclass(frozen=True, eq=False)
class Poses:
    """Predicted poses beside the annotated ones, a row an instance.

    Args:
        predictions: `(N, K, D)` coordinates, in the pixels (2D) or the unit (3D) of `ground_truth`.
        ground_truth: `(N, K, D)` annotated coordinates.
        visible: `(N, K)`, above 0 where a keypoint is annotated.
        columns: further arrays `(N, ...)` by name, such as `boxes` and `head_sizes`.
        skeleton: names the keypoints; None if they have no names.
        name: str, of the data set, for messages.
        whole: the poses that these are a part of, from which lengths such as the torso's are taken.
        places: ints `(K,)`, which of the whole's keypoints these are.

    Raises:
        ValueError: for arrays that do not fit together, or without any row.
    """

    predictions: np.ndarray
    ground_truth: np.ndarray
    visible: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    skeleton: Skeleton | None = None
    name: str = "the data"
    whole: "Poses | None" = None
    places: Sequence[int] | None = None

    def __post_init__(self):
        predictions, truth = np.asarray(self.predictions), np.asarray(self.ground_truth)
        if predictions.ndim != 3 or predictions.shape != truth.shape:
            raise ValueError(
                "predictions and ground_truth must both be (N, K, D), "
                f"got shapes {predictions.shape} and {truth.shape}"
            )
        if not len(predictions):
            raise ValueError(f"{self.name} has no poses: there is nothing to measure")
        visible = np.asarray(self.visible) > 0
        if visible.shape != predictions.shape[:2]:
            raise ValueError(f"visible must be {predictions.shape[:2]}, got shape {visible.shape}")
        columns = {key: np.asarray(column) for key, column in self.columns.items()}
        for key, column in columns.items():
            if column.shape[:1] != predictions.shape[:1]:
                raise ValueError(
                    f"column {key!r} must have {len(predictions)} rows, got shape {column.shape}"
                )
        if self.skeleton is not None and self.skeleton.num_keypoints != predictions.shape[1]:
            raise ValueError(
                f"skeleton {self.skeleton.name!r} has {self.skeleton.num_keypoints} keypoints, "
                f"the predictions {predictions.shape[1]}"
            )
        checked = dict(
            predictions=predictions, ground_truth=truth, visible=visible, columns=columns
        )
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    @classmethod
    def of(
        cls,
        dataset: KeypointDataset,
        predictions: np.ndarray,
        rows: Sequence[int] | None = None,
        columns: Mapping[str, np.ndarray] | None = None,
    ) -> "Poses":
        """Predictions for the objects of a data set.

        Args:
            dataset: KeypointDataset; its extra columns are taken along.
            predictions: `(M, K, 2)` image pixels.
            rows: ints `(M,)`, the data set's rows that they belong to. Default: all, in order.
            columns: further columns `(M, ...)`.
        """
        rows = np.arange(len(dataset)) if rows is None else np.asarray(rows, np.int64)
        if len(rows) != len(predictions):
            raise ValueError(
                f"predictions must have a row for each of the {len(rows)} objects of "
                f"{dataset.name}, got {len(predictions)}"
            )
        own = {
            "boxes": dataset.boxes,
            "areas": dataset.areas,
            "image_ids": dataset.image_ids,
            "image_names": dataset.image_paths,
            "box_scores": dataset.box_scores,
            **dataset.extras,
        }
        own = {key: column[rows] for key, column in own.items()}
        return cls(
            predictions,
            dataset.keypoints[rows],
            dataset.visible[rows],
            own | dict(columns or {}),
            dataset.skeleton,
            dataset.name,
        )

    @property
    def complete(self) -> "Poses":
        """The whole poses, these themselves if they are no part of others."""
        return self if self.whole is None else self.whole

    @property
    def num_keypoints(self) -> int:
        return self.predictions.shape[1]

    def part(self, keypoints: Sequence[int]) -> "Poses":
        """The same instances with some of the keypoints, by index."""
        keypoints = list(keypoints)
        columns = {
            key: column[:, keypoints] if key in _BY_KEYPOINT else column
            for key, column in self.columns.items()
        }
        return Poses(
            self.predictions[:, keypoints],
            self.ground_truth[:, keypoints],
            self.visible[:, keypoints],
            columns,
            None,
            self.name,
            whole=self.complete,
            places=keypoints if self.places is None else [self.places[k] for k in keypoints],
        )

    def column(self, name: str, metric: str) -> np.ndarray:
        """A column that a metric needs.

        Raises:
            ValueError: if there is none; the message says what it is.
        """
        if name not in self.columns:
            raise ValueError(
                f"{metric} needs {COLUMNS.get(name, 'a column (N, ...)')}, column {name!r}, "
                f"which {self.name} lacks; pck and epe need keypoints and boxes only"
            )
        return self.columns[name]

    def indices(self, keypoints: Sequence[int | str], metric: str) -> list[int]:
        """Places of keypoints that a metric needs, given by name or index.

        Raises:
            ValueError: if there is none of that name or number.
        """
        names = self.skeleton.keypoints if self.skeleton is not None else ()
        whose = f"skeleton {self.skeleton.name!r}" if names else self.name
        places = []
        for point in keypoints:
            if isinstance(point, str) and point not in names:
                raise ValueError(
                    f"{metric} needs the keypoint {point!r}, which {whose} lacks; it has "
                    f"{list(names) if names else 'no names'}"
                )
            place = names.index(point) if isinstance(point, str) else int(point)
            if not 0 <= place < self.num_keypoints:
                raise ValueError(
                    f"{metric} needs keypoint {place}, {whose} has {self.num_keypoints}"
                )
            places.append(place)
        return places


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a metric says about poses.

    Args:
        values: name to number.
        per_keypoint: name to numbers `(K,)`, -1 for keypoints that are never annotated.
        notes: sentences about what was unusual, e.g. instances that were left out.
    """

    values: dict[str, float]
    per_keypoint: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class KeypointMetric:
    """A way to compare poses with annotated ones; subclasses are registered and configurable.

    Attributes:
        description: str, what the numbers are relative to, for the protocol.
    """

    description: str = ""

    def measure(self, poses: Poses) -> Measurement:
        """Measures poses."""
        raise NotImplementedError

    def __call__(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """The numbers alone, of the arguments of `Poses`."""
        return self.measure(Poses(*arguments, **named)).values

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "KeypointMetric":
        return cls(**config)


def lower_is_better(metric: str) -> bool:
    """Whether a number of this name ("PCK@0.2", "arms/NME", ...) is better when it is smaller."""
    name = metric.rsplit("/", 1)[-1]
    return any(name == known or name.startswith(f"{known}_") for known in LOWER_IS_BETTER)
