"""Images of a KeypointDataset with all their objects, as batches: NumPy and OpenCV only."""

from functools import cached_property
from typing import Any

import numpy as np

from keras_pose.datasets.batch_resize import pad_images
from keras_pose.datasets.damaged import DamagedImages
from keras_pose.datasets.image_cache import ImageCache
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.readers.categories import check_same_keypoints
from keras_pose.datasets.transforms.bottomup import BottomupAugment
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.datasets.transforms.regions import draw_regions
from keras_pose.datasets.transforms.scene import Scene, SceneContext, corners_of, select
from keras_pose.datasets.transforms.scene_resize import fit_scene
from keras_pose.datasets.transforms.schedule import AugmentSchedule, augment_at
from keras_pose.skeleton import Skeleton


class UnreadableImage(Exception):
    """An image that a scene is made of cannot be read; `row` says which."""

    def __init__(self, row: int):
        super().__init__(row)
        self.row = row


class BottomupScenes:
    """Makes inputs and labels of a data set's images, for training or evaluation.

    Every one depends only on `(seed, epoch, row)`: whoever makes it, in whatever batch and order,
    gets the same pixels.

    Args:
        dataset: KeypointDataset.
        input_size: (width, height) of the input.
        skeleton: Skeleton of the model; it must have the data set's keypoints. Default: the data
            set's.
        augment: BottomupAugment, AugmentSchedule of them or None (default: images are resized).
        resize_mode, size_factor, udp: how images are resized where nothing else does, see
            `keras_pose.geometry.fitting.fit_affine`.
        fill: grey level, or one a channel, around images that are resized.
        max_objects: int, `N` of the labels. Of more, the largest are kept.
        masks: int or None (default), pixels of the input that one of the mask has, to each side.
        mask_outside: bool, whether the mask lets count what no image covers. Default off.
        seed: int, not negative.
        cache_bytes: int, memory for decoded images.
        damaged: DamagedImages, told of images that cannot be read or have another size than the
            annotations say; they become empty scenes. Default None: such images are errors.
    """

    def __init__(
        self,
        dataset: KeypointDataset,
        input_size: tuple[int, int],
        skeleton: Skeleton | None = None,
        augment: BottomupAugment | AugmentSchedule | None = None,
        resize_mode: str = "fit",
        size_factor: int = 32,
        udp: bool = False,
        fill: float | tuple[float, ...] = 0,
        max_objects: int = 30,
        masks: int | None = None,
        mask_outside: bool = False,
        seed: int = 0,
        cache_bytes: int = 256 * 2**20,
        damaged: DamagedImages | None = None,
    ):
        self.dataset = dataset
        self.input_size = (int(input_size[0]), int(input_size[1]))
        self.skeleton = dataset.skeleton if skeleton is None else skeleton
        check_same_keypoints(
            self.skeleton.keypoints, "the model", dataset.skeleton.keypoints, dataset.name
        )
        self.augment = augment
        self.resize_mode = resize_mode
        self.size_factor = size_factor
        self.udp = udp
        self.fill = fill
        self.max_objects = max_objects
        self.masks = masks
        self.mask_outside = mask_outside
        self.seed = seed
        self.damaged = damaged
        self.cache = ImageCache(cache_bytes)
        self._objects = dataset.by_image()

    def __len__(self) -> int:
        return len(self.dataset.images)

    @property
    def same_size(self) -> bool:
        """Whether all inputs have the size `input_size`."""
        return self.augment is not None or self.resize_mode == "fit"

    def scene(self, row: int) -> Scene:
        """An image of the data set with its objects, not read yet.

        Args:
            row: int, row of `dataset.images`.
        """
        data, objects = self.dataset, self._objects[row]
        size = tuple(data.images.sizes[row].tolist())
        if not all(size):  # the file does not say it
            size = self._read(row).shape[1::-1]
        regions = data.ignored.get(int(data.images.ids[row]))
        return Scene(
            size=size,
            corners=corners_of(data.boxes[objects]),
            keypoints=data.keypoints[objects],
            visible=data.visible[objects],
            areas=data.areas[objects],
            ids=data.ids[objects],
            category_ids=data.category_ids[objects],
            flip_indices=self.skeleton.flip_indices,
            read=lambda: self._read(row),
            source_size=size,
            read_ignored=(lambda: draw_regions(regions, size)) if regions else None,
        )

    def sample(self, row: int, epoch: int = 0) -> tuple[np.ndarray, Scene]:
        """An image as the network gets it.

        Args:
            row: int, row of `dataset.images`.
            epoch: int, not negative; every epoch draws its own augmentation.

        Returns:
            uint8 `(height, width, 3)` and the Scene, in pixels of the input.

        Raises:
            FileNotFoundError, ValueError: an image cannot be read and there is no `damaged`.
            DamagedImagesError: too many cannot be read.
        """
        damaged: dict[int, Exception] = {}
        while True:  # once more, without the objects of an image that cannot be read
            try:
                return self._make(row, epoch, damaged)
            except UnreadableImage as unreadable:
                error = unreadable.__cause__
                if self.damaged is None:
                    raise error from None
                self.damaged.add(epoch, self.dataset.images.paths[unreadable.row], error)
                damaged[unreadable.row] = error

    def batch(
        self, rows: np.ndarray, epoch: int = 0, evaluation: bool = True
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A batch of images.

        Args:
            rows: ints `(B,)`, rows of `dataset.images`.
            epoch: int, not negative.
            evaluation: bool, add what only evaluation reads.

        Returns:
            uint8 `(B, height, width, 3)` and a dict, all in pixels of the input: float32
            `keypoints` `(B, N, K, 2)`, `visible` `(B, N, K)`, `boxes` `(B, N, 4)` xyxy, `areas`
            `(B, N)`; int32 `categories` `(B, N)`; `objects` `(B, N)`, 1 for objects and 0 for what
            fills up; float32 `affine` `(B, 2, 3)`, input to image; with `masks` also uint8 `masks`
            `(B, height / masks, width / masks)`, 1 where a loss counts. For evaluation int64 `ids`
            `(B, N)` of the objects, 0 for what fills up, and `image_ids` `(B,)`.
        """
        rows = np.asarray(rows)
        images, scenes = zip(*(self.sample(int(row), epoch) for row in rows), strict=True)
        labels = {
            key: np.zeros((len(rows), *shape[1:]), dtype)
            for key, (shape, dtype) in self.label_shapes(evaluation).items()
            if key != "masks"
        }
        for position, scene in enumerate(map(self._largest, scenes)):
            count = len(scene)
            for key, values in {
                "keypoints": scene.keypoints,
                "visible": scene.visible,
                "boxes": scene.boxes,
                "areas": scene.areas,
                "categories": scene.category_ids,
                "objects": 1,
                "ids": scene.ids,
            }.items():
                if key in labels:
                    labels[key][position, :count] = values
            labels["affine"][position] = scene.affine
        if evaluation:
            labels["image_ids"][:] = self.dataset.images.ids[rows]
        if self.masks:
            masks = [self._mask(scene)[..., None] for scene in scenes]
            labels["masks"] = pad_images(masks, fill=int(self.mask_outside))[..., 0]
            if not getattr(augment_at(self.augment, epoch), "masked", True):
                labels["masks"][:] = 1
        return pad_images(images, fill=self.fill), labels

    def label_shapes(self, evaluation: bool = True) -> dict[str, tuple[tuple, Any]]:
        """Shape (None where it varies) and dtype of every label of `batch`."""
        count, keypoints = self.max_objects, self.skeleton.num_keypoints
        shapes = {
            "keypoints": ((None, count, keypoints, 2), np.float32),
            "visible": ((None, count, keypoints), np.float32),
            "boxes": ((None, count, 4), np.float32),
            "areas": ((None, count), np.float32),
            "categories": ((None, count), np.int32),
            "objects": ((None, count), np.float32),
            "affine": ((None, 2, 3), np.float32),
        }
        if self.masks:
            width, height = (
                (side // self.masks if self.same_size else None) for side in self.input_size
            )
            shapes["masks"] = ((None, height, width), np.uint8)
        if evaluation:
            shapes["ids"] = ((None, count), np.int64)
            shapes["image_ids"] = ((None,), np.int64)
        return shapes

    def rows(self, epoch: int = 0, shuffle: bool = False, empty: bool = True) -> np.ndarray:
        """Rows of the images in the order of an epoch.

        Args:
            epoch: int, not negative.
            shuffle: bool. Default off: the data set's order.
            empty: bool, also images without objects. Default on.

        Returns:
            int64 `(I,)`.
        """
        rows = np.arange(len(self))
        if not empty:
            rows = rows[[len(objects) > 0 for objects in self._objects]]
        if shuffle:
            rows = rows[np.argsort(Draws(self.seed, epoch, rows).uniform("order"))]
        return rows

    def _make(self, row: int, epoch: int, damaged: dict) -> tuple[np.ndarray, Scene]:
        scene = self._scene(row, damaged)
        augment = augment_at(self.augment, epoch)
        rng = Draws(self.seed, epoch, [row]).generator("scene", 0)
        if augment is not None:
            partners = self._partners
            context = SceneContext(
                self.input_size,
                lambda rng: self._scene(int(partners[rng.integers(len(partners))]), damaged),
            )
            scene = augment(scene, rng, context)
        if augment is None or scene.size != self.input_size:
            mode = self.resize_mode if self.augment is None else "fit"
            factor = self.size_factor if mode == "expand" else 1
            scene = fit_scene(scene, self.input_size, mode, factor, self.udp, self.fill)
        image = scene.image()
        for change in augment.pixels if augment is not None else ():
            image = change(image, rng)
        return image, scene

    @cached_property
    def _partners(self) -> np.ndarray:
        """Rows that mosaics and mixtures draw from: images with objects."""
        return self.rows(empty=False)

    def _scene(self, row: int, damaged: dict) -> Scene:
        """The scene of a row; of one that cannot be read, an empty one of the input's size."""
        if row not in damaged:
            return self.scene(row)
        width, height = self.input_size
        blank = np.empty((height, width, 3), np.uint8)
        blank[:] = self.fill
        count = self.skeleton.num_keypoints
        return Scene(
            size=self.input_size,
            corners=np.zeros((0, 4, 2), np.float32),
            keypoints=np.zeros((0, count, 2), np.float32),
            visible=np.zeros((0, count), np.float32),
            areas=np.zeros(0, np.float32),
            ids=np.zeros(0, np.int64),
            category_ids=np.zeros(0, np.int64),
            flip_indices=self.skeleton.flip_indices,
            read=lambda: blank,
            source_size=self.input_size,
        )

    def _read(self, row: int) -> np.ndarray:
        images = self.dataset.images
        path, size = images.paths[row], images.sizes[row]
        try:
            image = self.cache.read(path)
            if all(size) and image.shape[1::-1] != tuple(size):
                raise ValueError(
                    f"{path} has {image.shape[1]}x{image.shape[0]} pixels (upright), "
                    f"the annotations of {self.dataset.name} say {size[0]}x{size[1]}"
                )
        except (OSError, ValueError) as error:
            raise UnreadableImage(row) from error
        return image

    def _largest(self, scene: Scene) -> Scene:
        if len(scene) <= self.max_objects:
            return scene
        return select(scene, np.sort(np.argsort(-scene.areas, kind="stable")[: self.max_objects]))

    def _mask(self, scene: Scene) -> np.ndarray:
        width, height = scene.size
        return scene.mask((width // self.masks, height // self.masks), self.mask_outside)
