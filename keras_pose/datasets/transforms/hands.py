"""Pairs of hands: mirroring them, and single hands as one of a pair.

`hand_type` is `(..., 2)`: right and left, 1 for a hand that is there, as in InterHand2.6M.

`topdown_dataset` mirrors hand types and depths by itself, see `DepthLabels`; `flip_hands` is for
pipelines of one's own.
"""

import numpy as np

from keras_pose.datasets.transforms.keypoint_mapping import KeypointMapping


def flip_hands(
    keypoints: np.ndarray,
    visible: np.ndarray,
    hand_type: np.ndarray,
    root_depth: np.ndarray,
    flip_indices: np.ndarray,
    width: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mirrors a picture of hands from left to right.

    Args:
        keypoints: array `(..., K, D)`, x and y in image pixels, a depth may follow and stays.
        visible: array `(..., K)`.
        hand_type: array `(..., 2)`, right and left.
        root_depth: array `(...)`, depth of the left wrist less that of the right one.
        flip_indices: ints `(K,)`, each hand's keypoints change places with the other's.
        width: of the image, pixels.

    Returns:
        Keypoints, visibility, hand type and root depth of the mirror image.
    """
    keypoints = np.asarray(keypoints)[..., flip_indices, :].copy()
    keypoints[..., 0] = width - 1 - keypoints[..., 0]
    return (
        keypoints,
        np.asarray(visible)[..., flip_indices],
        np.asarray(hand_type)[..., ::-1],
        -np.asarray(root_depth),
    )


def map_single_hands(
    keypoints: np.ndarray,
    visible: np.ndarray,
    hand_type: np.ndarray,
    right: KeypointMapping,
    left: KeypointMapping,
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints of single hands as those of a pair of hands.

    MMPose 1.3.2 takes the left mapping for right hands too; here each hand has its own.

    Args:
        keypoints: array `(M, S, D)`.
        visible: array `(M, S)`.
        hand_type: array `(M, 2)`, right and left, exactly one of them 1.
        right, left: KeypointMapping of the hands, to the same skeleton.

    Returns:
        Keypoints `(M, K, D)` and visibility `(M, K)`.

    Raises:
        ValueError: for a row that is not one hand.
    """
    hand_type = np.asarray(hand_type) > 0
    single = hand_type.sum(-1) == 1
    if not single.all():
        row = int(np.argmin(single))
        raise ValueError(
            f"hand_type must say right (1, 0) or left (0, 1), row {row} says "
            f"{tuple(hand_type[row].astype(int).tolist())}"
        )
    is_right = hand_type[:, 0]
    points, shown = left(keypoints, visible)
    right_points, right_shown = right(keypoints, visible)
    points = np.where(is_right[:, None, None], right_points, points)
    return points, np.where(is_right[:, None], right_shown, shown)
