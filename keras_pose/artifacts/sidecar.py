"""The JSON file beside an exported model: all that its users need to know."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import keras

from keras_pose.artifacts.formats import Format
from keras_pose.artifacts.inputs import POSES, input_of
from keras_pose.preset import file_hash

# Inside the folder of a SavedModel.
_SIDECAR, _REFERENCE = "keras_pose.json", "keras_pose.npz"

# Characters of a line in the file.
_LINE = 120

_PIXELS = "pixels of the input; the centre of the first pixel is (0, 0)"

# Meaning and unit of decoded outputs.
_KEYPOINTS = {
    "keypoints": ("x, y of each keypoint, in the skeleton's order", _PIXELS),
    "scores": ("confidence of each keypoint", "about 0 to 1"),
    "boxes": ("left, top, right, bottom of each person", _PIXELS),
    "box_scores": ("confidence of each person", "about 0 to 1"),
    "visible": ("probability that each keypoint can be seen", "0 to 1"),
    "root_depth": ("depth of the left wrist from the right one", "millimetres"),
    "hand_type": ("1 for a hand that is there: right, left", ""),
    "covariance": ("covariance of each keypoint's x, y", "squared pixels of the input"),
}
_POSES_3D = {
    "keypoints": (
        "x, y, z of each keypoint about the root, in the skeleton's order, of the middle frame or "
        "of all: x to the right, y down, z away from the camera",
        "metres",
    ),
    "scores": ("always 1", ""),
}
_DETECTIONS = {
    "boxes": ("left, top, right, bottom, best first; remove duplicates by NMS per class", _PIXELS),
    "scores": ("confidence of each box", "0 to 1"),
    "classes": ("index of each box's class in classes", ""),
}

# As Python understands it, too.
_CROP = (
    "cx, cy = (left + right) / 2, (top + bottom) / 2",
    "w, h = (right - left) * box_padding, (bottom - top) * box_padding",
    "w, h = max(w, h * W / H), max(h, w * H / W)",
)
_CROP_TO_IMAGE = {
    False: ("x_image = (x - W / 2) * w / W + cx", "y_image = (y - H / 2) * h / H + cy"),
    True: (
        "x_image = (x - (W - 1) / 2) * w / (W - 1) + cx",
        "y_image = (y - (H - 1) / 2) * h / (H - 1) + cy",
    ),
}
_CORNER_TO_IMAGE = (
    "s = max(image_width / W, image_height / H)",
    "x_image = x * s",
    "y_image = y * s",
)
_POSES_TO_INPUT = (
    "s = W / image_width",
    "x = (x_image - image_width / 2) * s + W / 2",
    "y = (y_image - image_height / 2) * s + H / 2",
)
_STRETCH_TO_IMAGE = ("x_image = x * image_width / W", "y_image = y * image_height / H")


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of an artifact lies: beside a file, inside a folder."""
    return path / _SIDECAR if path.is_dir() else path.with_name(f"{path.name}.json")


def reference_path(path: Path) -> Path:
    """Where the images and outputs lie that `verify` compares with."""
    return path / _REFERENCE if path.is_dir() else path.with_name(f"{path.name}.npz")


def read_sidecar(path: Path) -> dict:
    """The facts of an artifact.

    Raises:
        ValueError: there is no sidecar, or it is no JSON.
    """
    place = sidecar_path(path)
    if not place.is_file():
        raise ValueError(f"{path} has no {place.name}: it was not exported by keras_pose")
    try:
        return json.loads(place.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{place} is not JSON: {error}") from None


def write_sidecar(path: Path, facts: dict) -> None:
    """Writes the facts of an artifact, short lists and dicts on one line each."""
    sidecar_path(path).write_text(_json(facts) + "\n", "utf-8")


def _json(value, depth: int = 0) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + depth <= _LINE or not isinstance(value, list | dict):
        return flat
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()]
    else:
        items = [_json(item, depth + 1) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    margin = "\n" + " " * depth
    return start + ",".join(f"{margin} {item}" for item in items) + margin + end


def artifact_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder without the sidecar and the reference.

    That of a folder is the hash of the lines that `sha256sum` prints for its files, sorted by path.
    """
    if path.is_file():
        return file_hash(path)
    own = (_SIDECAR, _REFERENCE)
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    lines = [f"{file_hash(path / name)}  {name}\n" for name in files if name not in own]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def describe(
    model,
    format: Format,
    outputs: dict,
    decode: bool,
    flip_test: bool,
    batch_size: int | None,
    metadata: dict | None,
) -> dict:
    """What is known of an artifact before it is written.

    Args:
        outputs: arrays by name, what Keras returns for a few images.
        (others): as in `export`.
    """
    source = input_of(model)
    return {
        "format": format.name,
        "task": model.task,
        "made_by": {
            "keras_pose": version("keras-pose"),
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
        },
        "input": {
            "name": source.name,
            "shape": [batch_size, *source.shape],
            "dtype": source.dtype,
            "meaning": source.meaning,
        },
        "outputs": {
            name: {"shape": [batch_size, *value.shape[1:]], "dtype": value.dtype.name}
            | _explanation(model, name, decode)
            for name, value in outputs.items()
        },
        "decode": decode,
        "flip_test": flip_test,
        **({} if decode else {"codec": _codec(model)}),
        **_subject(model),
        "geometry": _geometry(model),
        **({"preset": metadata} if metadata else {}),
    }


def _explanation(model, name: str, decode: bool) -> dict:
    if not decode:
        return {"meaning": "raw output of the head, which codec decodes", "unit": ""}
    table = _KEYPOINTS if hasattr(model, "skeleton") else _DETECTIONS
    table = _POSES_3D if input_of(model).name == POSES else table
    meaning, unit = table.get(name, ("", ""))
    depth = getattr(model.head.codec, "depth", None)
    if name == "keypoints" and depth:
        meaning = f"x, y and the {depth}, of each keypoint, in the skeleton's order"
        unit = f"x, y: {unit}"
    return {"meaning": meaning, "unit": unit}


def _codec(model) -> dict:
    codec = model.head.codec
    return {"name": type(codec).__name__, **codec.get_config()}


def _subject(model) -> dict:
    if hasattr(model, "skeleton"):
        return {"skeleton": model.output_skeleton.to_dict()}
    return {"classes": list(model.class_names)}


def _geometry(model) -> dict:
    width, height = model.input_size
    if input_of(model).name == POSES:
        return {
            "W": width,
            "H": height,
            "how": "bring 2D poses of a video of image_width x image_height here",
            "to_input": list(_POSES_TO_INPUT),
        }
    if getattr(model, "resize_mode", None) == "corner":
        return {
            "W": width,
            "H": height,
            "how": "resize the whole upright image, keeping its shape, to the top left corner of "
            "W x H: every pixel x, y is read at x_image, y_image, bilinear, black outside; "
            "keypoints and boxes x, y go back by the same formula",
            "to_image": list(_CORNER_TO_IMAGE),
        }
    if not hasattr(model, "box_padding"):
        return {
            "W": width,
            "H": height,
            "how": "stretch the whole upright image to W x H, bilinear",
            "to_image": list(_STRETCH_TO_IMAGE),
        }
    return {
        "W": width,
        "H": height,
        "box_padding": model.box_padding,
        "udp": model.udp,
        "how": "crop the box left, top, right, bottom (pixels of the upright image) to W x H: "
        "every pixel x, y of the crop is read at x_image, y_image, bilinear, black outside; "
        "keypoints x, y go back by the same formula",
        "box": list(_CROP),
        "to_image": list(_CROP_TO_IMAGE[model.udp]),
    }
