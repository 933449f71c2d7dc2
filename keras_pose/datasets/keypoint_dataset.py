"""KeypointDataset: labelled objects as parallel arrays, whatever file they came from."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.readers.coco import read_coco
from keras_pose.datasets.readers.detections import read_detections
from keras_pose.geometry import xyxy_to_xywh
from keras_pose.skeleton import Skeleton


class KeypointDataset:
    """Labelled objects (usually people) as parallel arrays, one row an object.

    Readers of file formats return this constructor's arguments as a dict; nothing after them knows
    where the data came from. All coordinates are image pixels.

    Args:
        skeleton: Skeleton, name, path or dict; `K` keypoints.
        image_paths: `M` paths, the image of every object.
        image_ids: ints `(M,)`.
        image_sizes: ints `(M, 2)`, width and height.
        boxes: floats `(M, 4)`, xyxy, with area.
        keypoints: floats `(M, K, 2)`; what is not labelled may be NaN and becomes 0.
        visible: floats `(M, K)`: 0 not labelled, 1 labelled (seen or hidden), a loss weight.
        areas: floats `(M,)`, square pixels. Default: 0.53 of the box's, at least 1.
        ids: ints `(M,)`, unique. Default: 1, 2, ... (COCO evaluators ignore matches with id 0).
        iscrowd: bools `(M,)`: groups that count as one. Default: none.
        num_keypoints: ints `(M,)`. Default: the number of visible keypoints.
        name: str, for messages and reports.
        annotations: optional dict in COCO form, the ground truth for evaluation: all objects of the
            images, also those that are not in the arrays. Default: made of the arrays.
        category_ids: ints `(M,)`. Default: ones.
        box_scores: floats `(M,)`, how sure a detector was of each box. Default: ones.
        extras: dict of further columns, arrays `(M, ...)` that slicing carries along. Readers use
            the names `keypoints_3d` `(M, K, 3)`, `hand_type` `(M, 2)`, `head_sizes` `(M,)` in
            pixels, `box_sizes` `(M,)` in pixels, and `crowd_index` `(M,)`.
        images: ImageTable, or a dict of its arguments: all images, also those without objects.
            Default: those of the objects.
        ignored: dict from image id to a list of regions of that image, each a flat list of a
            polygon's corners (x, y, x, y, ...) or a COCO run-length dict: objects that are nobody's
            target (crowds, people without labels), for masks in bottom-up training. Default: none.

    Attributes:
        The arguments, as arrays: `image_paths` of str, floats as float32, ids as int64.

    Example:
        >>> people = KeypointDataset.from_coco("person_keypoints_val2017.json", images="val2017")
        >>> len(people), people.keypoints.shape
        (6352, (6352, 17, 2))
        >>> tall = people[people.boxes[:, 3] - people.boxes[:, 1] > 100]
    """

    FIELDS = {
        "image_ids": ((), np.int64),
        "image_sizes": ((2,), np.int32),
        "boxes": ((4,), np.float32),
        "keypoints": (("K", 2), np.float32),
        "visible": (("K",), np.float32),
        "areas": ((), np.float32),
        "ids": ((), np.int64),
        "iscrowd": ((), np.bool_),
        "num_keypoints": ((), np.int32),
        "category_ids": ((), np.int64),
        "box_scores": ((), np.float32),
    }

    def __init__(
        self,
        skeleton: Skeleton | str | os.PathLike | Mapping,
        image_paths,
        image_ids,
        image_sizes,
        boxes,
        keypoints,
        visible,
        areas=None,
        ids=None,
        iscrowd=None,
        num_keypoints=None,
        name: str = "keypoints",
        annotations: Mapping[str, Any] | None = None,
        category_ids=None,
        box_scores=None,
        extras: Mapping[str, Any] | None = None,
        images: ImageTable | Mapping[str, Any] | None = None,
        ignored: Mapping[int, list] | None = None,
    ):
        self.name = name
        self.skeleton = Skeleton.resolve(skeleton)
        self.image_paths = np.array([os.fspath(path) for path in image_paths], dtype=object)
        given = dict(
            image_ids=image_ids,
            image_sizes=image_sizes,
            boxes=boxes,
            keypoints=keypoints,
            visible=visible,
            areas=areas,
            ids=ids,
            iscrowd=iscrowd,
            num_keypoints=num_keypoints,
            category_ids=category_ids,
            box_scores=box_scores,
        )
        for field in ("image_ids", "image_sizes", "boxes", "keypoints", "visible"):
            self._set(field, given.pop(field))
        labelled = self.visible > 0
        if not np.isfinite(self.keypoints[labelled]).all():
            row = np.argmax((~np.isfinite(self.keypoints).all(-1) & labelled).any(-1))
            raise ValueError(
                f"{name}: object {row} has a visible keypoint whose position is no number"
            )
        self.keypoints = np.nan_to_num(self.keypoints, nan=0.0, posinf=0.0, neginf=0.0)
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        if not (sides > 0).all():  # also catches NaN
            row = int(np.argmin((sides > 0).all(-1)))
            raise ValueError(f"{name}: box {row} is empty, got xyxy {self.boxes[row].tolist()}")
        defaults = dict(
            areas=np.maximum(1.0, 0.53 * sides.prod(axis=-1)),
            ids=np.arange(1, len(self) + 1),
            iscrowd=np.zeros(len(self), bool),
            num_keypoints=labelled.sum(axis=-1),
            category_ids=np.ones(len(self), np.int64),
            box_scores=np.ones(len(self)),
        )
        for field, value in given.items():
            self._set(field, defaults[field] if value is None else value)
        if len(np.unique(self.ids)) != len(self):
            raise ValueError(f"{name}: ids must be unique, some occur twice")
        self._annotations = annotations
        self.extras = {key: self._extra(key, value) for key, value in (extras or {}).items()}
        if images is None:
            images = ImageTable.of_rows(self.image_paths, self.image_ids, self.image_sizes)
        self.images = images if isinstance(images, ImageTable) else ImageTable(**images)
        strays = self.image_ids[self.images.rows(self.image_ids) < 0]
        if len(strays):
            raise ValueError(f"{name}: image {strays[0]} of an object is not among `images`")
        self.ignored = dict(ignored or {})

    @classmethod
    def from_coco(
        cls,
        annotations: str | os.PathLike | Mapping[str, Any],
        images: str | os.PathLike,
        skeleton: Skeleton | str | os.PathLike | Mapping | None = None,
        category: str | int | None = None,
        drop_unlabelled: bool = True,
        name: str | None = None,
        skip_bad_boxes: bool = False,
    ) -> "KeypointDataset":
        """Reads a COCO keypoint file.

        Args:
            annotations: path of the JSON file, or its content.
            images: folder that `file_name` of the images is relative to.
            skeleton: Skeleton, name, path or dict. Default: made of the file's `categories` (the
                package's "coco" where these are its 17 keypoints).
            category: name or id of the objects that are read. Default: all that have keypoints.
            drop_unlabelled: bool, leave out crowds and objects without any labelled keypoint, as
                for training and for tests with ground-truth boxes. Objects without a box, and
                boxes that are empty inside the image, are always left out.
            name: str. Default: the file's name.
            skip_bad_boxes: bool, leave out objects whose boxes have negative sides or are no
                numbers, with a warning, rather than refuse the file.

        Raises:
            FileNotFoundError: for a missing file or folder.
            ValueError: for a file that is not what it should be; the message says which entry.
        """
        return cls(
            **read_coco(
                annotations,
                images,
                skeleton,
                category,
                drop_unlabelled,
                name,
                skip_bad_boxes=skip_bad_boxes,
            )
        )

    @property
    def annotations(self) -> dict[str, Any]:
        """Ground truth of the images in COCO form, for evaluation."""
        if self._annotations is None:
            self._annotations = self._to_coco()
        return self._annotations

    def __len__(self) -> int:
        return len(self.image_paths)

    def __getitem__(self, which) -> "KeypointDataset | dict[str, Any]":
        """One object as a dict (for an int), or a part of the data set (see `subset`)."""
        if isinstance(which, int | np.integer):
            columns = {field: getattr(self, field) for field in self.FIELDS} | self.extras
            row = {name: column[which] for name, column in columns.items()}
            return {"image_path": self.image_paths[which], **row}
        return self.subset(which)

    def subset(self, which) -> "KeypointDataset":
        """Some of the objects.

        Args:
            which: slice, boolean mask `(M,)` or indices.

        Returns:
            A KeypointDataset; its `images` are those of the objects that remain, its `annotations`
            keep all objects of these images.
        """
        which = np.arange(len(self))[which]
        kept = np.isin(self.images.ids, self.image_ids[which])
        return self._part(which, self.images[kept])

    def of_images(self, which) -> "KeypointDataset":
        """The objects of some of the images; images without objects stay.

        Args:
            which: slice, boolean mask `(I,)` or indices of `images`.

        Returns:
            A KeypointDataset of these images, objects in this one's order.
        """
        images = self.images[which]
        return self._part(np.flatnonzero(images.rows(self.image_ids) >= 0), images)

    def split(self, share: float, seed: int = 0) -> tuple["KeypointDataset", "KeypointDataset"]:
        """Draws a share of the images that have objects, to judge on.

        Frames of one film resemble each other: what was learnt on some is judged too well on
        others. Choose such images yourself, `of_images`.

        Args:
            share: float in 0..1, of the images; at least one, and one stays.
            seed: int; the same images for the same seed.

        Returns:
            The data set without the images that were drawn, and that of them; the latter's name
            says the share.

        Raises:
            ValueError: for a share that is not between 0 and 1, or fewer than two images.
        """
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {share!r}")
        rows = np.unique(self.images.rows(self.image_ids))
        if len(rows) < 2:
            raise ValueError(f"{self.name} has {len(rows)} images with objects, too few to split")
        count = int(np.clip(round(share * len(rows)), 1, len(rows) - 1))
        chosen = np.random.default_rng(seed).permutation(rows)[:count]
        held_out = self.of_images(np.sort(chosen))
        held_out.name = f"{self.name} ({count} of {len(rows)} images, drawn with seed {seed})"
        return self.of_images(~np.isin(np.arange(len(self.images.ids)), chosen)), held_out

    def by_image(self) -> list[np.ndarray]:
        """The rows of every image's objects, as bottom-up training needs them.

        Returns:
            For each image of `images`, in that order, an int64 array of its rows; empty for an
            image without objects.
        """
        rows = self.images.rows(self.image_ids)
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(1, len(self.images)))
        return np.split(order, starts)[: len(self.images)]

    def with_detections(
        self,
        detections: str | os.PathLike | list,
        score_threshold: float = 0.0,
        category: int | None = 1,
    ) -> "KeypointDataset":
        """The same images with a detector's boxes as objects, for tests as the papers make them.

        Args:
            detections: path of a COCO result file, a JSON list of `{"image_id", "category_id",
                "bbox": [x, y, width, height], "score"}`, or its content.
            score_threshold: float, keep boxes with at least this score. Default 0: all.
            category: int, keep boxes of this category. Default 1, COCO's person; `None`: all.

        Returns:
            A KeypointDataset in the order of the file: boxes as they are, not clipped;
            `box_scores`; ids that count all boxes of the category from 1; no keypoints (zeros, all
            `visible`, so that they count in a test). `images`, `annotations` and `ignored` are this
            one's. Boxes of images that this one does not have, and boxes without area, are left
            out with a warning.

        Raises:
            FileNotFoundError: for a missing file.
            ValueError: for a file that is not what it should be, or if no box remains.
        """
        found = read_detections(detections, self.images, score_threshold, category, self.name)
        at = self.images.rows(found["image_ids"])
        points = (len(at), self.skeleton.num_keypoints)
        return KeypointDataset(
            self.skeleton,
            self.images.paths[at],
            image_sizes=self.images.sizes[at],
            keypoints=np.zeros((*points, 2)),
            visible=np.ones(points),
            **found,
            name=self.name,
            annotations=self.annotations,
            images=self.images,
            ignored=self.ignored,
        )

    def check_images(self, without_objects: bool = False) -> None:
        """Raises FileNotFoundError if images are missing: how many, and one of them.

        Args:
            without_objects: bool, look for images without objects too. Default off.
        """
        paths = dict.fromkeys(self.images.paths if without_objects else self.image_paths)
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f"{self.name}: {len(missing)} of {len(paths)} images are missing, "
                f"for example {missing[0]}: say in which folder they are"
            )

    def __repr__(self) -> str:
        return (
            f"KeypointDataset({self.name!r}, {len(self)} objects in "
            f"{len(set(self.image_paths))} images, skeleton {self.skeleton.name!r})"
        )

    def _set(self, field: str, value) -> None:
        shape, dtype = self.FIELDS[field]
        shape = (len(self), *(self.skeleton.num_keypoints if s == "K" else s for s in shape))
        try:
            array = np.array(value, dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: {field} must be numbers, {error}") from None
        if array.shape != shape:
            if not array.size and not len(self):
                array = array.reshape(shape)
            else:
                raise ValueError(
                    f"{self.name}: {field} must have shape {shape} ({len(self)} objects, "
                    f"{self.skeleton.num_keypoints} keypoints), got {array.shape}"
                )
        setattr(self, field, array)

    def _extra(self, key: str, value) -> np.ndarray:
        value = np.array(value)
        if key in (*self.FIELDS, "image_path") or value.ndim < 1 or len(value) != len(self):
            raise ValueError(
                f"{self.name}: extra column {key!r} must have a name of its own and {len(self)} "
                f"rows, got shape {value.shape}"
            )
        return value

    def _part(self, rows: np.ndarray, images: ImageTable) -> "KeypointDataset":
        kept = set(images.ids.tolist())
        annotations = self._annotations
        if annotations is not None:
            annotations = {
                **annotations,
                "images": [i for i in annotations["images"] if i["id"] in kept],
                "annotations": [a for a in annotations["annotations"] if a["image_id"] in kept],
            }
        return KeypointDataset(
            self.skeleton,
            self.image_paths[rows],
            **{field: getattr(self, field)[rows] for field in self.FIELDS},
            name=self.name,
            annotations=annotations,
            extras={key: value[rows] for key, value in self.extras.items()},
            images=images,
            ignored={image: regions for image, regions in self.ignored.items() if image in kept},
        )

    def _to_coco(self) -> dict[str, Any]:
        table, annotations = self.images, []
        columns = (table.ids.tolist(), table.paths, table.sizes.tolist())
        images = [
            {"id": number, "file_name": path, "width": width, "height": height}
            for number, path, (width, height) in zip(*columns, strict=True)
        ]
        boxes = xyxy_to_xywh(self.boxes)
        for i in range(len(self)):
            # 2 is "labelled and seen"; whether a point is hidden is not kept
            points = np.column_stack([self.keypoints[i], 2.0 * (self.visible[i] > 0)])
            annotations.append(
                {
                    "id": int(self.ids[i]),
                    "image_id": int(self.image_ids[i]),
                    "category_id": int(self.category_ids[i]),
                    "bbox": boxes[i].tolist(),
                    "keypoints": points.ravel().tolist(),
                    "num_keypoints": int(self.num_keypoints[i]),
                    "area": float(self.areas[i]),
                    "iscrowd": int(self.iscrowd[i]),
                }
            )
        names = list(self.skeleton.keypoints)
        links = (self.skeleton.links + 1).tolist()
        categories = [
            {"id": number, "name": "object", "keypoints": names, "skeleton": links}
            for number in (np.unique(self.category_ids).tolist() or [1])
        ]
        return {"images": images, "annotations": annotations, "categories": categories}
