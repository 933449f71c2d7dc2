"""How alike poses are, wherever they stand, however large and turned they are: arrays only.

Poses are complex numbers x + iy, so that size and rotation are one factor, and a mirrored pose is
the conjugate. Comparing all poses of two sets is then a handful of matrix products.
"""

import numpy as np

# Real matrix products of at most so many multiplications stay on one thread (OpenBLAS's own bound);
# handing such small ones to several threads costs more than they, and on a busy machine far more.
_LARGEST_PRODUCT = 2**18


def as_complex(keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Keypoints `(N, K, 2)` as complex `(N, K)`, centred, of unit spread; 0 where not visible."""
    points = np.where(visible, keypoints[..., 0] + 1j * keypoints[..., 1], 0)
    count = np.maximum(visible.sum(axis=1, keepdims=True), 1)
    points = np.where(visible, points - points.sum(axis=1, keepdims=True) / count, 0)
    spread = np.sqrt((np.abs(points) ** 2).sum(axis=1, keepdims=True) / count)
    return points / np.where(spread > 0, spread, 1)


def shape_distances(
    poses: np.ndarray, seen: np.ndarray, others: np.ndarray, others_seen: np.ndarray, least: int
) -> np.ndarray:
    """What is left between two poses once one was moved, turned and resized to fit the other best.

    Only keypoints that both show count. This is the Procrustes distance: 0 for the same shape, 1
    for shapes that have nothing in common.

    Args:
        poses: complex `(N, K)`, 0 where not seen; `seen` bool `(N, K)`. In complex64 the distance
            is exact to 1e-3, in half the time.
        others: complex `(M, K)` of the same type; `others_seen` bool `(M, K)`.
        least: int, fewest common keypoints; below it the distance is infinite.

    Returns:
        `(N, M)`.
    """
    kind = poses.real.dtype
    result = np.empty((len(poses), len(others)), kind)
    rows = max(1, _LARGEST_PRODUCT // max(1, 2 * poses.shape[1] * len(others)))
    b = others_seen.astype(kind).T
    x, y = others.real.T, others.imag.T
    both, turned, power = np.concatenate([x, y]), np.concatenate([y, -x]), x**2 + y**2
    for start in range(0, len(poses), rows):
        part = slice(start, start + rows)
        pose, a = poses[part], seen[part].astype(kind)
        parts = np.concatenate([pose.real, pose.imag], axis=1)
        count = a @ b
        share = 1 / np.maximum(count, 1)
        sum_x, sum_y, other_x, other_y = pose.real @ b, pose.imag @ b, a @ x, a @ y
        along = parts @ both
        along -= (sum_x * other_x + sum_y * other_y) * share
        across = parts @ turned
        across -= (sum_x * other_y - sum_y * other_x) * share
        spread = (parts**2)[:, : pose.shape[1]] + (parts**2)[:, pose.shape[1] :]
        product = spread @ b - (sum_x**2 + sum_y**2) * share
        product *= a @ power - (other_x**2 + other_y**2) * share
        product[product <= 1e-12] = np.inf
        distance = np.sqrt(np.maximum(1 - (along**2 + across**2) / product, 0))
        distance[count < least] = np.inf
        result[part] = distance
    return result


def fitted(pose: np.ndarray, seen: np.ndarray, other: np.ndarray, other_seen: np.ndarray):
    """Poses moved, turned and resized onto others, by the keypoints that both show.

    Args:
        pose, other: complex `(N, K)`; `seen`, `other_seen`: bool `(N, K)`.

    Returns:
        Complex `(N, K)`; what is not in `seen` means nothing.
    """
    both = seen & other_seen
    count = np.maximum(both.sum(axis=1, keepdims=True), 1)
    centre = np.where(both, pose, 0).sum(axis=1, keepdims=True) / count
    other_centre = np.where(both, other, 0).sum(axis=1, keepdims=True) / count
    a, b = np.where(both, pose - centre, 0), np.where(both, other - other_centre, 0)
    power = (np.abs(a) ** 2).sum(axis=1, keepdims=True)
    factor = (a.conj() * b).sum(axis=1, keepdims=True) / np.where(power > 0, power, 1)
    return (pose - centre) * factor + other_centre


def enough(num_keypoints: int) -> int:
    """How many common keypoints make two poses comparable: half of them, 4 to 12."""
    return int(np.clip(-(-num_keypoints // 2), 4, 12))
