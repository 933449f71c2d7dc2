"""Reading faces and hands of COCO-WholeBody: parts of people as objects of their own."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_pose.datasets.readers.coco import read_coco
from keras_pose.datasets.readers.records import check_lists, load_json, vectors
from keras_pose.skeleton import Skeleton


def read_coco_parts(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping,
    parts: Sequence[str],
    drop_unlabelled: bool = True,
    name: str | None = None,
    *,
    read_crowds: bool = True,
    sample_interval: int = 1,
    box: str = "clip",
    skip_bad_boxes: bool = False,
) -> dict[str, Any]:
    """Reads parts of people as arguments of `KeypointDataset`.

    A part `p` of a person is an object where `p_valid` is true, with the box `p_box` (x, y, width,
    height) and the keypoints `p_kpts`; the parts of a person follow each other.

    Args:
        annotations, images, skeleton, name: see `KeypointDataset.from_coco`.
        parts: prefixes of the fields, such as `"face"`, or `"lefthand"` and `"righthand"`; hands
            get the extra column `hand_type`, `[0, 1]` for a left and `[1, 0]` for a right one.
        read_crowds: bool, off: annotations of crowds are left out, also with `drop_unlabelled` off.
        drop_unlabelled, sample_interval, box, skip_bad_boxes: see `read_coco`.

    Returns:
        A dict of the arguments of `KeypointDataset`. With one part the ids are those of the
        people, with several they count objects from 1.
    """
    data, name = load_json(annotations, name)
    check_lists(data, ("images", "annotations"), name)
    objects, sides = [], {}
    for person in data["annotations"]:
        if not read_crowds and person.get("iscrowd"):
            continue
        for part in parts:
            if not person.get(f"{part}_valid"):
                continue
            number = len(objects) + 1 if len(parts) > 1 else person.get("id")
            objects.append(
                {
                    "id": number,
                    "image_id": person.get("image_id"),
                    "category_id": 1,
                    "bbox": person.get(f"{part}_box"),
                    "keypoints": person.get(f"{part}_kpts"),
                    "iscrowd": person.get("iscrowd", 0),
                }
            )
            sides[number] = [part.startswith("right"), part.startswith("left")]
    points = [one for one in objects if one["bbox"] and one["keypoints"]]
    count = 3 * Skeleton.resolve(skeleton).num_keypoints
    if points and not drop_unlabelled:
        # as in the reference: a part whose coordinates are all 0 is none
        placed = vectors(points, "keypoints", count, name).max(axis=1) > 0
        points = [one for one, there in zip(points, placed, strict=True) if there]
    names = list(Skeleton.resolve(skeleton).keypoints)
    fields = read_coco(
        {
            "images": data["images"],
            "annotations": points,
            "categories": [{"id": 1, "name": "part", "keypoints": names}],
        },
        images,
        skeleton,
        drop_unlabelled=drop_unlabelled,
        name=name,
        sample_interval=sample_interval,
        box=box,
        skip_bad_boxes=skip_bad_boxes,
    )
    if set(parts) == {"lefthand", "righthand"}:
        types = [sides[number] for number in fields["ids"].tolist()]
        fields["extras"] = {"hand_type": np.array(types, np.float32).reshape(-1, 2)}
    return fields
