"""PCK as the field reports it: of the box, the head or the torso, and as MPII and JHMDB do."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_pose.evaluation.metric import KeypointMetric, Measurement, Poses
from keras_pose.evaluation.pck import keypoint_distances, mean_share, shares_within

# The torso is measured from one shoulder to the hip on the other side.
TORSO = ("left_shoulder", "right_hip")
# A torso of fewer pixels is no measure.
_SHORTEST_TORSO = 1.0
MPII_KEYPOINTS, JHMDB_KEYPOINTS = 16, 15
# MPII joints of each group; pelvis and thorax are not counted.
MPII_GROUPS = {
    "Head": (9,),
    "Shoulder": (12, 13),
    "Elbow": (11, 14),
    "Wrist": (10, 15),
    "Hip": (2, 3),
    "Knee": (1, 4),
    "Ankle": (0, 5),
}
MPII_NOT_COUNTED = (6, 7)
MPII_STRICT = 0.1
JHMDB_GROUPS = {
    "Head": (2,),
    "Shoulder": (3, 4),
    "Elbow": (7, 8),
    "Wrist": (11, 12),
    "Hip": (5, 6),
    "Knee": (9, 10),
    "Ankle": (13, 14),
}


def box_lengths(poses: Poses, metric: str) -> np.ndarray:
    """Longer sides `(N,)` of the boxes."""
    boxes = poses.column("boxes", metric)
    return (boxes[:, 2:] - boxes[:, :2]).max(1)


def head_lengths(poses: Poses, metric: str) -> np.ndarray:
    """The heads' sizes `(N,)`."""
    return poses.column("head_sizes", metric).reshape(len(poses.predictions))


def torso_lengths(
    poses: Poses, metric: str, torso: Sequence[int | str], labelled: bool
) -> np.ndarray:
    """Distances `(N,)` of the two keypoints of the torso in the whole annotated pose.

    Args:
        torso: two keypoints by name or index.
        labelled: True gives 0 (left out) where one of them is not annotated or the torso is shorter
            than one pixel; False measures whatever is there, and the predicted pose if that is
            shorter than one pixel (as MMPose 1.3.2 does).
    """
    poses = poses.complete
    first, second = poses.indices(torso, metric)
    lengths = np.linalg.norm(poses.ground_truth[:, first] - poses.ground_truth[:, second], axis=-1)
    short = lengths < _SHORTEST_TORSO
    if labelled:
        return np.where(short | ~poses.visible[:, [first, second]].all(1), 0, lengths)
    predicted = np.linalg.norm(poses.predictions[:, first] - poses.predictions[:, second], axis=-1)
    return np.where(short, predicted, lengths)


# Name of the metric, and what the protocol calls the length.
_NORMS = {
    "box": ("PCK", "the longer box side"),
    "head": ("PCKh", "the head size"),
    "torso": ("PCKt", "the torso"),
}


@keras.saving.register_keras_serializable(package="keras_pose")
class PCK(KeypointMetric):
    """Share of keypoints that are nearer to the annotated ones than a part of a length.

    The mean is over keypoints, each counting the same however often it is annotated, as in MMPose
    1.3.2. A distance equal to the threshold is wrong. Sources: Yang and Ramanan, Articulated Human
    Detection with Flexible Mixtures of Parts (https://doi.org/10.1109/TPAMI.2012.261); PCKh:
    Andriluka et al., 2D Human Pose Estimation (https://doi.org/10.1109/CVPR.2014.471).

    Args:
        norm: "box" (longer side: PCK), "head" (head size: PCKh) or "torso" (PCKt, also called
            tPCK).
        thresholds: floats, parts of that length.
        torso: two keypoints by name or index, for "torso".
        labelled_torso: whether instances without a labelled torso are left out; False is MMPose's
            rule, see `torso_lengths`.

    Example:
        >>> PCK("head", [0.5])(predicted, annotated, visible, {"head_sizes": sizes})
        {'PCKh@0.5': 0.86}
    """

    def __init__(
        self,
        norm: str = "box",
        thresholds: Sequence[float] = (0.05, 0.1, 0.2),
        torso: Sequence[int | str] = TORSO,
        labelled_torso: bool = True,
    ):
        if norm not in _NORMS:
            raise ValueError(f"norm of PCK must be one of {list(_NORMS)}, got {norm!r}")
        thresholds = np.atleast_1d(thresholds).tolist()
        if not thresholds or not all(t > 0 for t in thresholds):
            raise ValueError(f"thresholds of PCK must be positive numbers, got {thresholds}")
        if len(torso) != 2:
            raise ValueError(f"torso must be two keypoints, got {torso!r}")
        self.norm, self.thresholds = norm, thresholds
        self.torso, self.labelled_torso = tuple(torso), labelled_torso
        self.name, length = _NORMS[norm]
        self.description = f"{self.name} of {length}"
        if norm == "torso":
            self.description += f" ({self.torso[0]} to {self.torso[1]})"

    def lengths(self, poses: Poses) -> np.ndarray:
        """The length `(N,)` that counts as 1."""
        if self.norm == "torso":
            return torso_lengths(poses, self.name, self.torso, self.labelled_torso)
        return (box_lengths if self.norm == "box" else head_lengths)(poses, self.name)

    def measure(self, poses: Poses) -> Measurement:
        lengths = self.lengths(poses)
        distances = keypoint_distances(
            poses.predictions, poses.ground_truth, poses.visible, lengths
        )
        shares = {f"{self.name}@{t:g}": shares_within(distances, t) for t in self.thresholds}
        return Measurement(
            {name: mean_share(share) for name, share in shares.items()},
            shares,
            left_out(self.name, lengths),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "norm": self.norm,
            "thresholds": self.thresholds,
            "torso": list(self.torso),
            "labelled_torso": self.labelled_torso,
        }


