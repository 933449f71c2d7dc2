"""The batches of a training: how many, from where on, and of which images."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets import (
    KeypointDataset,
    PoseSequences,
    PreparedShards,
    bottomup_dataset,
    frames_dataset,
    lifting_dataset,
    load,
    prepared_dataset,
    sliding_windows,
    topdown_dataset,
    walking_sequences,
)
from keras_pose.datasets.batches import count_batches
from keras_pose.datasets.bottomup_scenes import BottomupScenes
from keras_pose.datasets.pipeline import CACHE, IMAGE
from keras_pose.datasets.readers.categories import check_same_keypoints
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.datasets.transforms import AugmentSchedule, BottomupAugment, TopdownAugment
from keras_pose.datasets.transforms.lifting import RandomPoseFlip
from keras_pose.estimators import BottomupEstimator, PoseLifter
from keras_pose.layers import symbolic
from keras_pose.skeleton import Skeleton
from keras_pose.training.recipe import Recipe

Data = KeypointDataset | PreparedShards | PoseSequences
# The data set that is made of formulas.
WALKING = "walking"
# Pixels of the input that one of a mask has, where a network does not say it.
_MASK = 4


def read_data(settings: Mapping[str, Any], skeleton: Any = None) -> Data:
    """The data that `train` or `val` of a job names.

    Raises:
        ValueError: for keypoints that are not the skeleton's, or data without a labelled object.
        FileNotFoundError: if images are missing.
    """
    data = _read(settings, skeleton)
    if isinstance(data, KeypointDataset):
        if not len(data):
            raise ValueError(
                f"{data.name} has no object that can be learnt or judged: each needs a bbox with "
                "sides above 0 and a keypoint with v > 0; see keras-pose check"
            )
        data.check_images()
    return data


def shared_images(train: Data, val: Data) -> str | None:
    """A sentence about images that are both learnt and judged on, None if there are no such."""
    if not isinstance(train, KeypointDataset) or not isinstance(val, KeypointDataset):
        return None
    judged = set(val.image_paths)
    both = judged & set(train.image_paths)
    if not both:
        return None
    return (
        f"{len(both)} of the {len(judged)} images of {val.name} are learnt, too: what is measured "
        "on them says nothing about other images"
    )


def _read(settings: Mapping[str, Any], skeleton: Any) -> Data:
    if "dataset" in settings:
        return _read_known(dict(settings), skeleton)
    if "annotations" in settings:
        file = Path(settings["annotations"])
        return KeypointDataset.from_coco(file, settings.get("images") or file.parent, skeleton)
    shards = PreparedShards(settings["shards"])
    if skeleton is not None:
        wanted = Skeleton.resolve(skeleton)
        check_same_keypoints(wanted.keypoints, wanted.name, shards.skeleton.keypoints, shards.name)
    return shards


def val_settings(train: Mapping[str, Any], val: Mapping[str, Any]) -> dict[str, Any]:
    """`val` of a job with the data set of `train` and the arguments of its reader."""
    if "dataset" not in train or "dataset" in val:
        return dict(val)
    own = ("annotations", "images", "shards")
    return {**{key: value for key, value in train.items() if key not in own}, **val}


def _read_known(settings: dict[str, Any], skeleton: Any) -> KeypointDataset | PoseSequences:
    name = settings.pop("dataset")
    if name == WALKING:
        try:
            return walking_sequences(**settings)
        except TypeError as error:
            raise ValueError(f"data set {WALKING!r} has other settings: {error}") from None
    file = settings.pop("annotations")
    images = settings.pop("images", None) or Path(file).parent
    return load(name, file, images, skeleton, **settings)


def fitting(data: Data, estimator: Any, training: bool = False) -> Data:
    """Data as an estimator takes them: films in its windows, or as pictures.

    Windows are those of MMPose's configs: as long as the network reads, one for every frame; of
    networks that put out all frames, windows that do not overlap, in training by two thirds.

    Raises:
        ValueError: for data of another kind.
    """
    if not isinstance(estimator, PoseLifter):
        return frames_dataset(data, estimator.skeleton) if isinstance(data, PoseSequences) else data
    if not isinstance(data, PoseSequences):
        raise ValueError(
            f"a PoseLifter learns films of 2D and 3D poses, {data.name} has images: name a data "
            f"set of films, such as train.dataset=h36m or {WALKING}"
        )
    films = data.windows
    videos = np.zeros(data.num_frames, np.int64)
    videos[films.order[films.anchors]] = films.first
    frames = estimator.frames
    if estimator.output_frames == frames > 1:
        step = max(1, frames // 3) if training else frames
        windows = {"multiple_target": frames, "multiple_target_step": step}
    else:
        causal = bool(getattr(estimator.backbone, "causal", False))
        windows = {"seq_len": frames, "causal": causal, "pad_video_seq": frames > 1}
    made = data.with_windows(sliding_windows(videos.tolist(), **windows))
    if not len(made):
        raise ValueError(
            f"no film of {data.name} has the {frames} frames that the network reads: "
            f"the longest has {np.bincount(videos).max() if len(videos) else 0}"
        )
    return made


class TrainingBatches:
    """What an estimator learns in which order; the same in every run.

    An epoch has whole steps only: objects that fill no batch and batches that fill no step are left
    out, other ones in every epoch. This one makes crops; `batches_of` finds the one for a model.

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
        unit: str, what is learnt.

    Raises:
        ValueError: for data that do not fill a step, or an augmentation of something else.
    """

    unit = "objects"
    augmentation: type = TopdownAugment
    # How a recipe describes it.
    described = "flip, half_body, jitter and pixels"

    def __init__(
        self,
        data: Data,
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
        total = self.count
        self.batch_size = min(size, total)
        self._full = total >= size
        batches = count_batches(total, self.batch_size, self._full) if total else 0
        self.steps = batches // recipe.accumulate * recipe.accumulate
        if not self.steps:
            raise ValueError(
                f"{data.name} has {batches} batches of {self.batch_size}, fewer than accumulate "
                f"{recipe.accumulate}: lower batch_size or accumulate"
            )
        self.cache_bytes = cache_bytes or max(CACHE, 8 * self.batch_size * IMAGE)
        self._augment = self._checked_augment()

    @property
    def count(self) -> int:
        """How much of what `unit` says is learnt."""
        return len(self.data)

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
            "augment": self._augment,
            "shuffle": recipe.shuffle,
            "seed": recipe.seed or 0,
            "first_epoch": epoch,
            "drop_remainder": self._full,
            "repeat": endless,
        }
        batches = self._make(options, skip)
        return batches if endless else batches.take(self.steps - skip)

    def images(self, epoch: int, batch: int) -> list[str]:
        """The image files of a batch, where they are at hand (shards hold none)."""
        if isinstance(self.data, PreparedShards):
            return []
        seed = self._recipe.seed or 0
        crops = TopdownCrops(self.data, (1, 1), seed=seed, cache_bytes=self.cache_bytes)
        rows = crops.rows(epoch, self._recipe.shuffle, self.batch_size)
        return [str(path) for path in self.data.image_paths[self._of_batch(rows, batch)]]

    def _make(self, options: dict[str, Any], skip: int):
        arguments = self.data, self._estimator, self.batch_size, True
        if isinstance(self.data, PreparedShards):
            return prepared_dataset(*arguments, **options).skip(skip)
        options |= {"cache_bytes": self.cache_bytes, "skip_batches": skip}
        return topdown_dataset(*arguments, **options)

    def _of_batch(self, rows: np.ndarray, batch: int) -> np.ndarray:
        return rows[batch * self.batch_size :][: self.batch_size] % len(self.data)

    def _checked_augment(self):
        augment = self._recipe.augment()
        if augment is None:
            return self._default_augment()
        stages = [augment]
        if isinstance(augment, AugmentSchedule):
            stages = [augment.first, *augment.later.values()]
        for stage in stages:
            if not isinstance(stage, self.augmentation):
                raise ValueError(
                    f"the recipe's augmentation is a {type(stage).__name__}, a "
                    f"{type(self._estimator).__name__} needs a {self.augmentation.__name__}: "
                    f"describe it by {self.described}, or take a recipe of such a model"
                )
        return augment

    def _default_augment(self):
        return self.augmentation()


class BottomupBatches(TrainingBatches):
    """Whole images with all their objects, for bottom-up and one-stage networks."""

    unit = "images"
    augmentation = BottomupAugment
    described = "scene and pixels"

    def __init__(self, data, recipe, estimator, cache_bytes=None):
        if isinstance(data, PreparedShards):
            raise ValueError(
                f"{data.name} holds crops of objects, a {type(estimator).__name__} learns whole "
                "images: give train.annotations"
            )
        super().__init__(data, recipe, estimator, cache_bytes)

    @cached_property
    def count(self) -> int:
        return sum(len(objects) > 0 for objects in self.data.by_image())

    def images(self, epoch: int, batch: int) -> list[str]:
        """The images of a batch, without those that mosaics and mixtures add."""
        scenes = BottomupScenes(self.data, (1, 1), seed=self._recipe.seed or 0)
        rows = scenes.rows(epoch, self._recipe.shuffle, empty=False)
        rows = rows[batch * self.batch_size :][: self.batch_size]
        return [str(self.data.images.paths[row]) for row in rows]

    def _make(self, options: dict[str, Any], skip: int):
        options |= _masks(self._estimator)
        resize = self._recipe.batch_resize()
        batches = bottomup_dataset(
            self.data,
            self._estimator,
            self.batch_size,
            True,
            **options,
            resize=resize,
            cache_bytes=self.cache_bytes,
        )
        return batches.skip(skip)


class LiftingBatches(TrainingBatches):
    """Windows of films of poses."""

    unit = "windows"
    augmentation = RandomPoseFlip
    described = "pose_flip"

    def images(self, epoch: int, batch: int) -> Sequence[str]:
        """The images of the frames that a batch finds, as far as the films have images."""
        rows = np.arange(len(self.data))
        if self._recipe.shuffle:
            rows = self.data.shuffled(epoch, self._recipe.seed or 0)
        targets = self.data.windows.targets(self._of_batch(rows, batch))[:, 0]
        return [str(path) for path in self.data.image_paths[targets] if path]

    def _make(self, options: dict[str, Any], skip: int):
        return lifting_dataset(self.data, self.batch_size, True, **options).skip(skip)

    def _default_augment(self):
        return None


def batches_of(estimator: Any) -> type[TrainingBatches]:
    """The class of an estimator's batches."""
    kinds = ((BottomupEstimator, BottomupBatches), (PoseLifter, LiftingBatches))
    return next((made for kind, made in kinds if isinstance(estimator, kind)), TrainingBatches)


def _masks(estimator: BottomupEstimator) -> dict[str, Any]:
    """Settings of the masks that a codec reads.

    Networks with maps need masks of their size. One-stage networks read them where they stand, and
    let count what no image covers.
    """
    codec = estimator.head.codec
    if "masks" in codec.label_keys:
        width, height = estimator.input_size
        maps = estimator(symbolic((None, height, width, 3), "uint8"))["heatmaps"]
        return {"masks": width // maps.shape[2]}
    if "masks" in codec.optional_label_keys:
        return {"masks": _MASK, "mask_outside": True}
    return {}
