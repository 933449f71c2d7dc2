"""COCO's matching of detected and annotated people, and its precision and recall, in NumPy.

The rules are those of pycocotools 2.0.11 (https://cocodataset.org/#keypoints-eval); what is looped
over there image by image, threshold by threshold and size by size is here one pass over the ranks:
all detections that are the n-th best of their image choose at once.
"""

from dataclasses import dataclass

import numpy as np

from keras_pose.evaluation.coco_records import GroundTruthTable, ResultTable

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)

# A threshold of 1 would otherwise be missed by rounding.
_ALMOST_ONE = 1 - 1e-10
_TINY = np.spacing(1)

# So many fit the processor's cache.
_PAIRS_AT_A_TIME = 1024


@dataclass(frozen=True)
class Matches:
    """Who was matched with whom, of D detections in the order of their rank in an image.

    Attributes:
        rows: `(D,)` rows of the result table that count, at most `max_detections` an image.
        truth: `(D, T, R)` row of the ground truth that each one was matched with at T thresholds
            and R size ranges, -1 for none.
        ignored: `(D, T, R)` bool, detections that count neither as right nor as wrong.
        similarity: `(D,)` best OKS with any annotation of the image, 0 without any.
        nearest: `(D,)` the row with that OKS, -1 without any.
    """

    rows: np.ndarray
    truth: np.ndarray
    ignored: np.ndarray
    similarity: np.ndarray
    nearest: np.ndarray


