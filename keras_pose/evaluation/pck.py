"""Distances between predicted and annotated keypoints, and the share that is near enough."""

import numpy as np

_MASKED = -1.0


def keypoint_distances(
    predictions: np.ndarray, ground_truth: np.ndarray, visible: np.ndarray, norm: np.ndarray
) -> np.ndarray:
    """Normalised distances, as MMPose 1.3.2 measures them.

    Args:
        predictions: `(N, K, D)` coordinates, in the same pixels as `ground_truth`.
        ground_truth: `(N, K, D)` annotated coordinates.
        visible: `(N, K)`, above 0 where a keypoint is annotated.
        norm: length that counts as 1: a number, `(N,)` an instance, or `(N, D)` an axis. An
            instance with a 0 in it is left out; a negative length counts as 1e6.

    Returns:
        `(N, K)` float32, -1 where not annotated.
    """
    predictions, ground_truth, visible = _checked(predictions, ground_truth, visible)
    count, _, dimensions = predictions.shape
    norm = np.asarray(norm, dtype=np.float64)
    norm = norm[:, None] if norm.ndim == 1 else norm
    try:
        norm = np.broadcast_to(norm, (count, dimensions))
    except ValueError:
        raise ValueError(
            f"norm must be a number, ({count},) or ({count}, {dimensions}), got shape {norm.shape}"
        ) from None
    valid = visible & (norm != 0).all(1)[:, None]
    norm = np.where(norm <= 0, 1e6, norm)
    distances = np.linalg.norm((predictions - ground_truth) / norm[:, None, :], axis=-1)
    return np.where(valid, distances, _MASKED).astype(np.float32)


def pck(
    predictions: np.ndarray,
    ground_truth: np.ndarray,
    visible: np.ndarray,
    norm: np.ndarray,
    threshold: float,
) -> tuple[float, np.ndarray]:
    """Percentage of correct keypoints (as a fraction): those nearer than `threshold` times `norm`.

    Args:
        predictions, ground_truth, visible, norm: as for `keypoint_distances`.
        threshold: a distance equal to it is already wrong; so are predictions that are not finite.

    Returns:
        The mean over the keypoints that are annotated at least once (0 if none is), and `(K,)` the
        share of each keypoint, -1 where it is never annotated.
    """
    shares = shares_within(keypoint_distances(predictions, ground_truth, visible, norm), threshold)
    return mean_share(shares), shares


def shares_within(distances: np.ndarray, threshold: float) -> np.ndarray:
    """Share of the distances of each keypoint that are smaller than a threshold.

    Args:
        distances: `(N, ...)`, as `keypoint_distances` gives them.
        threshold: a distance equal to it is too far.

    Returns:
        `(...)` float64, -1 where no distance is measured.
    """
    annotated = distances != _MASKED
    counts = annotated.sum(0)
    correct = (annotated & (distances < threshold)).sum(0)
    return np.where(counts > 0, correct / np.maximum(counts, 1), -1.0)


def mean_share(shares: np.ndarray) -> float:
    """Mean over the keypoints that are annotated at least once, 0 if none is."""
    return float(shares[shares >= 0].mean()) if (shares >= 0).any() else 0.0


def mean_distance(distances: np.ndarray) -> float:
    """Mean of all measured distances (each counts the same), 0 without any."""
    annotated = distances != _MASKED
    return float(distances[annotated].mean(dtype=np.float64)) if annotated.any() else 0.0


def mean_distances(distances: np.ndarray) -> np.ndarray:
    """Mean distance `(K,)` of each keypoint, -1 where it is never measured."""
    annotated = distances != _MASKED
    counts, sums = annotated.sum(0), np.where(annotated, distances, 0).sum(0, dtype=np.float64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), -1.0)


def keypoint_error(predictions: np.ndarray, ground_truth: np.ndarray, visible: np.ndarray) -> float:
    """Mean distance of the annotated keypoints, in the pixels of the coordinates (end-point error).

    Args:
        predictions, ground_truth, visible: as for `keypoint_distances`.

    Returns:
        The mean over all annotated keypoints of all instances, 0 without any.
    """
    return mean_distance(keypoint_distances(predictions, ground_truth, visible, 1.0))


def _checked(predictions, ground_truth, visible):
    predictions, ground_truth = np.asarray(predictions), np.asarray(ground_truth)
    if predictions.ndim != 3 or predictions.shape != ground_truth.shape:
        raise ValueError(
            "predictions and ground_truth must both be (N, K, D), "
            f"got shapes {predictions.shape} and {ground_truth.shape}"
        )
    visible = np.asarray(visible) > 0
    if visible.shape != predictions.shape[:2]:
        raise ValueError(f"visible must be {predictions.shape[:2]}, got shape {visible.shape}")
    return predictions, ground_truth, visible
