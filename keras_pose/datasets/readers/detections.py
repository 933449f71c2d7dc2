"""Reading a detector's boxes: COCO result files."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.readers.coco import LARGEST_BOX
from keras_pose.datasets.readers.records import integers, load_json, scalars, shortened, vectors
from keras_pose.geometry import xywh_to_xyxy


def read_detections(
    detections: str | os.PathLike | list,
    images: ImageTable,
    score_threshold: float = 0.0,
    category: int | None = 1,
    name: str = "data set",
) -> dict[str, Any]:
    """Reads boxes as columns of `KeypointDataset`.

    Args:
        detections, score_threshold, category: see `KeypointDataset.with_detections`.
        images: ImageTable; boxes of other images are left out.
        name: str, what messages call the data set that the images belong to.

    Returns:
        A dict of `ids` `(M,)`, which count all detections of the category from 1, `image_ids`
        `(M,)`, `category_ids` `(M,)`, `boxes` `(M, 4)` xyxy and `box_scores` `(M,)`, in the order
        of the file.
    """
    rows, file = load_json(detections, None, "detection")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(
            f"{file} must be a JSON list of detections "
            '{"image_id", "category_id", "bbox", "score"}, '
            f"got {shortened(rows)}"
        )
    rows = [{**row, "id": position} for position, row in enumerate(rows)]
    for key in ("image_id", "bbox", "score"):
        lacking = next((row["id"] for row in rows if row.get(key) is None), None)
        if lacking is not None:
            raise ValueError(f"{file}: detection {lacking} has no `{key}`")
    image_ids = integers(rows, "image_id", 0, file, "detection")
    category_ids = integers(rows, "category_id", 1, file, "detection")
    scores = scalars(rows, "score", 0, file, least=-np.inf, kind="detection")
    boxes = xywh_to_xyxy(vectors(rows, "bbox", 4, file, "detection"))
    wrong = ~(np.abs(boxes) < LARGEST_BOX).all(axis=-1)
    if wrong.any():
        raise ValueError(
            f"{file}: the box of detection {int(wrong.argmax())} must be four numbers in pixels; "
            "correct it or leave it out"
        )
    chosen = np.ones(len(rows), bool) if category is None else category_ids == category
    kept = chosen & (scores >= score_threshold)
    unknown = kept & (images.rows(image_ids) < 0)
    empty = kept & ~unknown & ~(boxes[:, 2:] > boxes[:, :2]).all(axis=-1)
    kept &= ~unknown & ~empty
    if not kept.any():
        raise ValueError(
            f"{file}: of {len(rows)} detections none remains for {name}: {unknown.sum()} belong "
            f"to other images, {empty.sum()} have no area, the others have another category than "
            f"{category} or a score below {score_threshold:g}"
        )
    for faulty, why in (
        (unknown, f"belong to images that {name} does not have"),
        (empty, "have no area"),
    ):
        if faulty.any():
            warnings.warn(
                f"{file}: {faulty.sum()} of {len(rows)} boxes {why}; they are left out",
                stacklevel=3,
            )
    columns = dict(
        ids=np.cumsum(chosen),
        image_ids=image_ids,
        category_ids=category_ids,
        boxes=boxes,
        box_scores=scores,
    )
    return {column: values[kept] for column, values in columns.items()}
