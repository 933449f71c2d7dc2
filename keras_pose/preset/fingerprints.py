"""Which published architecture a checkpoint belongs to, told by the names and shapes in it.

A fingerprint is the smallest of the hashes of all names with their shapes; two sets share about as
many of their smallest hashes as they share members
(https://en.wikipedia.org/wiki/MinHash, "variant with a single hash function").
"""

import base64
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

_SIZE = 20


def fingerprint(layout: Iterable[tuple[str, Iterable[int]]]) -> str:
    """The fingerprint of names with shapes, 20 hashes of 32 bits in base64."""
    hashes = {
        zlib.crc32(f"{name} {','.join(map(str, shape))}".encode())
        for name, shape in layout
        if not name.endswith("num_batches_tracked")
    }
    smallest = np.array(sorted(hashes)[:_SIZE], "<u4")
    return base64.b64encode(smallest.tobytes()).decode("ascii")


def nearest(layout: Iterable[tuple[str, Iterable[int]]], known: Mapping[str, str]) -> str | None:
    """The entry of `known` that has most in common with names and shapes; None if none has much.

    Args:
        layout: names and shapes of the arrays of a checkpoint.
        known: {name: fingerprint}.
    """
    own = _hashes(fingerprint(layout))
    best, most = None, 0.3
    for name, text in known.items():
        other = _hashes(text)
        union = sorted(own | other)[:_SIZE]
        common = sum(number in own and number in other for number in union) / max(len(union), 1)
        if common > most:
            best, most = name, common
    return best


def _hashes(text: str) -> set[int]:
    return set(np.frombuffer(base64.b64decode(text), "<u4").tolist())
