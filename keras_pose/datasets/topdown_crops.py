"""Objects of a KeypointDataset as batches of crops: NumPy and OpenCV only."""

from typing import Any

import numpy as np

from keras_pose.datasets.image_cache import ImageCache
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.readers.categories import check_same_keypoints
from keras_pose.datasets.transforms.augment import TopdownAugment
from keras_pose.datasets.transforms.crop import crop_of_box, to_input
from keras_pose.geometry import warp
from keras_pose.skeleton import Skeleton


class TopdownCrops:
    """Makes the crops and labels of a data set's objects, for training or evaluation.

    Every crop depends only on `(seed, epoch, index)`: whoever makes it, in whatever order, gets the
    same pixels.

    Args:
        dataset: KeypointDataset.
        input_size: (width, height) of the crops.
        skeleton: Skeleton of the model; it must have the data set's keypoints. Default: the data
            set's.
        box_padding: float, factor on the boxes' sides. Default 1.25.
        udp: bool, see `keras_pose.geometry.center_scale_affine`.
        augment: TopdownAugment or None (default).
        joint_weights: bool, give the skeleton's joint weights as the label `weights`.
        seed: int, not negative.
        cache_bytes: int, memory for decoded images, which objects of one image share.
    """

    def __init__(
        self,
        dataset: KeypointDataset,
        input_size: tuple[int, int],
        skeleton: Skeleton | None = None,
        box_padding: float = 1.25,
        udp: bool = False,
        augment: TopdownAugment | None = None,
        joint_weights: bool = False,
        seed: int = 0,
        cache_bytes: int = 256 * 2**20,
    ):
        self.dataset = dataset
        self.input_size = (int(input_size[0]), int(input_size[1]))
        self.skeleton = dataset.skeleton if skeleton is None else skeleton
        check_same_keypoints(
            self.skeleton.keypoints, "the model", dataset.skeleton.keypoints, dataset.name
        )
        self.box_padding = box_padding
        self.udp = udp
        self.augment = augment
        self.joint_weights = joint_weights
        self.seed = seed
        self._cache = ImageCache(cache_bytes)

    def __len__(self) -> int:
        return len(self.dataset)

    def crop(self, index: int, epoch: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """One object's crop.

        Args:
            index: int, row of the data set.
            epoch: int, not negative; every epoch draws its own augmentation.

        Returns:
            uint8 `(height, width, 3)` and a dict of `keypoints` `(K, 2)` in input pixels, `visible`
            `(K,)` and `affine` `(2, 3)`, input to image.
        """
        data = self.dataset
        path, size = data.image_paths[index], data.image_sizes[index]
        image = self._cache.read(path)
        if image.shape[1::-1] != tuple(size):
            raise ValueError(
                f"{path} has {image.shape[1]}x{image.shape[0]} pixels (upright), "
                f"the annotations of {data.name} say {size[0]}x{size[1]}"
            )
        crop = crop_of_box(
            data.boxes[index], data.keypoints[index], data.visible[index], size, self.box_padding
        )
        color = None
        if self.augment is not None:
            rng = np.random.default_rng((self.seed, epoch, index))
            crop = self.augment(crop, self.skeleton, rng)
            color = self.augment.color
        affine, keypoints = to_input(crop, self.input_size, self.udp)
        pixels = warp(image, affine, self.input_size)
        if color is not None:
            pixels = color(pixels, rng)
        return pixels, {"keypoints": keypoints, "visible": crop.visible, "affine": affine}

    def batch(
        self, indices: np.ndarray, epoch: int = 0, evaluation: bool = True
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A batch of crops.

        Args:
            indices: ints `(B,)`, rows of the data set.
            epoch: int, not negative.
            evaluation: bool, add what only evaluation reads.

        Returns:
            uint8 `(B, height, width, 3)` and a dict of float32 `keypoints` `(B, 1, K, 2)` in input
            pixels, `visible` `(B, 1, K)`, `affine` `(B, 2, 3)`, input to image, with
            `joint_weights` also `weights` `(B, 1, K)`; for evaluation `boxes` `(B, 1, 4)` xyxy in
            image pixels, `areas` `(B, 1)`, and int64 `ids` and `image_ids` `(B,)`.
        """
        width, height = self.input_size
        images = np.empty((len(indices), height, width, 3), np.uint8)
        labels = {
            key: np.empty((len(indices), *shape[1:]), dtype)
            for key, (shape, dtype) in self.label_shapes(evaluation).items()
        }
        for row, index in enumerate(indices):
            images[row], crop = self.crop(int(index), epoch)
            labels["keypoints"][row, 0] = crop["keypoints"]
            labels["visible"][row, 0] = crop["visible"]
            labels["affine"][row] = crop["affine"]
        if self.joint_weights:
            labels["weights"][:] = self.skeleton.joint_weights
        if evaluation:
            for key in ("boxes", "areas", "ids", "image_ids"):
                values = getattr(self.dataset, key)[indices]
                labels[key][:] = values.reshape(labels[key].shape)
        return images, labels

    def label_shapes(self, evaluation: bool = True) -> dict[str, tuple[tuple, Any]]:
        """Shape (None for the batch) and dtype of every label of `batch`."""
        keypoints = self.skeleton.num_keypoints
        shapes = {
            "keypoints": ((None, 1, keypoints, 2), np.float32),
            "visible": ((None, 1, keypoints), np.float32),
            "affine": ((None, 2, 3), np.float32),
        }
        if self.joint_weights:
            shapes["weights"] = ((None, 1, keypoints), np.float32)
        if evaluation:
            shapes["boxes"] = ((None, 1, 4), np.float32)
            shapes["areas"] = ((None, 1), np.float32)
            shapes["ids"] = shapes["image_ids"] = ((None,), np.int64)
        return shapes

    def shuffled(self, epoch: int = 0) -> np.ndarray:
        """The data set's rows in random order, such that decoded images can be shared.

        Images are shuffled and taken in windows that fill half of the cache; the objects of each
        window are shuffled. A data set whose images fit is one window, which is a plain
        permutation.

        Args:
            epoch: int, not negative.

        Returns:
            int64 array `(M,)`.
        """
        rng = np.random.default_rng((self.seed, epoch))
        data = self.dataset
        numbers = {path: number for number, path in enumerate(dict.fromkeys(data.image_paths))}
        image = np.array([numbers[path] for path in data.image_paths])
        _, first = np.unique(image, return_index=True)
        images = rng.permutation(len(first))
        sizes = data.image_sizes[first[images]].astype(np.int64)
        filled = np.cumsum(3 * sizes.prod(axis=-1)) * 2 // max(self._cache.max_bytes, 1)
        window = np.empty(len(first), np.int64)
        # only what does not fit as a whole has to be cut into windows
        window[images] = filled if filled[-1:].sum() >= 2 else 0
        return np.lexsort((rng.random(len(data)), window[image]))
