"""The batches of a training: how many, from where on, and of which images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_pose.datasets import KeypointDataset, PreparedShards, prepared_dataset, topdown_dataset
from keras_pose.datasets.batches import count_batches
from keras_pose.datasets.pipeline import CACHE, IMAGE
from keras_pose.datasets.readers.categories import check_same_keypoints
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.datasets.transforms import TopdownAugment
from keras_pose.skeleton import Skeleton
from keras_pose.training.recipe import Recipe


def read_data(
    settings: Mapping[str, Any], skeleton: Any = None
) -> KeypointDataset | PreparedShards:
    """The data that `train` or `val` of a job names.

    Raises:
        ValueError: for keypoints that are not the skeleton's.
    """
    if "annotations" in settings:
        file = Path(settings["annotations"])
        return KeypointDataset.from_coco(file, settings.get("images") or file.parent, skeleton)
    shards = PreparedShards(settings["shards"])
    if skeleton is not None:
        wanted = Skeleton.resolve(skeleton)
        check_same_keypoints(wanted.keypoints, wanted.name, shards.skeleton.keypoints, shards.name)
    return shards


class TrainingBatches:
    """What an estimator learns in which order; the same in every run.

    An epoch has whole steps only: objects that fill no batch and batches that fill no step are left
    out, other ones in every epoch.

    Args:
        data: KeypointDataset or PreparedShards.
        recipe: Recipe.
        estimator: whose crops are made.
        cache_bytes: int, memory for decoded images, which decides on the order where they do not
            fit; a resumed training needs the same. Default: what a machine with 8 CPUs needs.

    Attributes:
        batch_size: int, objects a batch.
        steps: int, batches an epoch.
        cache_bytes: see above.

    Raises:
        ValueError: for data that do not fill a step.
    """

    def __init__(
        self,
        data: KeypointDataset | PreparedShards,
        recipe: Recipe,
        estimator: Any,
        cache_bytes: int | None = None,
    ):
        self.data, self._recipe, self._estimator = data, recipe, estimator
        if recipe.batch_size % recipe.accumulate:
            raise ValueError(
                f"batch_size {recipe.batch_size}, the samples of a step, must be a multiple of "
                f"accumulate {recipe.accumulate}"
            )
        size = recipe.batch_size // recipe.accumulate
        self.batch_size = min(size, len(data))
        self._full = len(data) >= size
        batches = count_batches(len(data), self.batch_size, self._full) if len(data) else 0
        self.steps = batches // recipe.accumulate * recipe.accumulate
        if not self.steps:
            raise ValueError(
                f"{data.name} has {batches} batches of {self.batch_size}, fewer than accumulate "
                f"{recipe.accumulate}: lower batch_size or accumulate"
            )
        self.cache_bytes = cache_bytes or max(CACHE, 8 * self.batch_size * IMAGE)

    def stream(self, epoch: int, skip: int = 0, endless: bool = False):
        """A `tf.data.Dataset` of epochs from the given one on.

        Args:
            epoch: int, counted from 0.
            skip: int, batches that are left out of each; for the rest of an epoch, in one pass.
            endless: bool, one stream of all epochs, each iterator over which begins with the given
                one. For engines that begin passes which nobody sees the end of.
        """
        recipe = self._recipe
        options: dict[str, Any] = {
            "augment": TopdownAugment() if recipe.augmentation is None else recipe.augment(),
            "shuffle": recipe.shuffle,
            "seed": recipe.seed or 0,
            "first_epoch": epoch,
            "drop_remainder": self._full,
            "repeat": endless,
        }
        arguments = self.data, self._estimator, self.batch_size, True
        if isinstance(self.data, PreparedShards):
            batches = prepared_dataset(*arguments, **options).skip(skip)
        else:
            options |= {"cache_bytes": self.cache_bytes, "skip_batches": skip}
            batches = topdown_dataset(*arguments, **options)
        return batches if endless else batches.take(self.steps - skip)

    def images(self, epoch: int, batch: int) -> list[str]:
        """The image files of a batch, where they are at hand (shards hold none)."""
        if isinstance(self.data, PreparedShards):
            return []
        seed = self._recipe.seed or 0
        crops = TopdownCrops(self.data, (1, 1), seed=seed, cache_bytes=self.cache_bytes)
        rows = crops.rows(epoch, self._recipe.shuffle, self.batch_size)
        rows = rows[batch * self.batch_size :][: self.batch_size] % len(self.data)
        return [str(path) for path in self.data.image_paths[rows]]
