"""CVAT's "CVAT for images 1.1" XML; no kept library reads its skeletons."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from keras_pose.datasets.importers.content import first_tag, image_size, number, read_xml
from keras_pose.datasets.importers.labels import (
    HIDDEN,
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)

_FILE = "annotations.xml"
_SHAPES = ("skeleton", "points", "box")


def detects(path: Path) -> bool:
    """Whether this is CVAT's XML, or a folder with it."""
    return first_tag(path / _FILE if path.is_dir() else path) == "annotations"


def read(path: Path) -> Labels:
    """Reads skeletons and points; a box with the same group id becomes their box.

    Kinds of objects: each skeleton label; each label of `points` with several points a shape, whose
    keypoints are then numbered; and single points, which make one object for each group id (without
    one: for each image), their labels being the keypoints. `outside` means not labelled, `occluded`
    hidden.
    """
    if path.is_dir():
        path = path / _FILE
    root = read_xml(path)
    if root.tag != "annotations":
        raise ValueError(f"{path} is not a CVAT file: its root is <{root.tag}>, not <annotations>")
    if root.find("track") is not None:
        raise ValueError(
            f'{path} is of the format "CVAT for video"; export the task as "CVAT for images 1.1", '
            "which also holds the frames"
        )
    return _Reader(path, root).labels