@keras.saving.register_keras_serializable(package="keras_pose")
class MpiiPCK(KeypointMetric):
    """PCKh in percent, as the MPII benchmark reports it (MMPose 1.3.2's `MpiiPCKAccuracy`).

    The mean counts every annotated joint the same; pelvis and thorax are not counted. A group with
    a joint that nobody has gets the value -100 for it, as in the reference.
    Source: http://human-pose.mpi-inf.mpg.de/

    Args:
        threshold: part of the head size. `PCKh@0.1` is reported beside it.
        first_pixel: added to the predictions; MPII's annotations count pixels from 1.
    """

    def __init__(self, threshold: float = 0.5, first_pixel: float = 1.0):
        self.threshold, self.first_pixel = threshold, first_pixel
        self.description = (
            "PCKh of the head size in percent, every joint of every person counts the same, "
            "without pelvis and thorax"
        )

    def measure(self, poses: Poses) -> Measurement:
        check_keypoints(poses, "MPII's PCKh", MPII_KEYPOINTS)
        lengths = head_lengths(poses, "PCKh")
        distances = keypoint_distances(
            poses.predictions + self.first_pixel, poses.ground_truth, poses.visible, lengths
        )
        shares = 100 * shares_within(distances, self.threshold)
        # The reference keeps these in single precision.
        strict = (100 * shares_within(distances, MPII_STRICT)).astype(np.float32)
        counts = poses.visible.sum(0)
        counts[list(MPII_NOT_COUNTED)] = 0
        weights = counts / max(counts.sum(), 1)
        values = {
            f"PCKh@{self.threshold:g}": float((shares * weights).sum()),
            **group_means(shares, MPII_GROUPS, "PCKh"),
            f"PCKh@{MPII_STRICT:g}": float((strict * weights).sum()),
        }
        return Measurement(values, {f"PCKh@{self.threshold:g}": shares}, left_out("PCKh", lengths))

    def get_config(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "first_pixel": self.first_pixel}


@keras.saving.register_keras_serializable(package="keras_pose")
class JhmdbPCK(KeypointMetric):
    """PCK by groups of joints, as JHMDB is reported (MMPose 1.3.2's `JhmdbPCKAccuracy`).

    Fractions, not percent. A joint that nobody has counts as -1 in its group, as in the reference.
    Source: Jhuang et al., Towards Understanding Action Recognition
    (https://doi.org/10.1109/ICCV.2013.396).

    Args:
        norms: of "box" (PCK), "head" and "torso" (PCKt, from the left shoulder to the right hip).
        threshold: part of that length.
    """

    def __init__(self, norms: Sequence[str] = ("box", "torso"), threshold: float = 0.2):
        self.norms, self.threshold = list(norms), threshold
        # Joints 4 and 5 of JHMDB, by index so that arrays without a skeleton do.
        self._metrics = [PCK(norm, [threshold], (4, 5), labelled_torso=False) for norm in norms]
        self.description = "; ".join(
            f"{metric.name} of {_NORMS[metric.norm][1]}" for metric in self._metrics
        )

    def measure(self, poses: Poses) -> Measurement:
        check_keypoints(poses, "JHMDB's PCK", JHMDB_KEYPOINTS)
        values, per_keypoint, notes = {}, {}, ()
        for metric in self._metrics:
            found = metric.measure(poses)
            name, shares = next(iter(found.per_keypoint.items()))
            values |= found.values | group_means(shares, JHMDB_GROUPS, metric.name)
            per_keypoint[name] = shares
            notes += found.notes
        return Measurement(values, per_keypoint, notes)

    def get_config(self) -> dict[str, Any]:
        return {"norms": self.norms, "threshold": self.threshold}


def group_means(shares: np.ndarray, groups: dict[str, Sequence[int]], name: str):
    """Mean share of the keypoints of each group, "Elbow PCK" and so on."""
    return {
        f"{group} {name}": float(shares[list(points)].mean()) for group, points in groups.items()
    }


def check_keypoints(poses: Poses, metric: str, count: int) -> None:
    """Raises ValueError for another number of keypoints, which says what the metric is for."""
    if poses.num_keypoints != count:
        raise ValueError(
            f"{metric}: {count} keypoints are needed, {poses.name} has {poses.num_keypoints}"
        )


def left_out(metric: str, lengths: np.ndarray) -> tuple[str, ...]:
    """A note on instances whose length is 0 and that are therefore not counted."""
    count = int((np.asarray(lengths).reshape(len(lengths), -1) == 0).any(1).sum())
    if not count:
        return ()
    return (f"{metric}: {count} of {len(lengths)} instances have no length to compare with",)
