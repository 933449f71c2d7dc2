"""COCO keypoint files as validated tables: what every evaluation engine gets is made from them.

The engines disagree on records that are odd but legal (annotation id 0, a missing `iscrowd`, an
empty list) and none of them names what is wrong with the others. Here each column is checked once,
and `to_coco` writes plain records with fresh ids, on which all engines agree.
"""

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from keras_pose.evaluation.missing import images_without_results

# Area of a person as a part of the box, where no area is annotated; as in xtcocotools 1.14.3.
BOX_TO_AREA = 0.53

_REQUIRED = object()


def read_records(source, name: str):
    """The content of a JSON file (also gzipped), or `source` itself if it is not a path.

    Args:
        source: path, or records that are already in memory.
        name: argument name for error messages.
    """
    if not isinstance(source, (str, Path)):
        return source
    path = Path(source)
    try:
        data = path.read_bytes()
        return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: there is no file {path}") from None
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{name}: {path} is not a JSON file ({error})") from None


@dataclass(frozen=True)
class GroundTruthTable:
    """Annotated people of the images that are evaluated, as columns of length A.

    Attributes:
        image_ids: ids of the evaluated images, ascending.
        other_image_ids: ids of images that exist but are not evaluated.
        category_ids: ids of the categories that have keypoints, ascending.
        images: `(A,)` positions in `image_ids`.
        categories: `(A,)` positions in `category_ids`.
        keypoints: `(A, K, 3)` float64, x and y in image pixels, and visibility.
        labelled: `(A,)` number of keypoints with visibility above 0.
        areas: `(A,)` float64, square pixels.
        boxes: `(A, 4)` float64 xywh, zero where none is given and none is needed.
        crowd: `(A,)` bool.
    """

    image_ids: list
    other_image_ids: frozenset
    category_ids: list
    images: np.ndarray
    categories: np.ndarray
    keypoints: np.ndarray
    labelled: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    crowd: np.ndarray

    @property
    def ignored(self) -> np.ndarray:
        """`(A,)` bool: regions in which detections count neither as right nor as wrong."""
        return self.crowd | (self.labelled == 0)

    @property
    def num_keypoints(self) -> int | None:
        """Keypoints of a person, None if no annotation has any."""
        return self.keypoints.shape[1] or None

    def without_results(self, detections: "ResultTable") -> tuple[str, ...]:
        """A note on images with people for which there is no result, none if there are no such."""
        ids = np.array(self.image_ids, dtype=object)
        return images_without_results(ids[self.images[~self.ignored]], ids[detections.images])

    @classmethod
    def from_coco(
        cls,
        data: Mapping,
        image_ids=None,
        use_area: bool = True,
        name: str = "ground_truth",
        category_ids=None,
    ) -> "GroundTruthTable":
        """Reads a COCO annotation dict; see `coco_keypoint_ap` for the rules.

        Args:
            data, image_ids, use_area: see there.
            name: what messages call the data.
            category_ids: categories to read, of those that have keypoints; default all.
        """
        if not isinstance(data, Mapping) or not {"images", "annotations"} <= data.keys():
            raise ValueError(
                f"{name} must be a COCO dict (or a path to one) with 'images' and 'annotations', "
                f"got {_summary(data)}"
            )
        everything = _ids(_column(data["images"], "id", f"{name}['images']"), name)
        chosen = everything if image_ids is None else _chosen_images(image_ids, everything)
        image_index = {image_id: index for index, image_id in enumerate(chosen)}
        label = f"{name}['annotations']"
        records = data["annotations"]
        images = _column(records, "image_id", label)
        categories = _column(records, "category_id", label)
        flat = _column(records, "keypoints", label, default=())
        with_keypoints = _keypoint_categories(data.get("categories", ()), categories, flat)
        wanted = with_keypoints if category_ids is None else set(category_ids)
        category_ids = [category for category in with_keypoints if category in wanted]
        category_index = {category: index for index, category in enumerate(category_ids)}
        positions = [
            position
            for position, (image, category) in enumerate(zip(images, categories, strict=True))
            if image in image_index and category in category_index
        ]
        if len(positions) < len(records):
            records, images, categories, flat = (
                [column[position] for position in positions]
                for column in (records, images, categories, flat)
            )

        sizes = sorted({len(values) for values in flat if values})
        if len(sizes) > 1:
            raise ValueError(
                f"{label} must all have the same number of keypoints, got lists of {sizes} numbers"
            )
        size = sizes[0] if sizes else 0
        if size % 3:
            raise ValueError(f"{label} have keypoints of {size} numbers, which is no multiple of 3")
        unlabelled = (0,) * size
        keypoints = _floats((v or unlabelled for v in flat), (len(flat), size), label, "keypoints")
        keypoints = keypoints.reshape(len(flat), size // 3, 3)
        visible = keypoints[:, :, 2] > 0
        keypoints[:, :, :2][~visible] = 0
        _require(np.isfinite(keypoints).all((1, 2)), positions, label, "keypoints are not finite")
        labelled = visible.sum(1)

        missing_box = (math.nan,) * 4
        boxes = _column(records, "bbox", label, default=missing_box)
        boxes = _floats((box or missing_box for box in boxes), (len(records), 4), label, "bbox")
        unusable = ~np.isfinite(boxes).all(1)
        _require(
            ~unusable | ((labelled > 0) & use_area),
            positions,
            label,
            "needs a 'bbox' of 4 finite numbers "
            + ("(it has no labelled keypoints)" if use_area else "(use_area=False takes its area)"),
        )
        boxes[unusable] = 0
        if use_area:
            areas = _column(records, "area", label, default=math.nan)
            areas = _floats(((a,) for a in areas), (len(records), 1), label, "area")[:, 0]
            _require(
                areas >= 0,
                positions,
                label,
                "needs an 'area' in square pixels (use_area=False takes 0.53 of the box)",
            )
        else:
            areas = boxes[:, 2] * boxes[:, 3] * BOX_TO_AREA
        return cls(
            image_ids=chosen,
            other_image_ids=frozenset(everything) - image_index.keys(),
            category_ids=category_ids,
            images=_indices(images, image_index),
            categories=_indices(categories, category_index),
            keypoints=keypoints,
            labelled=labelled,
            areas=areas,
            boxes=boxes,
            crowd=np.array([bool(record.get("iscrowd")) for record in records], dtype=bool),
        )

    def to_coco(self) -> dict:
        """A COCO dict whose ids count from 1 in the order of the tables."""
        columns = zip(
            (self.images + 1).tolist(),
            (self.categories + 1).tolist(),
            self.keypoints.reshape(len(self.keypoints), -1).tolist(),
            self.labelled.tolist(),
            self.areas.tolist(),
            self.boxes.tolist(),
            self.crowd.astype(int).tolist(),
            strict=True,
        )
        return {
            "images": [{"id": i + 1} for i in range(len(self.image_ids))],
            "categories": [{"id": i + 1, "name": str(i)} for i in range(len(self.category_ids))],
            "annotations": [
                {
                    "id": number,
                    "image_id": image,
                    "category_id": category,
                    "keypoints": keypoints,
                    "num_keypoints": labelled,
                    "area": area,
                    "bbox": box,
                    "iscrowd": crowd,
                }
                for number, (image, category, keypoints, labelled, area, box, crowd) in enumerate(
                    columns, 1
                )
            ],
        }


@dataclass(frozen=True)
class ResultTable:
    """Detected people, as columns of length D, in the order in which they were given.

    Attributes:
        images: `(D,)` positions in the ground truth's `image_ids`.
        categories: `(D,)` positions in the ground truth's `category_ids`.
        keypoints: `(D, K, 3)` float64, x and y in image pixels; the third number is not used.
        scores: `(D,)` float64.
        boxes: `(D, 4)` float64 xywh: the given ones or the extents of the keypoints. Their area
            decides which unmatched detections count for medium and large people.
    """

    images: np.ndarray
    categories: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray

    @classmethod
    def from_coco(
        cls, records: Sequence[Mapping], truth: GroundTruthTable, name: str = "results"
    ) -> "ResultTable":
        """Reads a list of COCO keypoint results; those of images not evaluated are left out."""
        if isinstance(records, (Mapping, str)) or not isinstance(records, Sequence):
            raise ValueError(
                f"{name} must be a list of COCO keypoint results (or a path to one), "
                f"got {_summary(records)}"
            )
        image_index = {image_id: index for index, image_id in enumerate(truth.image_ids)}
        category_index = {category: index for index, category in enumerate(truth.category_ids)}
        images = _column(records, "image_id", name)
        outside = {image for image in set(images) if image not in image_index}
        for unknown in outside - truth.other_image_ids:
            raise ValueError(
                f"{name}[{images.index(unknown)}] is of image {unknown!r}, "
                "which the ground truth does not have"
            )
        categories = _column(records, "category_id", name)
        for unknown in set(categories) - category_index.keys():
            raise ValueError(
                f"{name}[{categories.index(unknown)}] has category_id {unknown!r}, but the ground "
                f"truth has keypoints for {truth.category_ids}"
            )
        kept = range(len(records))
        if outside:
            kept = [i for i, image in enumerate(images) if image in image_index]
            records, images, categories = (
                [column[i] for i in kept] for column in (records, images, categories)
            )
        flat = _column(records, "keypoints", name)
        size = 3 * truth.num_keypoints if truth.num_keypoints else len(flat[0]) if flat else 0
        for position, values in zip(kept, flat, strict=True):
            if len(values) != size or size % 3:
                raise ValueError(
                    f"{name}[{position}] has {len(values)} keypoint numbers, "
                    f"but the ground truth has {size}"
                )
        keypoints = _floats(flat, (len(flat), size), name, "keypoints")
        keypoints = keypoints.reshape(len(flat), size // 3, 3)
        _require(np.isfinite(keypoints).all((1, 2)), kept, name, "keypoints are not finite")
        scores = ((score,) for score in _column(records, "score", name))
        scores = _floats(scores, (len(flat), 1), name, "score")[:, 0]
        _require(np.isfinite(scores), kept, name, "score is not finite")
        return cls(
            images=_indices(images, image_index),
            categories=_indices(categories, category_index),
            keypoints=keypoints,
            scores=scores,
            boxes=_result_boxes(records, keypoints, kept, name),
        )

    def to_coco(self) -> list[dict]:
        """COCO results with the ids of `GroundTruthTable.to_coco`."""
        columns = zip(
            (self.images + 1).tolist(),
            (self.categories + 1).tolist(),
            self.keypoints.reshape(len(self.keypoints), -1).tolist(),
            self.scores.tolist(),
            self.boxes.tolist(),
            strict=True,
        )
        return [
            {
                "image_id": image,
                "category_id": category,
                "keypoints": keypoints,
                "score": score,
                "bbox": box,
            }
            for image, category, keypoints, score, box in columns
        ]


def _result_boxes(records, keypoints, positions, name) -> np.ndarray:
    given = [record.get("bbox") for record in records]
    with_box = sum(box is not None and len(box) > 0 for box in given)
    if with_box not in (0, len(given)):
        raise ValueError(
            f"{name} must all have a 'bbox' or none, because AP_M and AP_L depend on it, "
            f"got {with_box} of {len(given)}"
        )
    if with_box:
        boxes = _floats(given, (len(given), 4), name, "bbox")
        _require(np.isfinite(boxes).all(1), positions, name, "bbox is not finite")
        return boxes
    if not len(keypoints):
        return np.zeros((0, 4))
    low, high = keypoints[:, :, :2].min(1), keypoints[:, :, :2].max(1)
    return np.concatenate([low, high - low], axis=1)


def _keypoint_categories(declared, used, keypoints) -> list:
    """Ids of the categories that carry keypoints; the others of a detection file do not count."""
    known = [category.get("id") for category in declared]
    with_names = {category.get("id") for category in declared if category.get("keypoints")}
    with_values = {category for category, values in zip(used, keypoints, strict=True) if values}
    return sorted(with_names | with_values or known)


def _chosen_images(image_ids, everything) -> list:
    chosen = _ids(list(image_ids), "image_ids")
    for unknown in set(chosen) - set(everything):
        raise ValueError(f"image_ids has {unknown!r}, which the ground truth does not have")
    return chosen


def _ids(values, name) -> list:
    """Different ids, ascending: the order in which detections of equal scores are ranked."""
    if not values:
        raise ValueError(f"{name} has no images")
    try:
        return sorted(set(values))
    except TypeError:
        raise ValueError(f"{name} must have image ids of one type that can be sorted") from None


def _column(records, key, name, default=_REQUIRED) -> list:
    try:
        if default is _REQUIRED:
            return [record[key] for record in records]
        return [record.get(key, default) for record in records]
    except (KeyError, TypeError, AttributeError):
        for position, record in enumerate(records):
            _get(record, key, name, position, default)
        raise


def _get(record, key, name, position, default=_REQUIRED):
    if not isinstance(record, Mapping):
        raise ValueError(f"{name}[{position}] must be a dict, got {_summary(record)}")
    if default is _REQUIRED and key not in record:
        raise ValueError(f"{name}[{position}] has no {key!r}")
    return record.get(key, default)


def _indices(values, index) -> np.ndarray:
    return np.fromiter(map(index.__getitem__, values), np.int64, len(values))


def _floats(rows, shape, name, key) -> np.ndarray:
    try:
        values = np.fromiter(chain.from_iterable(rows), np.float64)
        return values.reshape(shape)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must have {key} of {shape[1]} numbers each") from None


def _require(valid, positions, name, problem) -> None:
    if not valid.all():
        first = positions[int(np.argmin(valid))]
        raise ValueError(f"{name}[{first}] {problem}")


def _summary(value) -> str:
    if isinstance(value, Mapping):
        return f"a dict with {sorted(map(str, value))[:8]}"
    return f"{type(value).__name__} {str(value)[:60]!r}"
