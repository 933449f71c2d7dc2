"""Poses of the only animal (or person) in each image, without a detector."""

import numpy as np

from keras_pose.results import PoseResult


def find_alone(estimator, images: list, margin: float, rounds: int = 2) -> list[PoseResult]:
    """Poses of the only animal in each image: in the whole image, then in the box of that pose.

    The estimator should have learnt whole images too, see
    `keras_pose.datasets.whole_images.with_whole_images`.

    Args:
        estimator: TopdownEstimator.
        images: list of paths or arrays, see `TopdownEstimator.predict_poses`.
        margin: float, by how much of its longer side a pose's box is larger than the pose, on each
            side, see `keras_pose.datasets.whole_images.box_margin`.
        rounds: int, how often the box around what was found is looked at.

    Returns:
        A list of `PoseResult` with one pose each, in image pixels.
    """
    poses = estimator.predict_poses(images)
    for _ in range(rounds):
        boxes = [box_around(pose.keypoints, margin, pose.image_size) for pose in poses]
        poses = estimator.predict_poses(images, boxes)
    return poses


def box_around(keypoints: np.ndarray, margin: float, image_size) -> np.ndarray:
    """Boxes `(N, 4)` xyxy around keypoints `(N, K, 2)`, at least 2 pixels of the image wide.

    Args:
        keypoints: image pixels.
        margin: see `find_alone`.
        image_size: (width, height) in pixels.
    """
    last = np.array(image_size) - 1
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    grow = margin * (high - low).max(axis=1, keepdims=True) + 1
    low, high = np.clip(low - grow, 0, last - 2), np.clip(high + grow, 2, last)
    return np.concatenate([low, high], axis=1)
