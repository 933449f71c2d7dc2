"""Accuracy of raw outputs (heatmaps, SimCC vectors, labels) as training logs of MMPose show it."""

import numpy as np

from keras_pose.evaluation.pck import pck


def heatmap_pck(
    outputs: np.ndarray,
    targets: np.ndarray,
    visible: np.ndarray,
    threshold: float = 0.05,
    norm: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """PCK of the maxima of heatmaps.

    Args:
        outputs, targets: `(N, K, H, W)`; a map without a positive value has its keypoint at
            (-1, -1).
        visible: `(N, K)`.
        threshold: part of `norm`.
        norm: as for `keypoint_distances`. Default: `(H, W)` for (x, y), which divides x by the
            height, as MMPose 1.3.2 does.

    Returns:
        As `pck`.
    """
    if norm is None:
        norm = np.tile(np.array(outputs.shape[2:]), (len(outputs), 1))
    return pck(_maxima(outputs), _maxima(targets), visible, norm, threshold)


def simcc_pck(
    outputs: tuple[np.ndarray, np.ndarray],
    targets: tuple[np.ndarray, np.ndarray],
    split_ratio: float,
    visible: np.ndarray,
    threshold: float = 0.05,
    norm: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """PCK of the maxima of SimCC vectors.

    Args:
        outputs, targets: `(N, K, Wx)` for x and `(N, K, Wy)` for y.
        split_ratio: bins a pixel.
        visible, threshold, norm: as for `heatmap_pck`; `norm` in input pixels.

    Returns:
        As `pck`.
    """
    if norm is None:
        width, height = (int(vectors.shape[2] / split_ratio) for vectors in outputs)
        norm = np.tile(np.array([height, width]), (len(outputs[0]), 1))
    points = [_vector_maxima(*pair) / split_ratio for pair in (outputs, targets)]
    return pck(*points, visible, norm, threshold)


def label_accuracy(
    outputs: np.ndarray,
    targets: np.ndarray,
    visible: np.ndarray | None = None,
    threshold: float = 0.5,
) -> float:
    """Share of samples of which every label is right; one exactly at the threshold is wrong.

    Args:
        outputs, targets: `(N, L)`, a label is set above the threshold.
        visible: `(N,)` or `(N, L)`; samples count if it is positive for every label.

    Returns:
        0 if no sample counts.
    """
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    if visible is not None:
        counted = (np.asarray(visible).reshape(len(outputs), -1) > 0).all(1)
        outputs, targets = outputs[counted], targets[counted]
    if not len(outputs):
        return 0.0
    return float(((outputs - threshold) * (targets - threshold) > 0).all(1).mean())


def _maxima(maps: np.ndarray) -> np.ndarray:
    """`(N, K, 2)` places (x, y) of the first maxima, -1 without a positive value."""
    flat = maps.reshape(*maps.shape[:2], -1)
    y, x = np.divmod(flat.argmax(-1), maps.shape[-1])
    points = np.stack([x, y], axis=-1).astype(np.float32)
    return np.where(flat.max(-1, keepdims=True) > 0, points, np.float32(-1))


def _vector_maxima(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    points = np.stack([x.argmax(-1), y.argmax(-1)], axis=-1).astype(np.float32)
    found = np.minimum(x.max(-1), y.max(-1)) > 0
    return np.where(found[..., None], points, np.float32(-1))
