"""The MATLAB file of the MPII Human Pose data set."""

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from keras_pose.datasets.importers.content import beginning, number, whole
from keras_pose.datasets.importers.labels import (
    HIDDEN,
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)
from keras_pose.skeleton import Skeleton

_READER = """\
import pickle, sys
from scipy.io import loadmat
data = loadmat(sys.argv[1], struct_as_record=False, squeeze_me=True, variable_names=["RELEASE"])
pickle.dump(data, sys.stdout.buffer)
"""

# A person's `scale` is its height in units of 200 pixels (the data set's README).
_UNIT = 200


def detects(path: Path) -> bool:
    """Whether this is a MATLAB file."""
    return beginning(path, 10) == b"MATLAB 5.0"


def read(path: Path) -> Labels:
    """Reads people with joints; MATLAB counts pixels from 1, so 1 is taken off positions.

    A person's box is the square of its scale around its centre; the head's box is kept as
    `head_box` (xyxy), which PCKh needs. Splits: `img_train` 1 is "train", 0 "test".

    Raises:
        ImportError: SciPy is missing.
    """
    if importlib.util.find_spec("scipy") is None:
        raise ImportError("reading .mat needs SciPy: pip install 'keras-pose[import]'")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        release = _content(path)["RELEASE"]
        entries = _all(release.annolist)
    except Exception as error:  # SciPy does not say which errors damaged files raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is not a file of MPII Human Pose that can be read: {reason:.200}"
        ) from None
    training = _all(getattr(release, "img_train", ()))
    skeleton = Skeleton.load("mpii")
    kind = Kind("person", skeleton.keypoints, skeleton.links.tolist())
    folder = path.resolve().parent
    labels = Labels(roots=[folder, folder / "images"], kinds=[kind])
    for i, entry in enumerate(entries):
        name = str(getattr(getattr(entry, "image", None), "name", ""))
        image = LabelledImage(name)
        if len(training) == len(entries):
            image.split = "train" if training[i] else "test"
        for person in _all(getattr(entry, "annorect", ())):
            _add(image, person, f"{path}: {name}", labels)
        labels.images.append(image)
    return labels


def _add(image: LabelledImage, person, what: str, labels: Labels) -> None:
    points = _all(getattr(getattr(person, "annopoints", None), "point", ()))
    if not points:
        labels.skipped.add("people without joints", image.path)
        return
    keypoints = np.zeros((16, 3))
    for point in points:
        place = whole(getattr(point, "id", None), f"{what}: id of a joint")
        if not 0 <= place < 16:
            raise ValueError(f"{what}: id of a joint must be 0 to 15, got {place}")
        x, y = (number(getattr(point, axis, None), f"{what}: {axis}") - 1 for axis in "xy")
        # neck and head top carry no flag
        hidden = str(getattr(point, "is_visible", 1)) == "0"
        keypoints[place] = x, y, HIDDEN if hidden else SEEN
    box = None
    centre = getattr(person, "objpos", None)
    if hasattr(centre, "x") and hasattr(centre, "y") and hasattr(person, "scale"):
        x, y = (number(getattr(centre, axis), f"{what}: objpos") - 1 for axis in "xy")
        half = number(person.scale, f"{what}: scale") * _UNIT / 2
        box = (x - half, y - half, x + half, y + half)
    fields = {}
    head = [getattr(person, side, None) for side in ("x1", "y1", "x2", "y2")]
    if None not in head:
        fields["head_box"] = [number(value, f"{what}: box of the head") - 1 for value in head]
    image.objects.append(LabelledObject(0, keypoints, box, fields))


def _content(path: Path) -> dict:
    """Variables of a MATLAB file.

    Wrong bytes can end the process that reads them (SciPy 1.17), so another one does.
    """
    reader = [sys.executable, "-c", _READER, str(path)]
    done = subprocess.run(reader, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        crashed = done.returncode < 0 or not lines
        raise ValueError("SciPy breaks down on its bytes" if crashed else lines[-1])
    return pickle.loads(done.stdout)


def _all(value) -> list:
    """The entries of a MATLAB array, however many there are."""
    return list(np.atleast_1d(np.asarray(value, object)).ravel()) if value is not None else []
