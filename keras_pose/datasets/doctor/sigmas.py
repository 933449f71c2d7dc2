"""OKS sigmas estimated from a data set: from objects annotated twice, else a substitute."""

from collections import defaultdict

import numpy as np

from keras_pose.datasets.doctor.contents import Contents
from keras_pose.datasets.doctor.shapes import as_complex, enough, fitted, shape_distances

# The mean of COCO's 17 sigmas, to which the substitute is scaled.
COCO_MEAN_SIGMA = 0.067
_FEWEST_PAIRS = 20
_MOST_POSES = 1500


def estimate_sigmas(contents: Contents, others: list[Contents]) -> tuple[list[float], str] | None:
    """Sigmas of the keypoints and the method that gave them.

    With at least 20 objects that two annotators labelled (twice in this file, or here and in
    another file with the same images), sigma is what COCO defines: the standard deviation of the
    distance between a label and the truth, relative to the root of the object's area. Two labels
    differ by the errors of both, hence sigma^2 = mean(d^2 / area) / 2.

    Without them there is no way to know. The substitute is how much each keypoint varies between
    the most similar poses, scaled to COCO's mean: joints that move freely and are hard to place
    get larger values, but it measures poses as well as annotators.

    Returns:
        `K` floats and a sentence, or None where there is too little to go by.
    """
    return _of_repeated(contents, others) or _of_neighbours(contents)


def _of_repeated(contents: Contents, others: list[Contents]) -> tuple[list[float], str] | None:
    squares = [_distances_in_one(contents)]
    squares += [_distances_between(contents, other) for other in others]
    squares = np.concatenate(squares)
    if len(squares) < _FEWEST_PAIRS or (np.isfinite(squares).sum(axis=0) < 5).any():
        return None
    sigmas = np.sqrt(np.nanmean(squares, axis=0) / 2)
    return _rounded(sigmas), (
        f"from {len(squares)} objects that are annotated twice: the root of half the mean squared "
        "distance of the two labels, relative to the object's area, as COCO defines them"
    )


def _of_neighbours(contents: Contents) -> tuple[list[float], str] | None:
    objects = contents.objects
    least = enough(contents.num_keypoints)
    areas = _areas(contents)
    rows = np.flatnonzero((objects.seen.sum(axis=1) >= least) & (areas > 0) & ~objects.crowd)
    rows = rows[np.random.default_rng(0).permutation(len(rows))[:_MOST_POSES]]
    if len(rows) < 10:
        return None
    seen = objects.seen[rows]
    poses = as_complex(objects.points[rows], seen)
    distances = shape_distances(poses, seen, poses, seen, least)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    found = np.isfinite(distances.min(axis=1))
    poses, seen, nearest = poses[found], seen[found], nearest[found]
    of_all, seen_of_all = as_complex(objects.points[rows], objects.seen[rows]), objects.seen[rows]
    placed = fitted(of_all[nearest], seen_of_all[nearest], poses, seen)
    both = seen & seen_of_all[nearest]
    residual = np.where(both, np.abs(placed - poses) ** 2, np.nan)
    if not len(residual) or (both.sum(axis=0) < 3).any():
        return None
    # The median is not moved by the few poses that resemble no other.
    sigmas = np.sqrt(np.nanmedian(residual, axis=0))
    if not (sigmas > 0).all():
        return None
    return _rounded(sigmas * COCO_MEAN_SIGMA / sigmas.mean()), (
        f"a substitute, as no objects are annotated twice: variation of each keypoint between the "
        f"most similar of {len(poses)} poses, scaled to COCO's mean of {COCO_MEAN_SIGMA}; it holds "
        "poses' differences too, only the relation between keypoints means something"
    )


def _distances_in_one(contents: Contents) -> np.ndarray:
    """Squared distances relative to the area, `(P, K)`, of pairs in one file."""
    objects = contents.objects
    of_image = defaultdict(list)
    for row, image in enumerate(objects.images.tolist()):
        if image >= 0:
            of_image[image].append(row)
    pairs = [
        (a, b) for rows in of_image.values() for i, a in enumerate(rows) for b in rows[i + 1 :]
    ]
    return _squares(contents, contents, pairs)


def _distances_between(contents: Contents, other: Contents) -> np.ndarray:
    if other.num_keypoints != contents.num_keypoints:
        return np.zeros((0, contents.num_keypoints))
    rows = defaultdict(list)
    for row, image in enumerate(other.objects.images.tolist()):
        if image >= 0:
            rows[str(other.images[image].get("file_name"))].append(row)
    pairs = [
        (row, twin)
        for row, image in enumerate(contents.objects.images.tolist())
        if image >= 0
        for twin in rows[str(contents.images[image].get("file_name"))]
    ]
    return _squares(contents, other, pairs)


def _squares(first: Contents, second: Contents, pairs: list) -> np.ndarray:
    """Keeps the pairs that are two labellings of one object, and not copies."""
    if not pairs:
        return np.zeros((0, first.num_keypoints))
    a, b = np.array(pairs).T
    both = first.objects.seen[a] & second.objects.seen[b]
    apart = ((first.objects.points[a] - second.objects.points[b]) ** 2).sum(axis=-1)
    relative = np.where(both, apart / np.maximum(_areas(first)[a], 1)[:, None], np.nan)
    count = both.sum(axis=1)
    typical = np.full(len(a), np.inf)
    some = count >= max(3, first.num_keypoints // 2)
    typical[some] = np.nanmedian(relative[some], axis=1)
    # A fifth of the object's size apart in the median: another object.
    return relative[(typical < 0.2**2) & (np.nan_to_num(relative).max(axis=1) > 1e-8)]


def _areas(contents: Contents) -> np.ndarray:
    objects = contents.objects
    box = 0.53 * np.maximum(np.nan_to_num(objects.boxes[:, 2:]), 0).prod(axis=1)
    return np.where(np.nan_to_num(objects.areas) > 0, np.nan_to_num(objects.areas), box)


def _rounded(sigmas: np.ndarray) -> list[float]:
    return [round(float(sigma), 4) for sigma in sigmas]
