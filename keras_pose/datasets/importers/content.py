"""Reading text, YAML and XML files with one-sentence errors, and telling them apart."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from keras_pose.datasets.readers.records import shortened

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def beginning(path: Path, count: int = 4096) -> bytes:
    """The first bytes of a file; none of a folder."""
    if not path.is_file():
        return b""
    with open(path, "rb") as file:
        return file.read(count)


def first_tag(path: Path) -> str:
    """Name of the root element of an XML file, "" for another file."""
    text = beginning(path).decode("latin-1")
    if not text.lstrip("\ufeff\xef\xbb\xbf \r\n\t").startswith("<"):
        return ""
    found = re.search(r"<([A-Za-z_][\w.-]*)", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))
    return found[1] if found else ""


def first_mark(path: Path) -> str:
    """The first character of a text file that is no white space."""
    text = beginning(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    return text[:1].decode("latin-1")


def read_text(path: Path) -> str:
    """A UTF-8 text file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a UTF-8 text file: byte {error.start} is wrong") from None


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML file whose content is a mapping.

    Raises:
        ImportError: PyYAML is missing.
    """
    try:
        import yaml
    except ImportError:
        raise ImportError("reading .yaml needs PyYAML: pip install 'keras-pose[import]'") from None
    text = read_text(path)
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not a YAML file: {reason:.200}") from None
    except (AttributeError, LookupError, TypeError) as error:  # of PyYAML on damaged files
        raise ValueError(f"{path} is not a YAML file: {error!r}") from None
    if not isinstance(data, Mapping):
        raise ValueError(f"{path} must hold keys and values, got {type(data).__name__}")
    return data


def read_xml(path: Path) -> ElementTree.Element:
    """The root element of an XML file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(f"{path} is not an XML file that can be read: {error}") from None


def number(value: object, what: str) -> float:
    """A finite number from a file.

    Args:
        value: what stands there, a number or its text.
        what: what messages call it, with the place.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} must be a number, got {shortened(value)}") from None
    if not np.isfinite(found):
        raise ValueError(f"{what} must be a finite number, got {shortened(value)}")
    return found


def whole(value: object, what: str) -> int:
    """A whole number from a file, see `number`."""
    found = number(value, what)
    if found != int(found):
        raise ValueError(f"{what} must be a whole number, got {shortened(value)}")
    return int(found)


def image_size(width: object, height: object, what: str) -> tuple[int, int]:
    """(width, height) of an image from a file, in pixels."""
    size = whole(width, f"width of {what}"), whole(height, f"height of {what}")
    if not all(0 < side < 10**6 for side in size):
        raise ValueError(f"width and height of {what} must be 1 to 999999 pixels, got {size}")
    return size
