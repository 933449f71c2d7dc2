"""Batches whose images have a size of their own: padded to a common one, or resized together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_pose.datasets.transforms.draws import Draws
from keras_pose.datasets.transforms.scene_resize import resize_pixels


def pad_images(
    images: Sequence[np.ndarray],
    divisor: int = 1,
    fill: float | tuple[float, ...] = 0,
) -> np.ndarray:
    """Stacks images of several sizes, with a border at the right and below.

    Args:
        images: arrays `(H, W, C)` of one dtype.
        divisor: int, sides become multiples of it. Default 1.
        fill: number, or one a channel, in the border. Default 0.

    Returns:
        Array `(B, height, width, C)`.
    """
    sides = np.max([image.shape[:2] for image in images], axis=0)
    height, width = -(-sides // divisor) * divisor
    batch = np.empty((len(images), height, width, images[0].shape[-1]), images[0].dtype)
    batch[:] = fill
    for row, image in zip(batch, images, strict=True):
        row[: image.shape[0], : image.shape[1]] = image
    return batch


def resize_batch(
    images: np.ndarray, labels: dict[str, np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Resizes a batch and the labels that are in its pixels.

    Labels are multiplied by the factors, as in MMPose 1.3.2; pixels are resized with half-pixel
    centres.

    Args:
        images: uint8 or float32 `(B, H, W, 3)`.
        labels: dict; `keypoints` `(B, N, K, 2)`, `boxes` `(B, N, 4)`, `areas` `(B, N)` and `affine`
            `(B, 2, 3)` are changed, `masks` `(B, H, W)` are resized by the same factors, others
            stay.
        size: (width, height).

    Returns:
        Images `(B, height, width, 3)` and labels.
    """
    import cv2

    if images.shape[2:0:-1] == tuple(size):
        return images, labels
    factors = np.array(size, np.float32) / np.array(images.shape[2:0:-1], np.float32)
    changed = dict(labels)
    scales = {
        "keypoints": factors,
        "boxes": np.tile(factors, 2),
        "areas": factors.prod(),
        "affine": np.append(1 / factors, np.float32(1)),
    }
    for key, scale in scales.items():
        if key in labels:
            changed[key] = labels[key] * scale
    if "masks" in labels:
        masks = labels["masks"]
        shape = np.round(masks.shape[2:0:-1] * factors).astype(int).tolist()
        nearest = [cv2.resize(m, shape, interpolation=cv2.INTER_NEAREST) for m in masks]
        changed["masks"] = np.stack(nearest)
    return np.stack([resize_pixels(image, size) for image in images]), changed


@dataclass(frozen=True)
class RandomBatchSize:
    """Another input size every few batches; all images of a batch have the same.

    The first batches keep the input's size, as in MMPose 1.3.2's BatchSyncRandomResize.

    Args:
        smallest: int, pixels of the shorter side. Default 480.
        largest: int. Default 800.
        divisor: int, sides are multiples of it. Default 32.
        interval: int, batches until the next size. Default 10.
    """

    smallest: int = 480
    largest: int = 800
    divisor: int = 32
    interval: int = 10

    def __post_init__(self):
        if self.smallest % self.divisor or self.largest % self.divisor or self.smallest <= 0:
            raise ValueError(
                f"smallest and largest must be multiples of {self.divisor}, "
                f"got {self.smallest} and {self.largest}"
            )
        if self.largest < self.smallest or self.interval < 1:
            raise ValueError(
                "largest must be at least smallest and interval at least 1, "
                f"got {self.largest} and {self.interval}"
            )

    def size(self, step: int, input_size: tuple[int, int], seed: int = 0) -> tuple[int, int]:
        """(width, height) of a batch.

        Args:
            step: int, batches since the beginning of the training.
            input_size: (width, height) of the images, whose shape is kept.
            seed: int.
        """
        if step < self.interval:
            return tuple(input_size)
        count = (self.largest - self.smallest) // self.divisor + 1
        draws = Draws(seed, 0, [step // self.interval])
        short = self.smallest + self.divisor * int(draws.integers("batch size", count)[0])
        sides = np.array(input_size) / min(input_size) * short
        return tuple((np.round(sides / self.divisor).astype(int) * self.divisor).tolist())
