"""JPEG pictures of which any rectangle can be decoded without what surrounds it.

They are ordinary JPEG files with a restart marker (ITU-T T.81, F.1.1.5) after every tile of 48x16
pixels, where the entropy coder starts anew, and with a comment that says where each tile begins.
Some tiles of some rows, with the header and a size of their own, are a JPEG file again. Training
looks at a third of a stored crop's pixels on average, and decoding is what costs.
"""

import functools
from collections.abc import Callable

import numpy as np

# Pixels of a coding unit, with colour at half the resolution (4:2:0): height of a tile.
UNIT = 16
# Coding units of a tile, side by side. Smaller tiles decode less that is not wanted, but the
# decoder is slower where an interval ends.
UNITS = 3
# Start of an 8-bit baseline frame; the picture's height and width follow.
_FRAME = b"\xff\xc0\x00\x11\x08"
# A comment of unsigned 32-bit integers: width, height, a tile's width, the edges of the tiles in
# the scan. It stands right before the scan.
_COMMENT, _NAME, _SCAN = b"\xff\xfe", b"tiles of keras_pose:", b"\xff\xda"
_FIRST_RESTART, _END = 0xD0, 0xD9
_RESTARTS = (_FIRST_RESTART + np.arange(1 << 14) % 8).astype(np.uint8)


def encode_tiled(image: np.ndarray, quality: int) -> bytes:
    """Encodes a picture in tiles.

    Args:
        image: uint8 array `(H, W, 3)`, RGB, of up to about 12 million pixels.
        quality: int, 1..100.

    Returns:
        The file's bytes. Its picture is up to 47 pixels wider: the last column fills the last tile.

    Raises:
        ValueError: the picture is too large.
    """
    import cv2

    height, width = image.shape[:2]
    units = -(-width // UNIT)
    interval = min(UNITS, units)
    columns, rows = -(-units // interval), -(-height // UNIT)
    missing = UNIT * interval * columns - width if columns > 1 else 0
    if missing:
        image = cv2.copyMakeBorder(image, 0, 0, 0, missing, cv2.BORDER_REPLICATE)
    settings = {
        cv2.IMWRITE_JPEG_QUALITY: quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_OPTIMIZE: 1,
        cv2.IMWRITE_JPEG_RST_INTERVAL: interval,
    }
    options = [number for item in settings.items() for number in item]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    file = data.tobytes()
    scan = file.index(_SCAN)
    body = data[scan + 2 + int.from_bytes(file[scan + 2 : scan + 4], "big") :]
    # in entropy-coded data FF is followed by 0, unless it is a marker
    restarts = np.flatnonzero((body[:-1] == 0xFF) & (body[1:] & 0xF8 == _FIRST_RESTART))
    if len(restarts) != rows * columns - 1:
        raise RuntimeError(f"OpenCV wrote {len(restarts) + 1} tiles, not {rows * columns}")
    facts = [width, height, UNIT * interval, 0, *(restarts + 2).tolist(), len(body)]
    comment = _NAME + np.array(facts, "<u4").tobytes()
    if len(comment) + 2 > 0xFFFF:
        raise ValueError(f"a picture of {width}x{height} pixels is too large for a stored crop")
    length = (len(comment) + 2).to_bytes(2, "big")
    return b"".join([file[:scan], _COMMENT, length, comment, file[scan:]])


def decode_region(
    data: bytes, low: tuple[int, int], high: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Decodes the tiles that hold some rectangle, or the nearest ones if it lies outside.

    Args:
        data: the file's bytes, as from `encode_tiled`.
        low, high: (x, y), the rectangle's corners, `high` outside of it.

    Returns:
        uint8 array `(h, w, 4)`, RGBA (OpenCV warps four channels faster than three), and (x, y),
        the pixel of the picture that its first one is.

    Raises:
        ValueError: the data are damaged.
    """
    try:
        file, origin, width = _cut(data, low, high)
        image = _decoder()(file)
    except (IndexError, ValueError):
        raise ValueError(
            "a stored crop is no JPEG picture of tiles: the shard is damaged"
        ) from None
    return image[:, :width], origin


@functools.cache
def _decoder() -> Callable[[bytearray], np.ndarray]:
    """Makes RGBA of a JPEG file: simplejpeg where it is installed, else OpenCV, which gives the
    same pixels but takes a third more time."""
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return _decode_with_opencv
    return functools.partial(decode_jpeg, colorspace="RGBA", strict=False)


def _decode_with_opencv(file: bytearray) -> np.ndarray:
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError("no JPEG picture")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGBA)


def _cut(data: bytes, low, high) -> tuple[bytearray, tuple[int, int], int]:
    """The tiles of a rectangle as a JPEG file of their own, where their first pixel lies, and how
    many of its columns are the picture's."""
    comment = data.index(_NAME)
    facts = comment + len(_NAME)
    scan = comment - 2 + int.from_bytes(data[comment - 2 : comment], "big")
    body = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    edges = np.frombuffer(data, "<u4", (scan - facts) // 4, facts)
    width, height, side = edges[:3].tolist()
    columns = -(-width // side)
    left, right = _covering(low[0], high[0], side, columns)
    top, bottom = _covering(low[1], high[1], UNIT, -(-height // UNIT))
    # the tiles of these rows: where they begin and, with the next one's beginning, end
    edges = edges[3 + columns * top : 4 + columns * bottom].astype(np.intp)
    starts = edges[:-1].reshape(bottom - top, columns)[:, left:right]
    ends = edges[1:].reshape(bottom - top, columns)[:, left:right]
    left, top = side * left, UNIT * top
    shown = min(side * right, width) - left
    frame = data.index(_FRAME) + len(_FRAME)
    across = shown if columns == 1 else side * right - left
    size = (min(UNIT * bottom, height) - top << 16 | across).to_bytes(4, "big")
    header = b"".join((data[:frame], size, data[frame + 4 : comment - 4], data[scan:body]))
    content = memoryview(data)[body:]
    bounds = zip(starts[:, 0].tolist(), ends[:, -1].tolist(), strict=True)
    file = bytearray().join([header, *[content[first:last] for first, last in bounds]])
    # the markers count from 0 again, and the last one ends the file
    markers = (ends - starts).ravel().cumsum()
    markers += len(header) - 1
    np.frombuffer(file, np.uint8)[markers] = _RESTARTS[: len(markers)]
    file[-1] = _END
    return file, (left, top), shown


def _covering(low: int, high: int, side: int, count: int) -> tuple[int, int]:
    """The tiles, of `count` in a line, from which to which (without it) pixels are covered."""
    first = min(max(low // side, 0), count - 1)
    return first, min(max(-(-high // side), first + 1), count)
