"""`write_coco`: data sets as COCO files."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.files import replacing


def write_coco(
    dataset: KeypointDataset | Mapping[str, Any],
    path: str | os.PathLike,
    images: str | os.PathLike | None = None,
) -> Path:
    """Writes labels as a COCO JSON file, which `KeypointDataset.from_coco` reads again.

    Of a KeypointDataset the arrays are written: the objects that it has, and all its images, also
    those without objects. Reading the file gives equal arrays; what COCO has no place for
    (`box_scores`, `extras`, left/right pairs: `dataset.skeleton.save`) is not in it. Whether a
    labelled keypoint is hidden (1) or seen (2) comes from the file that the data set was read from,
    where there was one.

    Args:
        dataset: KeypointDataset, or a dict in COCO form.
        path: of the JSON file; an earlier one is replaced once the new one is complete.
        images: folder that `file_name` of the images becomes relative to. Default: the deepest
            folder that holds them all. File names of a dict stay as they are.

    Returns:
        The folder that the file names are relative to (of a dict: the file's own).

    Raises:
        ValueError: something in the dict is not JSON, such as NaN.
    """
    path, folder = Path(path), Path(path).parent
    if isinstance(dataset, KeypointDataset):
        folder = Path(images) if images is not None else common_folder(dataset.images.paths)
        dataset = _coco_of(dataset, folder)
    try:
        text = json.dumps(dataset, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be written as JSON: {error}") from None
    with replacing(path) as partial:
        partial.write_text(text, "utf-8")
    return folder


def _coco_of(dataset: KeypointDataset, folder: Path) -> dict[str, Any]:
    table = dataset.images
    images = []
    for number, path, (width, height) in zip(
        table.ids.tolist(), table.paths, table.sizes.tolist(), strict=True
    ):
        entry = {"id": number, "file_name": relative_name(path, folder)}
        images.append(entry | ({"width": width, "height": height} if width and height else {}))
    truth = {row["id"]: row for row in dataset.annotations["annotations"]}
    annotations = []
    # in float64 x + width gives back the right side exactly
    boxes = dataset.boxes.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    for i in range(len(dataset)):
        number = int(dataset.ids[i])
        points = np.column_stack(
            [dataset.keypoints[i], _states(dataset.visible[i], truth.get(number))]
        )
        annotations.append(
            {
                "id": number,
                "image_id": int(dataset.image_ids[i]),
                "category_id": int(dataset.category_ids[i]),
                "bbox": boxes[i].tolist(),
                "area": float(dataset.areas[i]),
                "iscrowd": int(dataset.iscrowd[i]),
                "num_keypoints": int(dataset.num_keypoints[i]),
                "keypoints": points.ravel().tolist(),
            }
        )
    skeleton = dataset.skeleton
    given = {entry["id"]: entry.get("name") for entry in dataset.annotations.get("categories", ())}
    categories = [
        {
            "id": number,
            "name": given.get(number) or skeleton.name,
            "keypoints": list(skeleton.keypoints),
            "skeleton": (skeleton.links + 1).tolist(),
        }
        for number in np.unique(dataset.category_ids).tolist() or [1]
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def _states(visible: np.ndarray, truth: Mapping[str, Any] | None) -> np.ndarray:
    """COCO's v: 0, 1 (hidden) or 2 (seen); a visibility between 0 and 1 stays a number."""
    states = np.where(visible == 1, 2.0, visible)
    known = np.asarray((truth or {}).get("keypoints") or (), object)[2::3]
    if known.shape == visible.shape:
        hidden = (known == 1) & (visible == 1)
        states[hidden] = 1.0
    return states


def common_folder(paths: Iterable[str | os.PathLike]) -> Path:
    """The deepest folder that holds all files."""
    folders = {os.path.dirname(os.path.abspath(path)) for path in paths}
    try:
        return Path(os.path.commonpath(folders) if folders else ".")
    except ValueError:  # on several drives
        return Path(".")


def relative_name(path: str | os.PathLike, folder: Path) -> str:
    """The path below the folder with forward slashes; elsewhere the whole path."""
    whole, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else str(whole)
