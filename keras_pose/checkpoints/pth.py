"""PyTorch's `.pth` files as NumPy arrays, without PyTorch and without executing anything.

Both kinds are read: the zip archives that PyTorch writes since 1.6, and the older files, which are
several pickles and then the numbers
(https://github.com/pytorch/pytorch/blob/main/torch/serialization.py).
"""

import io
import os
import pickle
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_pose.checkpoints.unpickling import DTYPES, CheckpointUnpickler, Storage, Tensor

# The first pickle of a file of the older kind.
_MAGIC = 0x1950A86A20F9469CFC6C


class PthFile:
    """A `.pth` file whose tensors are read when they are asked for.

    Args:
        path: the file.

    Attributes:
        content: what was saved, with a `Tensor` in the place of every tensor. Objects that are
            neither tensors nor plain Python values do nothing.

    Raises:
        ValueError: the file is truncated, of another kind, or would execute something.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self._read: dict[str, np.ndarray] = {}
        with open(path, "rb") as file:
            start = file.read(512)
            file.seek(0)
            try:
                if start[:4] == b"PK\x03\x04":
                    self.content, self._places = _open_archive(file)
                else:
                    self.content, self._places = _open_legacy(file, start)
            except _Refused:
                raise
            except pickle.UnpicklingError as error:
                raise _Refused(_reason(error)) from None
            except Exception as error:
                # Damaged pickles and archives fail in as many ways as there are operations.
                raise _Refused(f"it is damaged or truncated ({type(error).__name__})") from None

    def array(self, tensor: Tensor) -> np.ndarray:
        """The numbers of a tensor.

        bfloat16 and float8 become float32 and complex32 becomes complex64, which hold each of
        their numbers; all other dtypes stay.

        Raises:
            ValueError: the file is too short or damaged there.
        """
        storage = tensor.storage
        dtype = _numpy_dtype(tensor.dtype)
        data = self._storage(storage.key)
        first = storage.first * _numpy_dtype(storage.dtype).itemsize
        limit = first + storage.count * _numpy_dtype(storage.dtype).itemsize
        start = first + tensor.offset * dtype.itemsize
        reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
        if 0 in tensor.shape:
            values = np.zeros(tensor.shape, dtype)
        elif start + (reach + 1) * dtype.itemsize > min(limit, data.nbytes):
            raise _Refused("it is damaged: a tensor reaches beyond its storage")
        else:
            strides = tuple(dtype.itemsize * stride for stride in tensor.strides)
            values = np.ndarray(tensor.shape, dtype, data, start, strides)
        return _WIDER[tensor.dtype](values) if tensor.dtype in _WIDER else values

    def _storage(self, key: str) -> np.ndarray:
        """The bytes of a storage; tensors that share one get the same."""
        if key not in self._read:
            if key not in self._places:
                raise _Refused(f"it is damaged: the storage {key} is missing")
            self._read[key] = self._places[key].read(self._path)
        return self._read[key]


class _Refused(ValueError):
    """Why a file is not read, as the end of a sentence."""


@dataclass(frozen=True)
class _Place:
    """Where in the file a storage lies, in bytes."""

    offset: int
    size: int
    crc: int | None = None

    def read(self, path: Path) -> np.ndarray:
        data = np.empty(self.size, np.uint8)
        with open(path, "rb") as file:
            file.seek(self.offset)
            have = file.readinto(data.data)
        if have != self.size:
            raise _Refused("it is truncated")
        if self.crc is not None and zlib.crc32(data.data) != self.crc:
            raise _Refused("it is damaged: a checksum inside it does not agree")
        return data


def _open_archive(file) -> tuple[Any, dict[str, _Place]]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise _Refused("it is truncated: the end of the archive is missing") from None
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickles = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
    if any(name.endswith("/constants.pkl") for name in entries):
        raise _Refused("it is a TorchScript program, not a checkpoint")
    if len(pickles) != 1:
        raise _Refused("it is an archive, but not one of PyTorch's")
    folder = pickles[0].removesuffix("data.pkl")
    order = entries.get(f"{folder}byteorder")
    if order is not None and archive.read(order) != b"little":
        raise _Refused("it was written on a big-endian machine")
    places = {}
    for name, entry in entries.items():
        if name.startswith(f"{folder}data/"):
            if entry.compress_type != zipfile.ZIP_STORED:
                raise _Refused("it is an archive, but not one of PyTorch's: it is compressed")
            key = name.removeprefix(f"{folder}data/")
            places[key] = _Place(_data_offset(file, entry), entry.file_size, entry.CRC)
    return CheckpointUnpickler(io.BytesIO(archive.read(pickles[0]))).load(), places


def _data_offset(file, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin: behind its header, its name and what pads them."""
    file.seek(entry.header_offset + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    return entry.header_offset + 30 + name + extra


def _open_legacy(file, start: bytes) -> tuple[Any, dict[str, _Place]]:
    if start[:1] != b"\x80":
        raise _Refused(_kind(start))
    if CheckpointUnpickler(file).load() != _MAGIC:
        raise _Refused("it is a pickle, but not one of PyTorch's")
    CheckpointUnpickler(file).load()  # the version of the format, 1001
    system = CheckpointUnpickler(file).load()
    if not system.get("little_endian", True):
        raise _Refused("it was written on a big-endian machine")
    unpickler = CheckpointUnpickler(file)
    content = unpickler.load()
    places = {}
    for key in CheckpointUnpickler(file).load():
        header = file.read(8)
        if len(header) < 8:
            raise _Refused("it is truncated")
        (count,) = struct.unpack("<q", header)
        storage: Storage = unpickler.storages[str(key)]
        if count != storage.count:
            raise _Refused("it is damaged: a storage has another size than its tensors say")
        place = _Place(file.tell(), count * _numpy_dtype(storage.dtype).itemsize)
        places[storage.key] = place
        file.seek(place.size, os.SEEK_CUR)
    if file.tell() > os.fstat(file.fileno()).st_size:
        raise _Refused("it is truncated")
    return content, places


def _kind(start: bytes) -> str:
    """What a file is that is no pickle."""
    text = start.lstrip().lower()
    if not start:
        return "it is empty"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, as failed downloads leave"
    if text.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: fetch the file itself with `git lfs pull`"
    if start[257:262] == b"ustar":
        return "it is a tar archive, as PyTorch wrote them before 0.2"
    return "it is no PyTorch file"


def _reason(error: pickle.UnpicklingError) -> str:
    text = str(error)
    return text if text.startswith("it ") else f"it is damaged or truncated ({text})"


def _numpy_dtype(name: str) -> np.dtype:
    kind = DTYPES[name]
    return np.dtype(getattr(ml_dtypes, kind) if kind.startswith(("bfloat", "float8")) else kind)


def _to_float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _pairs_of_halves(values: np.ndarray) -> np.ndarray:
    halves = np.ascontiguousarray(values).view(np.float16).astype(np.float32)
    return halves.view(np.complex64).reshape(values.shape)


_WIDER = {
    "complex32": _pairs_of_halves,
    **{name: _to_float32 for name in DTYPES if name.startswith(("bfloat", "float8"))},
}
