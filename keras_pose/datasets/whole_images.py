"""Data sets of pictures that show one animal each, for networks that shall find it themselves."""

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset


def with_whole_images(dataset: KeypointDataset) -> KeypointDataset:
    """Every object twice: in its own box, and with its whole image as the box.

    Args:
        dataset: KeypointDataset with one object an image.

    Raises:
        ValueError: for several objects in an image: its pixels do not say which one is meant.
    """
    images, counts = np.unique(dataset.image_ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"{dataset.name}: image {images[np.argmax(counts)]} has {counts.max()} objects; whole "
            "images can only be learnt where each shows one"
        )
    sizes = dataset.image_sizes.astype("float32")
    fields = {
        name: np.concatenate([getattr(dataset, name)] * 2)
        for name in ("image_paths", "image_ids", "image_sizes", "keypoints", "visible")
    }
    boxes = np.concatenate([dataset.boxes, np.concatenate([0 * sizes, sizes], axis=1)])
    return KeypointDataset(dataset.skeleton, boxes=boxes, name=dataset.name, **fields)


def box_margin(dataset: KeypointDataset) -> float:
    """How far annotated boxes reach beyond their keypoints, in longer sides of the pose."""
    sides = (dataset.boxes[:, 2:] - dataset.boxes[:, :2]).max(axis=1)
    shown = dataset.visible[..., None] > 0
    low = np.where(shown, dataset.keypoints, np.inf).min(axis=1)
    high = np.where(shown, dataset.keypoints, -np.inf).max(axis=1)
    extents = np.maximum((high - low).max(axis=1), 1.0)
    return float(np.median((sides / extents - 1) / 2))
