"""Object keypoint similarity (OKS), as the COCO evaluator computes it."""

import numpy as np


def mean_similarity(
    squared_distances: np.ndarray,
    sigmas: np.ndarray,
    areas: np.ndarray,
    counted: np.ndarray | None = None,
) -> np.ndarray:
    """Mean over the keypoints of `exp(-d^2 / (2 area (2 sigma)^2))`.

    Args:
        squared_distances: array `(..., K)`, square pixels.
        sigmas: array `(K,)`, the skeleton's sigmas.
        areas: array `(...)`, square pixels.
        counted: optional boolean array `(..., K)`; keypoints that are not counted are left out.

    Returns:
        float64 array `(...)`, 0..1; 0 where nothing is counted.
    """
    variances = (2 * np.asarray(sigmas, np.float64)) ** 2
    areas = np.asarray(areas, np.float64)[..., None] + np.spacing(1)
    similarity = np.exp(-np.asarray(squared_distances, np.float64) / variances / areas / 2)
    if counted is None:
        return similarity.mean(axis=-1)
    counted = np.broadcast_to(counted, similarity.shape)
    count = counted.sum(axis=-1)
    return np.where(counted, similarity, 0.0).sum(axis=-1) / np.maximum(count, 1)


def oks(
    keypoints: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    sigmas: np.ndarray,
    areas: np.ndarray,
    boxes: np.ndarray | None = None,
) -> np.ndarray:
    """OKS of every predicted pose with every annotated pose of an image.

    Args:
        keypoints: array `(D, K, 2)`, predicted, image pixels.
        truth: array `(G, K, 2)`, annotated, image pixels.
        visible: array `(G, K)`, above 0 where a keypoint is labelled; only these count.
        sigmas: array `(K,)`.
        areas: array `(G,)`, the annotations' areas (without areas, COCO-style evaluators take
            width * height * 0.53 of the box).
        boxes: optional array `(G, 4)` xyxy. An annotation without any labelled keypoint is
            compared by how far predicted keypoints leave its box enlarged three times; without
            `boxes` its OKS is 0.

    Returns:
        float64 array `(D, G)`.
    """
    keypoints = np.asarray(keypoints, np.float64)[:, None, :, :2]
    truth = np.asarray(truth, np.float64)[None, :, :, :2]
    labelled = np.asarray(visible) > 0
    offsets = keypoints - truth
    counted = labelled
    if boxes is not None:
        boxes = np.asarray(boxes, np.float64)
        sides = boxes[:, 2:4] - boxes[:, :2]
        low, high = (boxes[:, :2] - sides)[:, None], (boxes[:, 2:4] + sides)[:, None]
        beyond = np.maximum(low - keypoints, 0) + np.maximum(keypoints - high, 0)
        bare = ~labelled.any(axis=1)
        offsets = np.where(bare[:, None, None], beyond, offsets)
        counted = labelled | bare[:, None]
    return mean_similarity((offsets**2).sum(axis=-1), sigmas, areas, counted)
