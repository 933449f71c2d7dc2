"""JPEG pictures of which any rows can be decoded without those above and below.

They are ordinary JPEG files with a restart marker (ITU-T T.81, F.1.1.5) after every 16 rows, where
the entropy coder starts anew. Those rows with the header and their own height are a JPEG file
again. Training looks at two thirds of a stored crop's rows on average, and decoding is what costs.
"""

import numpy as np

# Rows of a coding unit, with colour at half the resolution (4:2:0).
BAND = 16
# Start of an 8-bit baseline frame; the picture's height follows.
_FRAME = b"\xff\xc0\x00\x11\x08"
_FIRST_RESTART, _END = 0xD0, b"\xff\xd9"


def encode_banded(image: np.ndarray, quality: int) -> tuple[bytes, np.ndarray]:
    """Encodes a picture in bands of 16 rows.

    Args:
        image: uint8 array `(H, W, 3)`, RGB.
        quality: int, 1..100.

    Returns:
        The file's bytes, and int32 `(ceil(H / 16) + 1,)`: where each band's data begin, and the
        end of the last one's.
    """
    import cv2

    settings = {
        cv2.IMWRITE_JPEG_QUALITY: quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_OPTIMIZE: 1,
        cv2.IMWRITE_JPEG_RST_INTERVAL: -(-image.shape[1] // BAND),
    }
    options = [number for item in settings.items() for number in item]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    scan = data.tobytes().index(b"\xff\xda")
    first = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4].tobytes(), "big")
    # in entropy-coded data FF is followed by 0, unless it is a marker
    body = data[first:]
    restarts = np.flatnonzero((body[:-1] == 0xFF) & (body[1:] & 0xF8 == _FIRST_RESTART))
    starts = np.concatenate([[0], restarts + 2, [len(body) - len(_END)]]) + first
    bands = -(-image.shape[0] // BAND)
    if len(starts) != bands + 1:
        raise RuntimeError(f"OpenCV wrote {len(starts) - 1} bands of JPEG, expected {bands}")
    return data.tobytes(), starts.astype(np.int32)


def decode_rows(data: bytes, starts: np.ndarray, first: int, last: int) -> tuple[np.ndarray, int]:
    """Decodes the bands that hold some rows.

    Args:
        data: the file's bytes.
        starts: ints, as from `encode_banded`.
        first, last: int, the rows `first` to `last` (without it) are wanted.

    Returns:
        uint8 array `(h, W, 4)`, RGBA (OpenCV warps four channels faster than three), and the row
        of the picture that its first row is.

    Raises:
        ValueError: the data are damaged.
    """
    import cv2

    bands = len(starts) - 1
    first = min(max(first // BAND, 0), bands - 1)
    last = min(max(-(-last // BAND), first + 1), bands)
    if first or last < bands:
        data = _cut(data, starts, first, last)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError("a stored crop is no JPEG picture: the shard is damaged")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGBA), first * BAND


def _cut(data: bytes, starts: np.ndarray, first: int, last: int) -> bytes:
    """The bands `first` to `last` (without it) as a JPEG file of their own."""
    frame = data.index(_FRAME) + len(_FRAME)
    height = int.from_bytes(data[frame : frame + 2], "big")
    rows = min(BAND * (last - first), height - BAND * first)
    end = starts[last] if last == len(starts) - 1 else starts[last] - 2
    body = bytearray(data[starts[first] : end])
    for number, restart in enumerate(starts[first + 1 : last] - starts[first] - 1):
        body[restart] = _FIRST_RESTART + number % 8  # they count from 0
    return b"".join(
        [data[:frame], rows.to_bytes(2, "big"), data[frame + 2 : starts[0]], body, _END]
    )
