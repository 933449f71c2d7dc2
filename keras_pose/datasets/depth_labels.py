"""What networks that see poses in space learn beside the crops of a data set's objects."""

from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.sequences import PoseSequences
from keras_pose.datasets.transforms.keypoint_mapping import KeypointMapping
from keras_pose.skeleton import Skeleton

# Shapes of further columns, behind the batch's axis, and how each changes in a mirror.
_FURTHER = {
    "hand_type": ((2,), lambda values: values[:, ::-1]),
    "hand_type_valid": ((), lambda values: values),
    "root_depth": ((), lambda values: -values),
    "root_depth_valid": ((), lambda values: values),
}


class DepthLabels:
    """Depths of a data set's objects, from the columns of its `extras`.

    Args:
        dataset: KeypointDataset.
        codec: of the network; its `depth_column` names the column of depths: `(M, K)`, or
            `(M, K, 3)`, whose last coordinate it is. Its `optional_label_keys` are taken along:
            `visible_3d` `(M, K)`, and those of pairs of hands that `read_interhand` gives.
        skeleton: of the keypoints.

    Raises:
        ValueError: if the data set has no depths.
    """

    def __init__(self, dataset: KeypointDataset, codec: Any, skeleton: Skeleton):
        extras, column = dataset.extras, codec.depth_column
        if column not in extras:
            raise ValueError(
                f"{dataset.name} has no depths: its extras lack {column!r}, which a "
                f"{type(codec).__name__} learns"
            )
        depths = extras[column]
        self._depths = depths[..., 2] if depths.ndim == 3 else depths
        wanted = [key for key in codec.optional_label_keys if key in extras]
        self._seen = extras["visible_3d"] if "visible_3d" in wanted else None
        self._further = {key: extras[key] for key in wanted if key in _FURTHER}
        self._flips = np.asarray(skeleton.flip_indices)

    @classmethod
    def of(cls, dataset: KeypointDataset, estimator: Any, skeleton: Skeleton):
        """Those that an estimator's codec learns; None where it learns none, or can do without and
        the data set has none."""
        codec = getattr(getattr(estimator, "head", None), "codec", None)
        column = getattr(codec, "depth_column", None)
        optional = column is not None and 2 in codec.label_dimensions
        if column is None or (optional and column not in dataset.extras):
            return None
        return cls(dataset, codec, skeleton)

    def shapes(self) -> dict[str, tuple[tuple, Any]]:
        """Shape (None for the batch) and dtype of the labels that are added or replaced."""
        count = self._depths.shape[1]
        shapes = {"keypoints": ((None, 1, count, 3), np.float32)}
        if self._seen is not None:
            shapes["visible_3d"] = ((None, 1, count), np.float32)
        further = {key: ((None, *_FURTHER[key][0]), np.float32) for key in self._further}
        return shapes | further

    def __call__(self, rows: np.ndarray, labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The labels of a batch, with depths.

        Args:
            rows: ints `(B,)` of the data set.
            labels: of `TopdownCrops.batch`. What its `affine` mirrors is mirrored here; turning a
                picture moves nothing in depth.
        """
        mirrored = np.linalg.det(labels["affine"][:, :, :2]) < 0

        def turned(values, mirror):
            where = mirrored.reshape(-1, *[1] * (values.ndim - 1))
            return np.where(where, mirror(values), values).astype(np.float32)

        def swapped(values):
            return values[:, self._flips]

        depths = turned(self._depths[rows], swapped)[:, None, :, None]
        found = {"keypoints": np.concatenate([labels["keypoints"], depths], axis=-1)}
        if self._seen is not None:
            seen = turned(self._seen[rows], swapped)[:, None]
            found["visible_3d"] = seen * (labels["visible"] > 0)
        for key, values in self._further.items():
            found[key] = turned(values[rows], _FURTHER[key][1])
        return {**labels, **found}


def frames_dataset(
    sequences: PoseSequences,
    skeleton: Skeleton | str | None = None,
    mapping: KeypointMapping | None = None,
) -> KeypointDataset:
    """The frames of films as single pictures with depths, for networks that see them in pictures.

    Args:
        sequences: PoseSequences with images, `boxes` among its `extras`, cameras that know the
            size of the pictures, and keypoints whose last coordinate is in metres, such as
            `load("ubody3d", ...)`.
        skeleton: of the network; default: that of the sequences.
        mapping: KeypointMapping to it; default: keypoints of the same names.

    Returns:
        A KeypointDataset whose `extras` are `keypoints_3d` and `visible_3d`.

    Raises:
        ValueError: if something of that is missing.
    """
    name = sequences.name
    if not sequences.unit.endswith("m") or sequences.unit.endswith("mm"):
        raise ValueError(f"{name}: depths must be in metres, they are in {sequences.unit!r}")
    sizes = [camera.size for camera in sequences.cameras]
    if "boxes" not in sequences.extras or (sequences.camera_ids < 0).any() or None in sizes:
        raise ValueError(
            f"{name}: every frame needs a box in extras['boxes'] and a camera with the size of the "
            "picture"
        )
    target = sequences.skeleton if skeleton is None else Skeleton.resolve(skeleton)
    points, seen = sequences.keypoints, sequences.visible
    spatial, seen_3d = sequences.keypoints_3d, sequences.visible_3d
    if target.keypoints != sequences.skeleton.keypoints:
        mapping = mapping or KeypointMapping.between(sequences.skeleton, target)
        (points, seen), (spatial, seen_3d) = mapping(points, seen), mapping(spatial, seen_3d)
    return KeypointDataset(
        target,
        sequences.image_paths,
        sequences.image_ids,
        np.array(sizes, np.int32)[sequences.camera_ids],
        sequences.extras["boxes"],
        points,
        seen,
        extras={"keypoints_3d": spatial, "visible_3d": seen_3d},
        name=name,
    )
