"""Objects of a KeypointDataset as batches of crops: NumPy and OpenCV only."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np

from keras_pose.datasets.damaged import DamagedImages
from keras_pose.datasets.depth_labels import DepthLabels
from keras_pose.datasets.image_cache import ImageCache
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.readers.categories import check_same_keypoints
from keras_pose.datasets.transforms.augment import TopdownAugment
from keras_pose.datasets.transforms.crop import crops_of_boxes, to_input
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.datasets.transforms.schedule import AugmentSchedule, augment_at
from keras_pose.images import read_image
from keras_pose.skeleton import Skeleton

# The columns of a data set that crops are made of, and those that only evaluation reads.
MADE_OF = ("boxes", "keypoints", "visible", "image_sizes")
EVALUATION = ("boxes", "areas", "ids", "image_ids")


class TopdownCrops:
    """Makes the crops and labels of a data set's objects, for training or evaluation.

    Every crop depends only on `(seed, epoch, row)`: whoever makes it, in whatever batch and order,
    gets the same pixels. Labels are computed for whole batches; one crop after the other are only
    its image decoded, unless it is kept from before, and its pixels moved, once.

    Args:
        dataset: KeypointDataset.
        input_size: (width, height) of the crops.
        skeleton: Skeleton of the model; it must have the data set's keypoints. Default: the data
            set's.
        box_padding: float, factor on the boxes' sides. Default 1.25.
        udp: bool, see `keras_pose.geometry.center_scale_affine`.
        augment: TopdownAugment, AugmentSchedule of them or None (default).
        joint_weights: bool, give the skeleton's joint weights as the label `weights`.
        seed: int, not negative.
        cache_bytes: int, memory for decoded images, which objects of one image share.
        damaged: DamagedImages, told of images that cannot be read or have another size than the
            annotations say; their crops are black and nothing is visible in them. Default None:
            such images are errors.
        depths: DepthLabels of the data set, for networks that learn them. Default None.
    """

    def __init__(
        self,
        dataset: KeypointDataset,
        input_size: tuple[int, int],
        skeleton: Skeleton | None = None,
        box_padding: float = 1.25,
        udp: bool = False,
        augment: TopdownAugment | AugmentSchedule | None = None,
        joint_weights: bool = False,
        seed: int = 0,
        cache_bytes: int = 256 * 2**20,
        damaged: DamagedImages | None = None,
        depths: DepthLabels | None = None,
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
        self.damaged = damaged
        self.depths = depths
        self.cache = ImageCache(cache_bytes, partial(read_image, alpha=True))

    def __len__(self) -> int:
        return len(self.dataset)

    def crop(self, row: int, epoch: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """One object's crop.

        Args:
            row: int, row of the data set.
            epoch: int, not negative; every epoch draws its own augmentation.

        Returns:
            uint8 `(height, width, 3)` and a dict of `keypoints` `(K, 2)` in input pixels, `visible`
            `(K,)` and `affine` `(2, 3)`, input to image.
        """
        images, labels = self.batch(np.array([row]), epoch, evaluation=False)
        return images[0], {
            "keypoints": labels["keypoints"][0, 0],
            "visible": labels["visible"][0, 0],
            "affine": labels["affine"][0],
        }

    def batch(
        self, rows: np.ndarray, epoch: int = 0, evaluation: bool = True
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A batch of crops.

        Args:
            rows: ints `(B,)`, rows of the data set. Row `i + n * len(self)` is row `i` once more,
                with other draws.
            epoch: int, not negative.
            evaluation: bool, add what only evaluation reads.

        Returns:
            uint8 `(B, height, width, 3)` and a dict of float32 `keypoints` `(B, 1, K, 2)` in input
            pixels, `visible` `(B, 1, K)`, `affine` `(B, 2, 3)`, input to image, with
            `joint_weights` also `weights` `(B, 1, K)`; for evaluation `boxes` `(B, 1, 4)` xyxy in
            image pixels, `areas` `(B, 1)`, and int64 `ids` and `image_ids` `(B,)`.

        Raises:
            FileNotFoundError, ValueError: an image cannot be read and there is no `damaged`.
            DamagedImagesError: too many cannot be read.
        """
        rows = np.asarray(rows)
        which = rows % len(self)
        columns = {key: getattr(self.dataset, key)[which] for key in (*MADE_OF, *EVALUATION)}
        warp = partial(self._warp, which, epoch=epoch)
        return self._batch_of(columns, rows, warp, epoch, evaluation)

    def _batch_of(
        self,
        columns: Mapping[str, np.ndarray],
        rows: np.ndarray,
        warp: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        epoch: int,
        evaluation: bool,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A batch of objects `columns`; `warp` makes affine maps into images, as `_warp` does."""
        crops = crops_of_boxes(*(columns[key] for key in MADE_OF), self.box_padding)
        augment, draws = augment_at(self.augment, epoch), Draws(self.seed, epoch, rows)
        if augment is not None:
            crops = augment(crops, self.skeleton, draws)
        affine, keypoints = to_input(crops, self.input_size, self.udp)
        images, found = warp(affine)
        if augment is not None and augment.pixels:
            for position in np.flatnonzero(found):
                images[position] = augment.change_pixels(images[position], draws, position)
        labels = {
            "keypoints": keypoints[:, None],
            "visible": (crops.visible * found[:, None])[:, None],
            "affine": affine,
        }
        if self.joint_weights:
            labels["weights"] = np.tile(self.skeleton.joint_weights, (len(rows), 1, 1))
        if self.depths is not None:
            labels = self.depths(rows % len(self), labels)
        if evaluation:
            labels |= {key: columns[key] for key in EVALUATION}
        return images, {
            key: labels[key].astype(dtype, copy=False).reshape(len(rows), *shape[1:])
            for key, (shape, dtype) in self.label_shapes(evaluation).items()
        }

    def _warp(
        self, which: np.ndarray, affine: np.ndarray, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Crops `(B, height, width, 3)` of the rows' images, and bools `(B,)`: could be read."""
        import cv2

        width, height = self.input_size
        images = aligned_array((len(which), height, width, 3))
        found = np.ones(len(which), bool)
        crop = np.empty((height, width, 4), np.uint8)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for position, matrix in enumerate(affine.astype(np.float64)):
            image = self._read(which[position], epoch)
            if image is None:
                images[position], found[position] = 0, False
                continue
            cv2.warpAffine(image, matrix, self.input_size, dst=crop, flags=flags)
            cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB, dst=images[position])
        return images, found

    def _read(self, row: int, epoch: int) -> np.ndarray | None:
        """A row's image, uint8 `(H, W, 4)` RGBA, or None if it is damaged and skipped."""
        path, (width, height) = self.dataset.image_paths[row], self.dataset.image_sizes[row]
        try:
            image = self.cache.read(path)
            if image.shape[:2] != (height, width):
                raise ValueError(
                    f"{path} has {image.shape[1]}x{image.shape[0]} pixels (upright), "
                    f"the annotations of {self.dataset.name} say {width}x{height}"
                )
        except (OSError, ValueError) as error:
            if self.damaged is None:
                raise
            self.damaged.add(epoch, path, error)
            return None
        return image

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
        if self.depths is not None:
            shapes |= self.depths.shapes()
        if evaluation:
            shapes["boxes"] = ((None, 1, 4), np.float32)
            shapes["areas"] = ((None, 1), np.float32)
            shapes["ids"] = shapes["image_ids"] = ((None,), np.int64)
        return shapes

    def rows(
        self, epoch: int = 0, shuffle: bool = False, batch_size: int | None = None
    ) -> np.ndarray:
        """The rows of an epoch, in the order in which they are to be asked for.

        They are all rows of the data set, or what its `epoch_rows(epoch, seed)` gives if it has
        such a method; rows that this gives several times are numbered as `batch` describes.

        Shuffled, images are taken in windows that fill half of the cache, and the objects of each
        window are shuffled, such that every image is decoded once. A data set whose images fit is
        one window, which is a plain permutation.

        Args:
            epoch: int, not negative.
            shuffle: bool.
            batch_size: int, for a data set with `batch_ratios`, which decides on each batch by its
                method `batch_rows(epoch, seed, batch_size, shuffle)`.

        Returns:
            int64 array `(M,)`.
        """
        if batch_size and getattr(self.dataset, "batch_ratios", None):
            rows = self.dataset.batch_rows(epoch, self.seed, batch_size, shuffle)
            return rows + len(self) * _repetitions(rows)
        rows = np.arange(len(self))
        if hasattr(self.dataset, "epoch_rows"):
            rows = np.asarray(self.dataset.epoch_rows(epoch, self.seed), np.int64)
        if not shuffle:
            return rows + len(self) * _repetitions(rows)
        rng = np.random.default_rng((self.seed, epoch))
        images, first, image = np.unique(
            self._image_numbers[rows], return_index=True, return_inverse=True
        )
        order = rng.permutation(len(images))
        sizes = self.dataset.image_sizes[rows[first[order]]].astype(np.int64)
        filled = np.cumsum(4 * sizes.prod(axis=-1)) * 2 // max(self.cache.max_bytes, 1)
        window = np.empty(len(images), np.int64)
        # only what does not fit as a whole has to be cut into windows
        window[order] = filled if filled[-1:].sum() >= 2 else 0
        rows = rows + len(self) * _repetitions(rows)
        return rows[np.lexsort((rng.random(len(rows)), window[image]))]

    @cached_property
    def _image_numbers(self) -> np.ndarray:
        """A number `(M,)` for each row's image."""
        numbers: dict[str, int] = {}
        paths = self.dataset.image_paths
        return np.array([numbers.setdefault(path, len(numbers)) for path in paths], np.int64)


def _repetitions(rows: np.ndarray) -> np.ndarray:
    """How often each row has come before."""
    order = np.argsort(rows, kind="stable")
    _, first, count = np.unique(rows[order], return_index=True, return_counts=True)
    before = np.empty_like(rows)
    before[order] = np.arange(len(rows)) - np.repeat(first, count)
    return before


def aligned_array(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised uint8 array that begins at a multiple of 64 bytes.

    TensorFlow takes such arrays as they are and copies others.
    """
    size = int(np.prod(shape))
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].reshape(shape)
