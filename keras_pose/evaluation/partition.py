"""A metric measured for each part of the skeleton by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_pose.evaluation.keypoint_metrics import MetricLike, keypoint_metric
from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses

# Parts of skeletons that are reported by part, by the skeleton's name.
PARTS = {
    "coco_wholebody": {
        "body": range(17),
        "foot": range(17, 23),
        "face": range(23, 91),
        "left_hand": range(91, 112),
        "right_hand": range(112, 133),
        "wholebody": range(133),
    },
}


@keras.saving.register_keras_serializable(package="keras_pose")
class PartitionMetric(KeypointMetric):
    """Any metric of some keypoints at a time; its numbers are named "arms/PCK@0.2".

    Boxes, heads, torsos and pairs of keypoints that a metric compares with are those of the whole
    pose. The idea is that of MMPose 1.3.2's `KeypointPartitionMetric`.

    Args:
        metric: KeypointMetric, or its name or config, see `keypoint_metric`.
        parts: part name to keypoints by name or index. Default: those that are usual for the
            skeleton (`PARTS`).

    Example:
        >>> PartitionMetric("nme", {"mouth": range(48, 68), "jaw": range(17)})
    """

    def __init__(self, metric: MetricLike, parts: Mapping[str, Sequence[int | str]] | None = None):
        self.metric = keypoint_metric(metric)
        self.parts = None if parts is None else {key: list(part) for key, part in parts.items()}
        for name, part in (self.parts or {}).items():
            if not part or len(set(part)) != len(part):
                raise ValueError(f"part {name!r} must be different keypoints, got {part}")
        self.description = f"{self.metric.description}, by part"

    def measure(self, poses: Poses) -> Measurement:
        values, per_keypoint, notes = {}, {}, ()
        for part, keypoints in self._parts(poses).items():
            places = poses.indices(keypoints, f"part {part!r}")
            found = self.metric.measure(poses.part(places))
            values |= {f"{part}/{name}": value for name, value in found.values.items()}
            for name, numbers in found.per_keypoint.items():
                row = np.full(poses.num_keypoints, -1.0)
                row[places] = numbers
                per_keypoint[f"{part}/{name}"] = row
            notes += tuple(note for note in found.notes if note not in notes)
        return Measurement(values, per_keypoint, notes)

    def get_config(self) -> dict[str, Any]:
        return {"metric": keras.saving.serialize_keras_object(self.metric), "parts": self.parts}

    def _parts(self, poses: Poses) -> Mapping[str, Sequence[int | str]]:
        if self.parts is not None:
            return self.parts
        name = None if poses.skeleton is None else poses.skeleton.name
        if name not in PARTS:
            raise ValueError(
                f"skeleton {name!r} has no usual parts (those of {sorted(PARTS)} are known); give "
                "parts={'head': ['nose', ...], ...}"
            )
        return PARTS[name]
