"""Which keypoints change places in a mirror, read from the poses themselves: arrays only.

A mirrored picture of an animal is a picture of an animal. So with the right pairs every mirrored
pose, its pairs exchanged, looks like some pose of the data set; with wrong ones it does not. How
much it does not is measured, and where the mirrored keypoints come to lie says which pairs would be
right.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from keras_pose.datasets.doctor.shapes import enough, fitted, shape_distances
from keras_pose.skeleton import Skeleton

# More poses than this say nothing new; they are drawn at random with a fixed seed.
MOST_POSES = 400
_POSES_OF_SEARCH = 100
# Single changes of a pairing that are tried in a round; large skeletons have too many.
_MOST_CHANGES = 200


@dataclass(frozen=True)
class MirrorFit:
    """How well mirrored poses fit real ones under some pairing.

    Attributes:
        flip: int `(K,)`, the pairing: partner of every keypoint, itself where it has none.
        distance: mean Procrustes distance between a mirrored pose and the most similar real one.
        misfit: `(K, K)` mean squared distance from keypoint i of the mirrored poses, without any
            exchange, to keypoint j of the real poses they were fitted to, in units of the pose's
            spread; infinite where both are never seen.
        each: `(N,)` the distance of every mirrored pose, infinite where none can be compared.
    """

    flip: np.ndarray
    distance: float
    misfit: np.ndarray
    each: np.ndarray

    def surely_better(self, other: "MirrorFit") -> bool:
        """Whether poses come nearer than under another pairing, by 5 % and 4 standard errors."""
        both = np.isfinite(self.each) & np.isfinite(other.each)
        gain = (other.each - self.each)[both]
        if len(gain) < 5 or not self.distance < 0.95 * other.distance:
            return False
        return gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


def mirror_fit(poses: np.ndarray, seen: np.ndarray, flip: np.ndarray) -> MirrorFit | None:
    """Fits the mirror image of every pose to the real pose that resembles it most.

    Args:
        poses: complex `(N, K)` as `shapes.as_complex` gives them; `seen` bool `(N, K)`.
        flip: int `(K,)`, the pairing to try.

    Returns:
        The fit, or None where fewer than 5 poses can be compared.
    """
    mirrored, mirrored_seen = poses.conj()[:, flip], seen[:, flip]
    distances = shape_distances(mirrored, mirrored_seen, poses, seen, enough(poses.shape[1]))
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    found = np.isfinite(distances.min(axis=1))
    if found.sum() < 5:
        return None
    mirrored, mirrored_seen, nearest = mirrored[found], mirrored_seen[found], nearest[found]
    placed = fitted(mirrored, mirrored_seen, poses[nearest], seen[nearest])[:, flip]
    placed_seen, real, real_seen = seen[found], poses[nearest], seen[nearest]
    a, b = placed_seen.astype(float), real_seen.astype(float)
    placed, real = np.where(placed_seen, placed, 0), np.where(real_seen, real, 0)
    total = (np.abs(placed) ** 2).T @ b + a.T @ np.abs(real) ** 2
    total = total - 2 * (placed.conj().T @ real).real
    count = a.T @ b
    misfit = np.where(count > 0, np.maximum(total, 0) / np.maximum(count, 1), np.inf)
    each = distances.min(axis=1)
    return MirrorFit(flip, float(each[found].mean()), misfit, each)


def paired(misfit: np.ndarray) -> np.ndarray:
    """The pairing with the least misfit: the surest pairs first, each keypoint once.

    Args:
        misfit: `(K, K)`; that of i to j and of j to i are added.

    Returns:
        int `(K,)`.
    """
    cost = misfit + misfit.T
    flip = np.arange(len(cost))
    free = np.ones(len(cost), bool)
    rows, columns = np.triu_indices(len(cost))
    # A pair explains two keypoints at a time: its gain is against both staying in place.
    stay = np.diag(cost)
    finite = np.isfinite(cost[rows, columns] + stay[rows] + stay[columns])
    gain = np.full(len(rows), np.inf)
    some = rows[finite], columns[finite]
    gain[finite] = cost[some] - (stay[some[0]] + stay[some[1]]) / 2
    order = np.argsort(gain, kind="stable")
    for at in order:
        i, j = rows[at], columns[at]
        if i == j or not free[i] or not free[j] or not gain[at] < 0:
            continue
        flip[i], flip[j] = j, i
        free[i] = free[j] = False
    return flip


def suggested_pairing(
    poses: np.ndarray, seen: np.ndarray, starts: list[np.ndarray], rounds: int = 8
) -> MirrorFit | None:
    """The pairing under which mirrored poses look most like real ones.

    From every start, poses are fitted, the pairing is read from where keypoints lie, and again,
    until nothing changes; the best fit met on the way wins, an earlier one where two are equal.

    Args:
        poses, seen: as for `mirror_fit`.
        starts: pairings to begin with, e.g. the declared one, that of the names, none.
    """
    found: list[MirrorFit] = []
    met: list[MirrorFit] = []
    tried = set()
    for flip in starts:
        best = None
        for _ in range(rounds):
            if flip.tobytes() in tried:
                break
            tried.add(flip.tobytes())
            fit = mirror_fit(poses, seen, flip)
            if fit is None:
                return None
            if best is None or fit.distance < best.distance * (1 - 1e-6):
                best = fit
            flip = paired(fit.misfit)
        if best is not None and not any(np.array_equal(best.flip, fit.flip) for fit in met):
            met.append(best)
            found.append(_improved(poses, seen, best))
    return min(found, key=lambda fit: fit.distance)


def compare_pairings(poses: np.ndarray, seen: np.ndarray, skeleton: Skeleton):
    """The skeleton's pairing against the one that poses suggest.

    Args:
        poses: complex `(N, K)` as `shapes.as_complex` gives them; `seen` bool `(N, K)`.
        skeleton: Skeleton of the poses.

    Returns:
        The MirrorFits of the skeleton's pairing and of the best one, and whether even that is no
        mirror image: twice as far off as poses are from each other. None for too few poses.
    """
    some = np.random.default_rng(0).permutation(len(poses))[:MOST_POSES]
    poses, seen = poses[some], seen[some]
    declared = mirror_fit(poses, seen, skeleton.flip_indices)
    if declared is None:
        return None
    starts = [declared.flip, named_pairing(skeleton), np.arange(skeleton.num_keypoints)]
    best = suggested_pairing(poses, seen, starts)
    own = shape_distances(poses, seen, poses, seen, enough(skeleton.num_keypoints))
    np.fill_diagonal(own, np.inf)
    nearest = own.min(axis=1)
    typical = nearest[np.isfinite(nearest)].mean()
    return declared, best, bool(best.distance > max(2 * typical, 0.1))


def named_pairing(skeleton: Skeleton) -> np.ndarray:
    """The pairing `(K,)` that the names of keypoints suggest (left_x, right_x)."""
    flip = np.arange(skeleton.num_keypoints)
    for pair in Skeleton.guess_swaps(skeleton.keypoints):
        i, j = (skeleton.index(name) for name in pair)
        flip[[i, j]] = j, i
    return flip


def pairing_text(names, flip: np.ndarray, keypoint: int) -> str:
    """A keypoint and its partner in words."""
    if flip[keypoint] == keypoint:
        return f"{names[keypoint]} alone"
    return " - ".join(names[end] for end in sorted((keypoint, int(flip[keypoint]))))


def _improved(poses, seen, best: MirrorFit, rounds: int = 6) -> MirrorFit:
    """Goes on with single changes as long as one helps: join two, part two, or regroup two pairs.

    What explains most poses can hide a pair or two from fits of all of them at once; these are the
    cases in which few changes are left to try.
    """
    some = slice(0, _POSES_OF_SEARCH)
    for _ in range(rounds):
        moves = list(_changes(best.flip))
        if len(moves) > _MOST_CHANGES:
            return best
        now = mirror_fit(poses[some], seen[some], best.flip)
        fits = [mirror_fit(poses[some], seen[some], flip) for flip in moves]
        fits = [fit for fit in fits if fit is not None]
        if now is None or not fits:
            return best
        nearest = min(fits, key=lambda fit: fit.distance)
        if not nearest.distance < now.distance * (1 - 1e-3):
            return best
        whole = mirror_fit(poses, seen, nearest.flip)
        if not whole.distance < best.distance:
            return best
        best = whole
    return best


def _changes(flip: np.ndarray):
    """All pairings that differ from one by a single change."""
    singles = np.flatnonzero(flip == np.arange(len(flip))).tolist()
    pairs = [(i, j) for i, j in enumerate(flip.tolist()) if i < j]
    for new in itertools.combinations(singles, 2):
        yield _changed(flip, [new], ())
    for old in pairs:
        yield _changed(flip, [], old)
    for (a, b), (c, d) in itertools.combinations(pairs, 2):
        yield _changed(flip, [(a, c), (b, d)], ())
        yield _changed(flip, [(a, d), (b, c)], ())


def _changed(flip: np.ndarray, pairs, alone) -> np.ndarray:
    flip = flip.copy()
    for i, j in pairs:
        flip[[i, j]] = j, i
    flip[list(alone)] = alone
    return flip
