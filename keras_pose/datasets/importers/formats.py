"""The formats that are read, and which of them a file is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_pose.datasets.importers import (
    coco,
    cvat,
    deeplabcut,
    dlib,
    label_studio,
    mpii,
    sleap,
    yolo,
)
from keras_pose.datasets.importers.labels import Labels


@dataclass(frozen=True)
class Format:
    """A format of label files.

    Args:
        title: what people call it.
        source: which file or folder is named.
        detects: function that tells from the content of a path whether it is this format.
        read: function that reads a path.
    """

    title: str
    source: str
    detects: Callable[[Path], bool]
    read: Callable[[Path], Labels]


# In this order a path is asked what it is.
FORMATS = {
    "deeplabcut": Format(
        "DeepLabCut or lightning-pose",
        "project folder, config.yaml, or CollectedData_*.csv or .h5",
        deeplabcut.detects,
        deeplabcut.read,
    ),
    "sleap": Format("SLEAP", ".slp or .pkg.slp file", sleap.detects, sleap.read),
    "yolo": Format("YOLO-pose", ".yaml file or its folder", yolo.detects, yolo.read),
    "cvat": Format("CVAT for images 1.1", "annotations.xml or its folder", cvat.detects, cvat.read),
    "label-studio": Format("Label Studio", "JSON export", label_studio.detects, label_studio.read),
    "dlib": Format("dlib", "XML file of imglab", dlib.detects, dlib.read),
    "mpii": Format("MPII Human Pose", "its .mat file", mpii.detects, mpii.read),
    "coco": Format(
        "COCO", "JSON file, or a folder with annotations/*.json", coco.detects, coco.read
    ),
}


def find_format(source: Path, name: str | None = None) -> str:
    """Name of the format of a path.

    Args:
        source: file or folder.
        name: key of `FORMATS`. Default: told from the content.

    Raises:
        FileNotFoundError: there is nothing at this path.
        ValueError: the name is unknown, or no format fits.
    """
    if name is not None and name not in FORMATS:
        raise ValueError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
    if not source.exists():
        raise FileNotFoundError(f"there is no file or folder {source}")
    if source.suffix.lower() in (".zip", ".gz", ".tar", ".tgz", ".7z"):
        raise ValueError(f"{source} is an archive: unpack it and name the file or folder inside")
    if name is not None:
        return name
    for name, each in FORMATS.items():
        if each.detects(source):
            return name
    known = "; ".join(f"{each.title} ({each.source})" for each in FORMATS.values())
    raise ValueError(f"{source} is of no format that is read: {known}")
