"""Stored crops as batches of network inputs: NumPy and OpenCV only."""

from functools import partial

import numpy as np

from keras_pose.datasets.shards.opening import PreparedShards
from keras_pose.datasets.shards.settings import ShardSettings
from keras_pose.datasets.shards.tiled_jpeg import decode_region
from keras_pose.datasets.topdown_crops import EVALUATION, MADE_OF, TopdownCrops, aligned_array
from keras_pose.datasets.transforms.augment import TopdownAugment
from keras_pose.datasets.transforms.schedule import AugmentSchedule
from keras_pose.geometry import apply_affine, invert_affine
from keras_pose.skeleton import Skeleton

# Pixels beyond a crop's corners: for their interpolation, and that of the colour at the edge of
# what is decoded.
REACH = 3
# Crops that lose their fourth channel in one call: threads take turns at every call.
TOGETHER = 8


class PreparedCrops(TopdownCrops):
    """Makes crops and labels of stored objects, as `TopdownCrops` does of photos.

    Args:
        shards: PreparedShards.
        input_size, skeleton, box_padding, udp, augment, joint_weights, seed: as in `TopdownCrops`.

    Raises:
        ValueError: the shards were prepared for less than these ask for.
    """

    def __init__(
        self,
        shards: PreparedShards,
        input_size: tuple[int, int],
        skeleton: Skeleton | None = None,
        box_padding: float = 1.25,
        udp: bool = False,
        augment: TopdownAugment | AugmentSchedule | None = None,
        joint_weights: bool = False,
        seed: int = 0,
    ):
        super().__init__(
            shards, input_size, skeleton, box_padding, udp, augment, joint_weights, seed
        )
        schedule = augment if isinstance(augment, AugmentSchedule) else AugmentSchedule(augment)
        for each in (schedule.first, *schedule.later.values()):
            needs = ShardSettings.of_augment(each, box_padding=box_padding)
            shards.settings.check_serves(self.input_size, needs)

    @staticmethod
    def columns(evaluation: bool = True) -> tuple[str, ...]:
        """The columns of records that `batch` reads, beside `image`."""
        names = ("row", "affine", *MADE_OF, *(EVALUATION if evaluation else ()))
        return tuple(dict.fromkeys(names))

    def batch(
        self, records: dict[str, np.ndarray], epoch: int = 0, evaluation: bool = True
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A batch of crops.

        Args:
            records: dict of the columns `(B, ...)` of `B` records, `image` `(B,)` of bytes.
            epoch: int, not negative.
            evaluation: bool, add what only evaluation reads.

        Returns:
            Images and labels as from `TopdownCrops.batch`.
        """
        warp = partial(self._warp, records)
        return self._batch_of(records, records["row"], warp, epoch, evaluation)

    def _warp(
        self, records: dict[str, np.ndarray], affine: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Crops of the parts of the stored pictures that they show, and that all were found."""
        import cv2

        width, height = self.input_size
        images = aligned_array((len(affine), height, width, 3))
        some = np.empty((TOGETHER, height, width, 4), np.uint8)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        # float32, as affine maps are, would cost a hundredth of a pixel in the middle of an image
        stored = invert_affine(records["affine"].astype(np.float64))
        matrices = stored[:, :, :2] @ affine.astype(np.float64)
        matrices[:, :, 2] += stored[:, :, 2]
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) - 0.5
        shown = apply_affine(matrices, corners)
        low = (np.floor(shown.min(axis=1)) - REACH).astype(np.int64).tolist()
        high = (np.ceil(shown.max(axis=1)) + REACH).astype(np.int64).tolist()
        pictures = records["image"]
        for start in range(0, len(matrices), TOGETHER):
            places = range(start, min(start + TOGETHER, len(matrices)))
            for crop, place in zip(some, places, strict=False):
                picture, origin = decode_region(pictures[place], low[place], high[place])
                matrix = matrices[place]
                matrix[:, 2] -= origin
                cv2.warpAffine(picture, matrix, self.input_size, dst=crop, flags=flags)
            of_all = some[: len(places)].reshape(-1, width, 4)
            to = images[start : start + TOGETHER].reshape(-1, width, 3)
            cv2.cvtColor(of_all, cv2.COLOR_RGBA2RGB, dst=to)
        return images, np.ones(len(images), bool)
