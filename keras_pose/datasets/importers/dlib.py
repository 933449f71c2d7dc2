"""dlib's XML of images, boxes and parts, as its tool imglab writes it."""

from pathlib import Path

import numpy as np

from keras_pose.datasets.importers.content import first_tag, image_size, number, read_xml
from keras_pose.datasets.importers.labels import (
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)


def detects(path: Path) -> bool:
    """Whether this is dlib's XML."""
    return first_tag(path) == "dataset"


def read(path: Path) -> Labels:
    """Reads boxes with their parts; boxes to ignore become crowds, which evaluation leaves out.

    Every part counts as seen. Parts are sorted by name, as numbers if all are numbers.
    """
    root = read_xml(path)
    elements = root.findall("images/image")
    if root.tag != "dataset" or not elements:
        raise ValueError(f"{path} is not a dlib file: it has no <dataset> with images")
    names = {part.get("name", "") for image in elements for part in image.iterfind("box/part")}
    numbered = all(name.isdecimal() for name in names)
    names = sorted(names, key=lambda name: (int(name), name) if numbered else name)
    if not names or "" in names:
        raise ValueError(f"{path} has no boxes with named parts")
    keypoints = [f"keypoint_{name}" if numbered else name for name in names]
    labels = Labels(roots=[path.resolve().parent])
    kinds: dict[str, int] = {}
    for element in elements:
        file = element.get("file", "")
        what = f"{path}: image {file!r:.80}"
        image = LabelledImage(file)
        if element.get("width") and element.get("height"):
            image.size = image_size(element.get("width"), element.get("height"), what)
        for box in element.iterfind("box"):
            left, top, width, height = (
                number(box.get(side), f"{what}: {side}")
                for side in ("left", "top", "width", "height")
            )
            label = box.findtext("label") or "object"
            if label not in kinds:
                kinds[label] = len(kinds)
                labels.kinds.append(Kind(label, keypoints, named=not numbered))
            points = np.zeros((len(names), 3))
            for part in box.iterfind("part"):
                x, y = (number(part.get(axis), f"{what}: part {axis}") for axis in "xy")
                points[names.index(part.get("name"))] = x, y, SEEN
            fields = {"iscrowd": 1} if box.get("ignore") == "1" else {}
            sides = (left, top, left + width, top + height)
            image.objects.append(LabelledObject(kinds[label], points, sides, fields))
        labels.images.append(image)
    return labels