class _Reader:
    def __init__(self, path: Path, root: ElementTree.Element):
        self.path = path
        folder = path.resolve().parent
        self.labels = Labels(roots=[folder, folder / "images"])
        self.kinds: dict[tuple[str, str], int] = {}
        images = root.findall("image")
        self._declare(root)
        self._declare_singles(images)
        for image in images:
            self._add_image(image)

    def _declare(self, root: ElementTree.Element) -> None:
        """Kinds of the skeleton labels that `meta` describes."""
        parts: dict[str, list[str]] = {}
        drawings = {}
        for label in root.iterfind("meta//label"):
            name, parent = label.findtext("name") or "", label.findtext("parent")
            if parent:
                parts.setdefault(parent, []).append(name)
            if label.findtext("type") == "skeleton":
                drawings[name] = label.findtext("svg") or ""
        for name, keypoints in parts.items():
            links = self._links(name, drawings.get(name, ""), keypoints)
            self._new_kind("skeleton", name, keypoints, links)

    def _declare_singles(self, images: Sequence[ElementTree.Element]) -> None:
        """The kind that single points make: its keypoints are their labels, sorted by name."""
        labels = {
            shape.get("label", "")
            for image in images
            for shape in image.iterfind("points")
            if ";" not in shape.get("points", "")
        }
        if labels:
            self._new_kind("single", "object", sorted(labels), ())

    def _links(self, name: str, drawing: str, keypoints: list[str]) -> list[tuple[int, int]]:
        """Links of a skeleton label, from the SVG that CVAT draws it by."""
        try:
            shapes = list(ElementTree.fromstring(f"<svg>{drawing}</svg>"))
        except ElementTree.ParseError:
            self.labels.notes.append(f"the drawing of {name!r} is damaged: no links")
            return []
        nodes = {s.get("data-node-id"): s.get("data-label-name") for s in shapes}
        links = []
        for shape in shapes:
            ends = [nodes.get(shape.get(f"data-node-{end}")) for end in ("from", "to")]
            if shape.get("data-type") == "edge" and set(ends) <= set(keypoints):
                links.append((keypoints.index(ends[0]), keypoints.index(ends[1])))
        return links

    def _new_kind(self, shape: str, name: str, keypoints: Sequence[str], links) -> int:
        if len(set(keypoints)) < len(keypoints) or "" in keypoints:
            raise ValueError(f"{self.path}: {name!r} needs keypoints of different names")
        taken = {kind.name for kind in self.labels.kinds}
        title = name or "object"
        title = f"{title}_{shape}" if title in taken else title
        self.kinds[shape, name] = len(self.labels.kinds)
        named = shape != "points"
        self.labels.kinds.append(Kind(title, list(keypoints), links, named=named))
        return self.kinds[shape, name]

    def _add_image(self, element: ElementTree.Element) -> None:
        name = element.get("name", "")
        what = f"{self.path}: image {name!r:.80}"
        size = image_size(element.get("width"), element.get("height"), what)
        image = LabelledImage(name, size=size, split=element.get("subset") or None)
        for shape in element:
            if shape.tag not in _SHAPES and shape.tag != "tag":
                self.labels.skipped.add(f"shapes that are no keypoints: {shape.tag}", name)
        boxes = self._boxes(element, what)
        singles: dict[str, list] = {}
        for shape in element.iterfind("skeleton"):
            kind, keypoints = self._skeleton(shape, what)
            self._add(image, kind, keypoints, boxes, shape)
        for shape in element.iterfind("points"):
            points = self._points(shape, what)
            if len(points) == 1:
                singles.setdefault(shape.get("group_id", ""), []).append(shape)
                continue
            label = shape.get("label", "")
            kind = self.kinds.get(("points", label))
            if kind is None:
                names = [f"{label or 'keypoint'}_{i}" for i in range(len(points))]
                kind = self._new_kind("points", label, names, ())
            known = len(self.labels.kinds[kind].keypoints)
            if len(points) != known:
                raise ValueError(
                    f"{what} has {len(points)} points {label!r}, other images have {known}"
                )
            visible = HIDDEN if shape.get("occluded") == "1" else SEEN
            self._add(image, kind, [(x, y, visible) for x, y in points], boxes, shape)
        for shapes in singles.values():
            kind, keypoints = self._single_points(shapes, what)
            self._add(image, kind, keypoints, boxes, shapes[0])
        for _ in boxes.values():
            self.labels.skipped.add("boxes that no skeleton or points share a group with", name)
        self.labels.images.append(image)

    def _add(self, image: LabelledImage, kind: int, keypoints, boxes: dict, shape) -> None:
        box = boxes.pop(shape.get("group_id") or None, None)
        image.objects.append(LabelledObject(kind, np.array(keypoints, float), box))

    def _boxes(self, element: ElementTree.Element, what: str) -> dict:
        """Boxes by group id; those without a group get a number that no shape asks for."""
        boxes = {}
        for i, shape in enumerate(element.iterfind("box")):
            sides = [number(shape.get(s), f"{what}: {s}") for s in ("xtl", "ytl", "xbr", "ybr")]
            group = shape.get("group_id")
            boxes[group if group and group not in boxes else i] = sides
        return boxes

    def _skeleton(self, shape: ElementTree.Element, what: str) -> tuple[int, np.ndarray]:
        label = shape.get("label", "")
        kind = self.kinds.get(("skeleton", label))
        if kind is None:
            names = [part.get("label", "") for part in shape.iterfind("points")]
            kind = self._new_kind("skeleton", label, names, ())
            self.labels.notes.append(f"the file does not describe the skeleton {label!r}: no links")
        return kind, self._collected(kind, shape.findall("points"), what)

    def _single_points(self, shapes: list, what: str) -> tuple[int, np.ndarray]:
        kind = self.kinds["single", "object"]
        return kind, self._collected(kind, shapes, what)

    def _collected(self, kind: int, shapes: list, what: str) -> np.ndarray:
        """Keypoints of an object whose points are elements of their own."""
        names = self.labels.kinds[kind].keypoints
        keypoints = np.zeros((len(names), 3))
        given = set()
        for shape in shapes:
            label = shape.get("label", "")
            if label not in names:
                raise ValueError(
                    f"{what} has the point {label!r}, its label only {', '.join(names)!r:.200}"
                )
            if label in given:
                raise ValueError(
                    f"{what} has two points {label!r} in one object; group the points of each "
                    "object in CVAT"
                )
            given.add(label)
            points = self._points(shape, what)
            if len(points) != 1:
                raise ValueError(f"{what}: {label!r} must be one point, got {len(points)}")
            hidden = shape.get("occluded") == "1"
            visible = 0 if shape.get("outside") == "1" else HIDDEN if hidden else SEEN
            keypoints[names.index(label)] = (*points[0], visible) if visible else 0
        return keypoints

    def _points(self, shape: ElementTree.Element, what: str) -> list[tuple[float, float]]:
        """Positions of an element's attribute `points`, "x,y;x,y"."""
        points = []
        for text in shape.get("points", "").split(";"):
            x, _, y = text.partition(",")
            points.append((number(x, f"{what}: points"), number(y, f"{what}: points")))
        return points
