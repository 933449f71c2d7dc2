"""Whether other swap pairs are better than a skeleton's: by poses, and by a network's predictions.

Poses: under the right pairs mirrored poses resemble real ones. Predictions: a network that never
saw mirrored crops takes a mirrored left hand for a right one, wherever the skeleton says it goes.
"""

import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.datasets.doctor.pairing import (
    MirrorFit,
    compare_pairings,
    named_pairing,
    pairing_text,
)
from keras_pose.datasets.doctor.shapes import as_complex, enough
from keras_pose.skeleton import Skeleton

# Another pairing must be better in mirrored crops by so many standard errors over the samples, and
# by this share of the input's size on average; beyond the last number errors count as equal.
_STANDARD_ERRORS, _NEARER, _FAR = 3.0, 0.02, 0.25
# Predictions in mirrored crops mean something if half of them are as near as this.
_NEAR = 0.05


def pose_fits(dataset: KeypointDataset) -> tuple[MirrorFit, MirrorFit] | None:
    """The skeleton's pairing and the best one by the poses of the whole data set, or None."""
    seen = dataset.visible > 0
    rows = seen.sum(axis=1) >= enough(dataset.skeleton.num_keypoints)
    rows &= ~dataset.iscrowd
    if rows.sum() < 10:
        return None
    poses = as_complex(dataset.keypoints[rows].astype(float), seen[rows])
    fits = compare_pairings(poses, seen[rows], dataset.skeleton)
    # Where even the best pairs make no mirror image, poses say nothing about pairs.
    return None if fits is None or fits[2] else fits[:2]


def better_by_poses(skeleton: Skeleton, fits) -> np.ndarray:
    """The pairing `(K,)` that poses suggest if it is surely better, else the skeleton's."""
    better = fits is not None and fits[1].surely_better(fits[0])
    return fits[1].flip if better else skeleton.flip_indices


def better_by_predictions(mirrored, truth, visible, skeleton: Skeleton, fits, size: int):
    """A pairing `(K,)` under which predictions surely lie nearer to the labels, or the skeleton's.

    Args:
        mirrored: predictions in mirrored crops, mirrored back, `(B, K, 2)` in input pixels.
        truth, visible: the labels, `(B, K, 2)` and bool `(B, K)`.
        fits: of `pose_fits`; size: int, of the crop.
    """
    flip = skeleton.flip_indices
    # Not any pairing that fits: of animals that all face one way, mirrored ones are new to the
    # network, and it may tell their sides by the place in the picture.
    others = [named_pairing(skeleton), *([fits[1].flip] if fits else [])]
    error = _mirror_error(mirrored, truth, size, flip)
    best, most = flip, 0.0
    for other in others:
        # Only keypoints whose partner differs tell the two apart.
        told = visible & (other != flip)
        samples = told.any(axis=1)
        if samples.sum() < 3:
            continue
        theirs = _mirror_error(mirrored, truth, size, other)
        gain = np.where(told, error - theirs, 0).sum(axis=1)[samples] / told.sum(axis=1)[samples]
        noise = gain.std(ddof=1) / np.sqrt(len(gain))
        understood = np.median(theirs[told]) < _NEAR
        if understood and gain.mean() > max(most, _NEARER, _STANDARD_ERRORS * noise):
            best, most = other, float(gain.mean())
    return best


def _mirror_error(mirrored, truth, size: int, flip: np.ndarray) -> np.ndarray:
    return np.minimum(np.linalg.norm(mirrored[:, flip] - truth, axis=-1) / size, _FAR)


def has_pairs(skeleton: Skeleton) -> bool:
    """Whether any keypoint changes its place in a mirror."""
    return bool((skeleton.flip_indices != np.arange(skeleton.num_keypoints)).any())


def changed_pairs(skeleton: Skeleton, pairing: np.ndarray) -> tuple[str, ...]:
    """What a pairing `(K,)` has that the skeleton has not, as texts."""
    changed = np.flatnonzero(pairing != skeleton.flip_indices)
    return tuple(dict.fromkeys(pairing_text(skeleton.keypoints, pairing, k) for k in changed))
