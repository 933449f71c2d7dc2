"""Reading pickled NumPy arrays (`.pkl`, and `.npz` with objects) without executing anything.

Data sets of 3D poses are often published as pickles of dicts of arrays. A pickle is a program; here
the names that it may use are those of NumPy's arrays, dtypes and scalars, each of which is put
together by the functions below, and every other name is refused.
"""

import math
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_pose.checkpoints.unpickling import SafeCall


def read_pickle(path: str | os.PathLike) -> Any:
    """The content of a pickle of arrays and plain Python values.

    Args:
        path: the file.

    Returns:
        What was pickled, made of dicts, lists, tuples, numbers, strings and NumPy arrays.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or asks for something else.
    """
    path = _existing(path)
    with open(path, "rb") as file:
        return _load(file, path)


def read_npz(path: str | os.PathLike) -> dict[str, Any]:
    """The arrays of an `.npz` file, also those that hold pickled objects.

    Args:
        path: the file.

    Returns:
        Name to array; an array `()` of one object is that object.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or asks for something else.
    """
    path = _existing(path)
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    arrays[name.removesuffix(".npy")] = _read_npy(member, path)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a whole .npz file: {error}") from None
    return arrays


def _existing(path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path


_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _read_npy(member: BinaryIO, path: Path) -> Any:
    try:
        version = np.lib.format.read_magic(member)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of .npy")
        shape, fortran, dtype = _HEADERS[version](member)
        if not dtype.hasobject:
            data = member.read()
            order = "F" if fortran else "C"
            return np.frombuffer(data, dtype, math.prod(shape)).reshape(shape, order=order)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    value = _load(member, path)
    return value.item() if isinstance(value, np.ndarray) and value.shape == () else value


def _load(file: BinaryIO, path: Path) -> Any:
    try:
        return _finished(_ArrayUnpickler(file).load())
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not read: {error}") from None
    except Exception as error:
        # Damaged pickles fail in as many ways as there are operations.
        raise ValueError(f"{path} is damaged or truncated ({type(error).__name__})") from None


class _DType:
    """A dtype on its way: its name, and later the order of its bytes."""

    def __init__(self, name, *rest):
        self.name, self.order = name, "="

    def __setstate__(self, state):
        self.order = state[1]

    def finished(self) -> np.dtype:
        name = self.name.decode("latin1") if isinstance(self.name, bytes) else self.name
        if not isinstance(name, str) or name[:1] not in "biufcSUO" or self.order not in "<>=|":
            raise pickle.UnpicklingError(f"it holds an array of a kind that is not read: {name!r}")
        return np.dtype(name).newbyteorder(self.order)


class _Array:
    """An array on its way: its shape, dtype and bytes come in a second step."""

    def __init__(self, *ignored):
        self.state = None

    def __setstate__(self, state):
        self.state = state[-4:]  # before them, files of today have a version number

    def finished(self) -> np.ndarray:
        if self.state is None:
            raise pickle.UnpicklingError("it is damaged: an array without content")
        shape, dtype, fortran, data = self.state
        return _array(shape, dtype, "F" if fortran else "C", data)


def _array(shape, dtype, order, data) -> np.ndarray:
    dtype = dtype.finished()
    if dtype.hasobject:
        array = np.empty(math.prod(shape), object)
        array[:] = [_finished(item) for item in data]
    else:
        # Python 2's pickles bring bytes as text
        data = data.encode("latin1") if isinstance(data, str) else data
        array = np.frombuffer(data, dtype, math.prod(shape))
        if len(data) != array.nbytes:
            raise pickle.UnpicklingError("it is damaged: an array that is longer than its shape")
    array = array.reshape(shape, order=order)
    return array if dtype.isnative or dtype.hasobject else array.astype(dtype.newbyteorder("="))


def _scalar(dtype, data=b"") -> np.generic:
    data = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(data, dtype.finished(), 1)[0]


def _from_buffer(data, dtype, shape, order) -> np.ndarray:
    return _array(shape, dtype, order, data)


def _encode(text, encoding) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it is damaged: bytes written as {encoding!r:.40}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """`bytes()`, with which protocols below 3 write an empty array."""
    return b""


_CALLS = {
    **{f"{module}.bytes": _no_bytes for module in ("builtins", "__builtin__")},
    "numpy.dtype": _DType,
    "numpy.ndarray": _Array,  # named only; `_reconstruct` is what is called
    "_codecs.encode": _encode,
    "collections.OrderedDict": OrderedDict,
    **{f"numpy.{core}.multiarray._reconstruct": _Array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
}


class _ArrayUnpickler(pickle.Unpickler):
    """Puts arrays together itself; executes nothing that the file names."""

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _CALLS:
            raise pickle.UnpicklingError(
                f"it asks for {full}, which could execute something; nothing was run (if you trust "
                "the file, save its arrays alone)"
            )
        return SafeCall(_CALLS[full])

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside the file")


def _finished(value: Any) -> Any:
    """The value with arrays in the place of what was on its way to become one."""
    if isinstance(value, _Array | _DType):
        return value.finished()
    if isinstance(value, dict):
        return {_finished(key): _finished(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(item) for item in value)
    if isinstance(value, SafeCall):
        raise pickle.UnpicklingError("it is damaged: a function where a value should be")
    return value