def size_groups(areas: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """`(R, N)` bool: which areas `(N,)` lie in which ranges `(R, 2)`, limits inclusive."""
    return (areas >= ranges[:, :1]) & (areas <= ranges[:, 1:])


def match(
    truth: GroundTruthTable,
    detections: ResultTable,
    sigmas: np.ndarray,
    max_detections: int,
    ignored: np.ndarray,
    ranges: np.ndarray,
    thresholds: np.ndarray = OKS_THRESHOLDS,
) -> Matches:
    """Matches detections greedily, the best of an image first.

    Of several annotations the one of the highest OKS is taken, of equal ones the later; ignored
    ones only if no other is left. Crowds can be matched many times.

    Args:
        truth, detections: the tables.
        sigmas: `(K,)`.
        max_detections: detections of an image that count.
        ignored: `(R, G)` bool, annotations that count neither as found nor as missed.
        ranges: `(R, 2)` areas of detections; unmatched ones outside are ignored.
        thresholds: `(T,)` OKS from which on a detection matches.
    """
    groups = truth.images * max(len(truth.category_ids), 1) + truth.categories
    own = detections.images * max(len(truth.category_ids), 1) + detections.categories
    rows = np.lexsort((-detections.scores, own))
    rank = _positions(own[rows])
    rows, rank = rows[rank < max_detections], rank[rank < max_detections]
    own = own[rows]

    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], own, "left")
    counts = np.searchsorted(groups[order], own, "right") - starts
    left = np.repeat(np.arange(len(rows)), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    right = order[np.repeat(starts, counts) + offset]
    similarity = _similarities(truth, detections, rows[left], right, sigmas)

    # Best last, so that the later of equals wins when the last eligible one is taken.
    pairs = np.lexsort((right, similarity, left))
    left, right, similarity = left[pairs], right[pairs], similarity[pairs]
    nearest = np.full(len(rows), -1)
    best = np.zeros(len(rows))
    nearest[left], best[left] = right, similarity

    thresholds = np.minimum(thresholds, _ALMOST_ONE)
    near = similarity >= thresholds[0]
    left, right, similarity = left[near], right[near], similarity[near]
    place = _positions(left)
    choices = np.bincount(left, minlength=len(rows))
    candidates = np.full((len(rows), int(choices.max(initial=0))), -1)
    overlaps = np.zeros(candidates.shape)
    candidates[left, place], overlaps[left, place] = right, similarity

    shape = (len(rows), len(thresholds), len(ranges))
    matched = np.full(shape, -1)
    taken = np.zeros((len(truth.areas), *shape[1:]), bool)
    counted = ~ignored.T
    turns = rank * (candidates.shape[1] + 1) + choices
    turns[choices == 0] = -1
    order = np.argsort(turns, kind="stable")
    starts = np.unique(turns[order], return_index=True)[1]
    for start, end in zip(starts, [*starts[1:], len(order)], strict=False):
        now = order[start:end]
        if turns[now[0]] < 0:
            continue
        width = choices[now[0]]
        chosen = candidates[now, :width]
        free = ~taken[chosen] | truth.crowd[chosen][..., None, None]
        free &= overlaps[now, :width, None, None] >= thresholds[:, None]
        ranks = np.arange(1, width + 1, dtype=np.int16)[:, None, None]
        preference = (ranks + np.int16(width) * counted[chosen][:, :, None]) * free
        pick = preference.argmax(1)
        found = chosen[np.arange(len(now))[:, None, None], pick]
        found[~free.any(1)] = -1
        matched[now] = found
        at, threshold, size = np.nonzero(found >= 0)
        taken[found[at, threshold, size], threshold, size] = True

    boxes = detections.boxes[rows]
    outside = ~size_groups(boxes[:, 2] * boxes[:, 3], ranges).T
    hit = matched >= 0
    sizes = np.arange(len(ranges))
    neither = np.where(hit, ignored[sizes, matched], outside[:, None, :])
    return Matches(rows, matched, neither, best, nearest)


def curves(
    truth: GroundTruthTable, detections: ResultTable, matches: Matches, ignored: np.ndarray
) -> dict[str, np.ndarray]:
    """Precision `(T, 101, C, R)` and recall `(T, C, R)`, -1 where nothing is annotated.

    Args:
        truth, detections, matches: the tables and how they were matched.
        ignored: `(R, G)` bool, as for `match`.
    """
    _, thresholds, sizes = matches.truth.shape
    kinds = len(truth.category_ids)
    precision = -np.ones((thresholds, len(RECALLS), kinds, sizes))
    recall = -np.ones((thresholds, kinds, sizes))
    for kind in range(kinds):
        annotated = (~ignored & (truth.categories == kind)).sum(1)
        of_kind = np.flatnonzero(detections.categories[matches.rows] == kind)
        scores = detections.scores[matches.rows[of_kind]]
        of_kind = of_kind[np.argsort(-scores, kind="stable")]
        hit, neither = matches.truth[of_kind] >= 0, matches.ignored[of_kind]
        right = (hit & ~neither).cumsum(0)
        wrong = (~hit & ~neither).cumsum(0)
        share = right / (right + wrong + _TINY)
        share = np.maximum.accumulate(share[::-1])[::-1]
        for size in np.flatnonzero(annotated):
            found = right[..., size] / annotated[size]
            recall[:, kind, size] = found[-1] if len(found) else 0
            for level in range(thresholds):
                at = np.searchsorted(found[:, level], RECALLS, side="left")
                reached = at < len(found)
                values = np.zeros(len(RECALLS))
                values[reached] = share[at[reached], level, size]
                precision[level, :, kind, size] = values
    return {"precision": precision, "recall": recall}


def _positions(groups: np.ndarray) -> np.ndarray:
    """`(N,)` position of each element in its group; equal groups lie side by side."""
    if not len(groups):
        return np.zeros(0, np.int64)
    first = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    lengths = np.diff(np.r_[first, len(groups)])
    return np.arange(len(groups)) - np.repeat(first, lengths)


def _similarities(truth, detections, left, right, sigmas) -> np.ndarray:
    """`(P,)` OKS of pairs of rows; without labelled keypoints by the box enlarged three times."""
    found = np.moveaxis(detections.keypoints, 2, 0)[:2].copy()
    wanted = np.moveaxis(truth.keypoints, 2, 0)[:2].copy()
    bare = truth.labelled == 0
    counted = (truth.keypoints[:, :, 2] > 0) | bare[:, None]
    weights, counts = counted.astype(np.float64), np.maximum(counted.sum(1), 1)
    low = truth.boxes[:, :2] - truth.boxes[:, 2:]
    high = truth.boxes[:, :2] + 2 * truth.boxes[:, 2:]
    variances = (2 * sigmas) ** 2
    areas = truth.areas + _TINY
    similarity = np.empty(len(left))
    for start in range(0, len(left), _PAIRS_AT_A_TIME):
        part = slice(start, start + _PAIRS_AT_A_TIME)
        mine, theirs = left[part], right[part]
        squares = 0
        for axis in (0, 1):
            points = found[axis, mine]
            offsets = points - wanted[axis, theirs]
            beside = np.flatnonzero(bare[theirs])
            if len(beside):
                limits = (side[theirs[beside], axis, None] for side in (low, high))
                offsets[beside] = _beyond(points[beside], *limits)
            squares = squares + offsets * offsets
        squares /= variances
        squares /= areas[theirs, None]
        total = np.einsum("pk,pk->p", np.exp(squares * -0.5), weights[theirs])
        similarity[part] = total / counts[theirs]
    return similarity


def _beyond(values, low, high):
    """How far values lie outside of limits."""
    return np.maximum(low - values, 0) + np.maximum(values - high, 0)
