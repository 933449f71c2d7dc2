"""Boxes that a user brings along, in place of a detector's."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.geometry import xywh_to_xyxy

Boxes = tuple[np.ndarray, np.ndarray | None]

_FORMS = (
    'must be {"photo.jpg": [[left, top, right, bottom], ...]} (a fifth number is a score), COCO '
    "annotations, or a list of COCO results"
)


class BoxFile:
    """Boxes per photo, read from a JSON file in one of three forms.

    - `{"photo.jpg": [[left, top, right, bottom], ...], ...}` in pixels, optionally with the score
      as a fifth number; the key is the name of the file, or its path as given;
    - COCO annotations with `images` and `annotations`: `bbox` is left, top, width, height;
    - a list of COCO results: `bbox` as before, `score`, and `file_name` or `image_id`; an
      `image_id` belongs to the photo whose name is that number, such as `000000000139.jpg`.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has none of these forms.
    """

    def __init__(self, path: str):
        self.path = Path(path)
        try:
            data = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no boxes file {path}") from None
        except ValueError as error:
            raise ValueError(f"the boxes file {path} is not JSON: {error}") from None
        try:
            self._rows = _rows(data)
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"the boxes file {path} {_FORMS}") from None

    def of(self, photo: Path) -> Boxes:
        """The boxes of one photo.

        Returns:
            Boxes `(N, 4)` xyxy in image pixels (not checked), and scores `(N,)` or None.

        Raises:
            ValueError: the file does not speak of this photo, or its rows are no boxes.
        """
        for key in (str(photo), photo.name, _number(photo.stem)):
            if key in self._rows:
                break
        else:
            raise ValueError(f"{self.path} has no boxes for it (an empty list means nobody)")
        rows = self._rows[key]
        widths = {len(row) if isinstance(row, list) else 0 for row in rows}
        if not widths <= {4} and widths != {5}:
            raise ValueError(f"its boxes in {self.path} must be lists of 4 numbers, or all of 5")
        try:
            values = np.array(rows, np.float32).reshape(len(rows), -1 if rows else 4)
        except (TypeError, ValueError):
            raise ValueError(f"its boxes in {self.path} must be numbers") from None
        return values[:, :4], values[:, 4] if widths == {5} else None


def _rows(data: Any) -> dict[Any, list]:
    if isinstance(data, dict) and "annotations" in data:
        names = {image["id"]: image["file_name"] for image in data["images"]}
        rows = {Path(name).name: [] for name in names.values()}
        for annotation in data["annotations"]:
            rows[Path(names[annotation["image_id"]]).name].append(_from_coco(annotation))
        return rows
    if isinstance(data, list):
        rows = {}
        for result in data:
            key = result["file_name"] if "file_name" in result else result["image_id"]
            rows.setdefault(key, []).append(_from_coco(result))
        return rows
    if not all(isinstance(boxes, list) for boxes in data.values()):
        raise TypeError
    return data


def _from_coco(row: dict) -> list[float]:
    box = xywh_to_xyxy(np.array(row["bbox"], float)).tolist()
    return [*box, row["score"]] if "score" in row else box


def _number(stem: str) -> int | None:
    return int(stem) if stem.isdigit() else None
