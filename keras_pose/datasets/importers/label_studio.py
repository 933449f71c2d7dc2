"""Label Studio's JSON export (labelstud.io/guide/task_format): percent of the image's sides.

Own reader: sleap-io needs relations between the regions, drops rectangles, and orders the keypoints
of a file by chance.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from keras_pose.datasets.importers.content import first_mark, image_size, number
from keras_pose.datasets.importers.labels import (
    HIDDEN,
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)
from keras_pose.datasets.readers.records import load_json

# Choices made for one region that say that its keypoint is covered.
_HIDDEN = ("hidden", "occluded", "invisible", "not visible")
_READ = ("keypointlabels", "rectanglelabels", "choices", "relation")
_IMAGE = re.compile(r"\.(bmp|jpe?g|png|tiff?|webp)$", re.IGNORECASE)


def detects(path: Path) -> bool:
    """Whether this is a JSON list."""
    return first_mark(path) == "["


def read(path: Path) -> Labels:
    """Reads keypoints, and rectangles as the boxes of their objects.

    A keypoint belongs to the rectangle that is its parent (`parentID`) or related to it, else to
    the smallest one that contains it; where a task has no rectangles, all its keypoints are one
    object. The export does not hold the order of the keypoints: they are sorted by name. A
    per-region choice such as "Hidden" makes a keypoint hidden.
    """
    tasks, _ = load_json(path, None, "label")
    if not isinstance(tasks, list) or not all(isinstance(task, Mapping) for task in tasks):
        raise ValueError(f"{path} is not a Label Studio export: it must be a list of tasks")
    if not any("annotations" in task or "completions" in task for task in tasks):
        raise ValueError(
            f"{path} has no task with `annotations`; export the project as JSON (not JSON-MIN)"
        )
    return _Reader(path, tasks).labels


class _Reader:
    def __init__(self, path: Path, tasks: list[Mapping[str, Any]]):
        self.path = path
        folder = path.resolve().parent
        self.labels = Labels(roots=[folder, folder / "images"])
        found = [(task, self._results(task, i)) for i, task in enumerate(tasks)]
        self.keypoints = sorted(
            {
                self._label(result, "keypointlabels", what)
                for _, (results, what) in found
                for result in results
                if result["type"] == "keypointlabels"
            }
        )
        if not self.keypoints:
            raise ValueError(f"{path} has no keypoints (results of the type keypointlabels)")
        self.labels.notes.append("the export does not order the keypoints: they are sorted by name")
        self.kinds: dict[str, int] = {}
        for task, (results, what) in found:
            self._add_task(task, results, what)

    def _results(self, task: Mapping[str, Any], position: int) -> tuple[list, str]:
        """The results of the annotation that counts, and what messages call the task."""
        what = f"{self.path}: task {task.get('id', position)}"
        annotations = task.get("annotations", task.get("completions")) or []
        if not isinstance(annotations, list) or not all(
            isinstance(each, Mapping) for each in annotations
        ):
            raise ValueError(f"{what}: annotations must be a list of objects")
        kept = [each for each in annotations if not each.get("was_cancelled")]
        for _ in range(len(annotations) - len(kept)):
            self.labels.skipped.add("annotations that their annotator cancelled", what)
        kept.sort(key=lambda each: (not each.get("ground_truth"), -_order(each)))
        for _ in kept[1:]:
            self.labels.skipped.add("annotations besides the ground truth or the newest", what)
        results = (kept[0].get("result") or []) if kept else []
        if not isinstance(results, list) or not all(isinstance(r, Mapping) for r in results):
            raise ValueError(f"{what}: result must be a list of objects")
        good = []
        for result in results:
            if result.get("type") in _READ:
                good.append(result)
            else:
                kind = str(result.get("type"))[:40]
                self.labels.skipped.add(f"regions that are no keypoints: {kind}", what)
        return good, what

    def _add_task(self, task: Mapping[str, Any], results: list, what: str) -> None:
        image = LabelledImage(self._image_path(task, what), normalized=True)
        self.labels.images.append(image)
        points = [r for r in results if r["type"] == "keypointlabels"]
        boxes = [r for r in results if r["type"] == "rectanglelabels"]
        if any(number(r.get("image_rotation") or 0, what) for r in points + boxes):
            self.labels.skipped.add("tasks whose image was rotated in the tool", what)
            return
        for result in (points + boxes)[:1]:
            image.size = self._size(result, what)
        corners = {_key(r, i): self._box(r, what) for i, r in enumerate(boxes)}
        owners = self._owners(points, corners, results)
        hidden = {_key(r, None) for r in results if r["type"] == "choices" and _says_hidden(r)}
        objects: dict[Any, np.ndarray] = {key: self._none() for key in corners}
        for result, owner in zip(points, owners, strict=True):
            if owner is None and corners:
                self.labels.skipped.add("keypoints in no rectangle", what)
                continue
            place = self.keypoints.index(self._label(result, "keypointlabels", what))
            keypoints = objects.setdefault(owner, self._none())
            if keypoints[place, 2]:
                raise ValueError(
                    f"{what} has {self.keypoints[place]!r} twice in one object; draw a rectangle "
                    "around each object, so that its keypoints can be told apart"
                )
            covered = _key(result, 0) in hidden
            keypoints[place] = (*self._position(result, what), HIDDEN if covered else SEEN)
        names = {_key(r, i): self._label(r, "rectanglelabels", what) for i, r in enumerate(boxes)}
        for key, keypoints in objects.items():
            if not keypoints[:, 2].any():
                self.labels.skipped.add("rectangles without keypoints", what)
                continue
            kind = self._kind(names.get(key, "object"))
            image.objects.append(LabelledObject(kind, keypoints, corners.get(key)))

    def _none(self) -> np.ndarray:
        return np.zeros((len(self.keypoints), 3))

    def _kind(self, name: str) -> int:
        if name not in self.kinds:
            self.kinds[name] = len(self.kinds)
            self.labels.kinds.append(Kind(name, self.keypoints))
        return self.kinds[name]

    def _size(self, result: Mapping[str, Any], what: str) -> tuple[int, int] | None:
        """(width, height) of the image, None in exports of old versions."""
        sides = result.get("original_width"), result.get("original_height")
        return None if None in sides else image_size(*sides, what)

    def _label(self, result: Mapping[str, Any], kind: str, what: str) -> str:
        value = result.get("value")
        labels = value.get(kind) if isinstance(value, Mapping) else None
        if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
            raise ValueError(f"{what}: a region needs one label in `{kind}`, got {labels!r:.60}")
        return labels[0]

    def _position(self, result: Mapping[str, Any], what: str) -> tuple[float, float]:
        value = result["value"]
        return tuple(number(value.get(axis), f"{what}: {axis}") / 100 for axis in "xy")

    def _box(self, result: Mapping[str, Any], what: str) -> tuple[float, ...]:
        """Corners of a rectangle; of a turned one those of what encloses it."""
        self._label(result, "rectanglelabels", what)
        x, y = self._position(result, what)
        width, height, angle = (
            number(result["value"].get(key) or 0, f"{what}: {key}")
            for key in ("width", "height", "rotation")
        )
        sides = np.array([width, height]) / 100
        if not angle:
            return (x, y, x + sides[0], y + sides[1])
        # It turns around its upper left corner, in pixels.
        size = self._size(result, what)
        if size is None:
            raise ValueError(f"{what} has a turned rectangle but no original_width and _height")
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        ends = np.array([(0, 0), (1, 0), (0, 1), (1, 1)]) * sides * size
        ends = ends @ np.array([[cos, sin], [-sin, cos]]) / size + (x, y)
        return (*ends.min(axis=0), *ends.max(axis=0))

    def _owners(self, points: list, boxes: dict, results: list) -> list:
        """The key of the rectangle that each keypoint belongs to, None for none."""
        related: dict[Any, Any] = {}
        for result in results:
            if result["type"] == "relation":
                ends = _text(result.get("from_id")), _text(result.get("to_id"))
                related |= {ends[0]: ends[1], ends[1]: ends[0]}
        owners = []
        for result in points:
            named = _text(result.get("parentID")), related.get(_text(result.get("id")))
            owner = next((key for key in named if key and key in boxes), None)
            if owner is None:
                x, y = self._position(result, str(self.path))
                around = [
                    ((b[2] - b[0]) * (b[3] - b[1]), i, key)
                    for i, (key, b) in enumerate(boxes.items())
                    if b[0] <= x <= b[2] and b[1] <= y <= b[3]
                ]
                owner = min(around)[2] if around else None
            owners.append(owner)
        return owners

    def _image_path(self, task: Mapping[str, Any], what: str) -> str:
        """Path of the image: uploads, local files and addresses each end in one."""
        data = task.get("data")
        texts = (
            [v for v in data.values() if isinstance(v, str)] if isinstance(data, Mapping) else []
        )
        texts = [text.split("?d=")[-1] for text in texts]
        address = next((t for t in texts if _IMAGE.search(t.split("?")[0])), None)
        if address is None:
            raise ValueError(f"{what} has no image in `data`")
        path = unquote(address.split("?")[0])
        return re.sub(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/]*/", "", path).lstrip("/")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _key(result: Mapping[str, Any], otherwise):
    """The id of a region."""
    return _text(result.get("id")) or otherwise


def _order(annotation: Mapping[str, Any]) -> float:
    """A number that grows with the age of an annotation's id."""
    value = annotation.get("id")
    return float(value) if isinstance(value, int) and abs(value) < 1e15 else 0.0


def _says_hidden(result: Mapping[str, Any]) -> bool:
    value = result.get("value")
    choices = value.get("choices") if isinstance(value, Mapping) else None
    return isinstance(choices, list) and any(str(c).lower() in _HIDDEN for c in choices)
