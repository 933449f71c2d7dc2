"""KeypointDataset: labelled objects as parallel arrays, whatever file they came from."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_pose.datasets.coco import read_coco
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
        )
        for field, value in given.items():
            self._set(field, defaults[field] if value is None else value)
        if len(np.unique(self.ids)) != len(self):
            raise ValueError(f"{name}: ids must be unique, some occur twice")
        self._annotations = annotations

    @classmethod
    def from_coco(
        cls,
        annotations: str | os.PathLike | Mapping[str, Any],
        images: str | os.PathLike,
        skeleton: Skeleton | str | os.PathLike | Mapping | None = None,
        category: str | int | None = None,
        drop_unlabelled: bool = True,
        name: str | None = None,
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

        Raises:
            FileNotFoundError: for a missing file or folder.
            ValueError: for a file that is not what it should be; the message says which entry.
        """
        return cls(**read_coco(annotations, images, skeleton, category, drop_unlabelled, name))

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
            row = {field: getattr(self, field)[which] for field in self.FIELDS}
            return {"image_path": self.image_paths[which], **row}
        return self.subset(which)

    def subset(self, which) -> "KeypointDataset":
        """A part of the data set.

        Args:
            which: slice, boolean mask `(M,)` or indices.

        Returns:
            A KeypointDataset; its `annotations` keep all objects of the images that remain.
        """
        which = np.arange(len(self))[which]
        annotations = self._annotations
        if annotations is not None:
            kept = set(self.image_ids[which].tolist())
            annotations = {
                **annotations,
                "images": [i for i in annotations["images"] if i["id"] in kept],
                "annotations": [a for a in annotations["annotations"] if a["image_id"] in kept],
            }
        fields = {field: getattr(self, field)[which] for field in self.FIELDS}
        return KeypointDataset(
            self.skeleton,
            self.image_paths[which],
            **fields,
            name=self.name,
            annotations=annotations,
        )

    def check_images(self) -> None:
        """Raises FileNotFoundError if images are missing: how many, and one of them."""
        paths = dict.fromkeys(self.image_paths)
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f"{self.name}: {len(missing)} of {len(paths)} images are missing, "
                f"for example {missing[0]}"
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

    def _to_coco(self) -> dict[str, Any]:
        images, annotations = {}, []
        boxes = xyxy_to_xywh(self.boxes)
        for i in range(len(self)):
            image_id, (width, height) = int(self.image_ids[i]), self.image_sizes[i].tolist()
            images[image_id] = {
                "id": image_id,
                "file_name": self.image_paths[i],
                "width": width,
                "height": height,
            }
            # 2 is "labelled and seen"; whether a point is hidden is not kept
            points = np.column_stack([self.keypoints[i], 2.0 * (self.visible[i] > 0)])
            annotations.append(
                {
                    "id": int(self.ids[i]),
                    "image_id": image_id,
                    "category_id": 1,
                    "bbox": boxes[i].tolist(),
                    "keypoints": points.ravel().tolist(),
                    "num_keypoints": int(self.num_keypoints[i]),
                    "area": float(self.areas[i]),
                    "iscrowd": int(self.iscrowd[i]),
                }
            )
        names = list(self.skeleton.keypoints)
        links = (self.skeleton.links + 1).tolist()
        category = {"id": 1, "name": "object", "keypoints": names, "skeleton": links}
        return {
            "images": list(images.values()),
            "annotations": annotations,
            "categories": [category],
        }
