"""Pictures in, `(H, W, 3)` uint8 RGB out: the only form the rest of the package sees."""

import os
from pathlib import Path

import numpy as np


def read_image(path: str | os.PathLike, alpha: bool = False) -> np.ndarray:
    """Reads a picture upright (EXIF rotation applied) as RGB.

    Grey pictures get three equal channels, an alpha channel is dropped, 16 bits become 8.

    Args:
        path: str or path of a file in any format that OpenCV reads.
        alpha: bool, add a fourth channel of 255: OpenCV warps four channels faster than three.

    Returns:
        uint8 array `(H, W, 3)`, RGB, or `(H, W, 4)` with `alpha`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty, truncated, corrupt or no image.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no image file {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not an image file")
    # np.fromfile and imdecode instead of imread: any characters in the path work on any system
    data = np.fromfile(path, np.uint8)
    return decode_image(data, path, alpha)


def decode_image(
    data: np.ndarray | bytes, name: str | os.PathLike = "image", alpha: bool = False
) -> np.ndarray:
    """Decodes the bytes of a picture file, see `read_image`.

    Args:
        data: bytes or uint8 array, the content of the file.
        name: what messages call it, usually its path.
        alpha: bool, add a fourth channel of 255.

    Returns:
        uint8 array `(H, W, 3)`, RGB, or `(H, W, 4)` with `alpha`.
    """
    import cv2

    data = np.frombuffer(data, np.uint8)
    if not data.size:
        raise ValueError(f"{name} is empty, not an image")
    if _is_truncated(data.tobytes()):
        raise ValueError(f"{name} is a truncated image: its end is missing")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(f"{name} is corrupt or not an image that OpenCV can read")
    if alpha:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGBA)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _is_truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end; OpenCV would fill the rest with grey and say nothing."""
    if data.startswith(b"\x89PNG"):
        return data.rfind(b"IEND") < 0
    if not data.startswith(b"\xff\xd8"):
        return False
    # Step over the header's segments (an EXIF thumbnail has an end marker of its own); within the
    # picture data that follows the first start of scan, FF D9 can only be the end.
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        if data[at + 1] == 0xDA:
            return data.rfind(b"\xff\xd9", at) < 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at + 4 > len(data)


def as_rgb(image: np.ndarray, name: str = "image") -> np.ndarray:
    """Checks a picture that comes as an array and converts it to RGB uint8.

    Args:
        image: array `(H, W)`, `(H, W, 1)`, `(H, W, 3)` or `(H, W, 4)` (alpha is dropped) in RGB
            order. uint8; uint16, of which the upper 8 bits are taken; other integers in 0..255;
            or floats, which are 0..1 if none is above 1, else 0..255.
        name: str, what the caller calls it; messages begin with it.

    Returns:
        uint8 array `(H, W, 3)`.

    Raises:
        ValueError: for another shape, type or range of values.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"{name} must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got shape {image.shape}"
        )
    if not image.size:
        raise ValueError(f"{name} has no pixels, got shape {image.shape}")
    image = _to_uint8(image, name)
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image[..., :3]


def _to_uint8(image: np.ndarray, name: str) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if image.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be uint8, uint16 or float, got dtype {image.dtype}")
    low, high = image.min(), image.max()
    if not (low >= 0 and high <= 255):  # also catches NaN
        raise ValueError(
            f"{name} of dtype {image.dtype} must lie in 0..255 (floats also in 0..1), "
            f"got values from {low} to {high}"
        )
    if image.dtype.kind == "f":
        image = np.rint(image * 255.0 if high <= 1 else image)
    return image.astype(np.uint8)
