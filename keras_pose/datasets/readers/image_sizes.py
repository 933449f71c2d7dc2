"""Width and height of picture files without decoding them."""

import os

from keras_pose.images import read_image

# Markers of a JPEG that begin a frame, which says the size: C0..CF but for DHT, JPG and DAC.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of a picture as `keras_pose.images.read_image` gives it, upright.

    The header of a PNG, or of a JPEG without EXIF, says it; any other picture is decoded.

    Raises:
        FileNotFoundError, ValueError: as `read_image`.
    """
    if os.path.isfile(path):
        with open(path, "rb") as file:
            start = file.read(64 * 1024)
        if start[:8] == b"\x89PNG\r\n\x1a\n" and start[12:16] == b"IHDR" and b"eXIf" not in start:
            width, height = start[16:20], start[20:24]
        else:
            height, width = _jpeg_frame(start)
        size = int.from_bytes(width, "big"), int.from_bytes(height, "big")
        if all(size):
            return size
    return read_image(path).shape[1::-1]


def _jpeg_frame(start: bytes) -> tuple[bytes, bytes]:
    """The bytes of height and width in a JPEG's frame header; nothing where there is EXIF."""
    at = 2 if start[:2] == b"\xff\xd8" else len(start)
    while at + 9 < len(start) and start[at] == 0xFF:
        marker = start[at + 1]
        if marker in _FRAMES:
            return start[at + 5 : at + 7], start[at + 7 : at + 9]
        if marker == 0xE1 and start[at + 4 : at + 8] == b"Exif":
            break
        at += 1 if marker == 0xFF else 2 + int.from_bytes(start[at + 2 : at + 4], "big")
    return b"", b""
