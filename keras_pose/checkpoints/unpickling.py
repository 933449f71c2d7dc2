"""Reading the pickle inside a PyTorch file without executing anything that it names.

A pickle is a program: it names functions and has them called. Here a name means what the tables
below say. Tensors become `Tensor`s, which know where in the file their numbers lie; the metadata of
mmengine, mmcv and others become objects that do nothing; every other name is refused.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

# PyTorch's dtypes by their NumPy names; kinds that NumPy lacks are in `ml_dtypes` or widened.
DTYPES = {
    "float64": "float64",
    "float32": "float32",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "float8_e4m3fn",
    "float8_e5m2": "float8_e5m2",
    "float8_e4m3fnuz": "float8_e4m3fnuz",
    "float8_e5m2fnuz": "float8_e5m2fnuz",
    "complex32": "uint32",
    "complex64": "complex64",
    "complex128": "complex128",
    "int64": "int64",
    "int32": "int32",
    "int16": "int16",
    "int8": "int8",
    "uint64": "uint64",
    "uint32": "uint32",
    "uint16": "uint16",
    "uint8": "uint8",
    "bool": "bool",
}
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
# Packages whose objects stand in checkpoints beside the weights; None: all of their names.
_INERT: dict[str, frozenset | None] = {
    **dict.fromkeys(
        (
            *("mmengine", "mmcv", "mmpose", "mmdet", "mmcls", "mmpretrain", "mmseg", "mmyolo"),
            *("mmrazor", "mmselfsup", "mmrotate", "addict", "omegaconf", "yapf"),
            *("lightning", "lightning_fabric", "pytorch_lightning"),
        )
    ),
    "builtins": frozenset(
        (
            *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int"),
            *("list", "object", "range", "set", "slice", "str", "tuple", "type"),
        )
    ),
    "collections": frozenset(("Counter", "defaultdict", "deque")),
    "copyreg": frozenset(("_reconstructor", "__newobj__", "__newobj_ex__")),
    "_codecs": frozenset(("encode",)),
    "datetime": frozenset(("date", "datetime", "time", "timedelta", "timezone")),
    "pathlib": frozenset(("Path", "PosixPath", "PurePath", "PurePosixPath", "WindowsPath")),
    "pathlib._local": frozenset(("Path", "PosixPath", "PurePath", "PurePosixPath", "WindowsPath")),
    "argparse": frozenset(("Namespace",)),
    "torch": frozenset(("Size", "device", "Tensor", "Generator", "strided")),
    "torch.nn.parameter": frozenset(("Parameter", "Buffer")),
    "torch.nn": frozenset(("Parameter", "Buffer")),
    "torch.optim": None,
    "torch.amp": None,
    "torch.cuda.amp": None,
    "torch.serialization": frozenset(("_get_layout",)),
    "numpy": frozenset(("ndarray", "dtype", *DTYPES, "bool_", "str_", "bytes_", "longlong")),
    "numpy.dtypes": None,
    "numpy.random._pickle": None,
    **dict.fromkeys(
        ("numpy.core.multiarray", "numpy._core.multiarray"), frozenset(("_reconstruct", "scalar"))
    ),
    **dict.fromkeys(("numpy.core.numeric", "numpy._core.numeric"), frozenset(("_frombuffer",))),
}
# Python 2's names of the same modules.
_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


@dataclass(frozen=True)
class Storage:
    """Numbers of one dtype, one after the other in the file.

    Args:
        key: name of the storage in the file.
        dtype: key of `DTYPES`.
        count: int, how many numbers.
        first: int, where a part of a larger storage begins, in numbers.
    """

    key: str
    dtype: str
    count: int
    first: int = 0


@dataclass(frozen=True)
class Tensor:
    """A tensor as the file describes it.

    Args:
        storage: where its numbers lie.
        offset, strides: in numbers of `dtype`.
        shape: tuple of int.
        dtype: key of `DTYPES`; differs from the storage's where that is untyped.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str


class Inert:
    """Stands for an object whose class is not needed: takes everything, does nothing."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def add(self, item):
        pass


class SafeCall:
    """What may be called in a pickle. Unlike a function, it cannot be altered from there."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable):
        object.__setattr__(self, "_function", function)

    def __call__(self, *args):
        return self._function(*args)

    def __setattr__(self, name, value):
        raise pickle.UnpicklingError("it alters what reads it")

    def __setstate__(self, state):
        raise pickle.UnpicklingError("it alters what reads it")


@dataclass(frozen=True)
class _DType:
    """One of PyTorch's dtypes or storage classes."""

    name: str


def _tensor(storage, offset, size, strides, *rest, dtype=None) -> Tensor:
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("it is damaged: a tensor without a storage")
    numbers = (offset, *size, *strides)
    if len(size) != len(strides) or any(type(n) is not int or n < 0 for n in numbers):
        raise pickle.UnpicklingError("it is damaged: a tensor's shape and strides make no sense")
    return Tensor(storage, offset, tuple(size), tuple(strides), dtype or storage.dtype)


def _typed_tensor(storage, offset, size, strides, grad, hooks, dtype, *rest) -> Tensor:
    return _tensor(storage, offset, size, strides, dtype=dtype.name)


def _inner(data, *rest):
    """Of a Parameter, the tensor inside."""
    return data


def _of_type(function, kind, args, state):
    """A tensor of a class of its own, or with attributes."""
    if not isinstance(function, SafeCall):
        raise pickle.UnpicklingError("it is damaged: a tensor that is made by no known function")
    return function(*args)


def _attribute(owner, name):
    """`getattr`, with which Python 2's protocol names methods of classes."""
    if not (isinstance(owner, type) and issubclass(owner, Inert)):
        raise pickle.UnpicklingError("it asks for getattr, which could execute something")
    return type(str(name), (Inert,), {})


_CALLS = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _inner,
    "torch._utils._rebuild_parameter_with_state": _inner,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._tensor._rebuild_from_type": _of_type,
    "builtins.getattr": _attribute,
}


class CheckpointUnpickler(pickle.Unpickler):
    """Reads one pickle of a PyTorch file; executes nothing that the file names."""

    def __init__(self, file: BinaryIO):
        # Python 2 wrote names and arrays as bytes; latin1 keeps every one of them.
        super().__init__(file, encoding="latin1")
        self._classes: dict[str, type] = {}
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        module = _MODULES.get(module, module)
        full = f"{module}.{name}"
        if full == "collections.OrderedDict":
            return OrderedDict
        if full in _CALLS:
            return SafeCall(_CALLS[full])
        if module.split(".")[0] == "torch":
            if name in _STORAGES and module in ("torch", "torch.cuda", "torch.storage"):
                return _DType(_STORAGES[name])
            if name in DTYPES and module == "torch":
                return _DType(name)
            if name.startswith(("_rebuild_", "Q", "q")):
                raise pickle.UnpicklingError(f"it holds tensors of a kind that is not read: {full}")
        if _is_inert(module, name):
            return self._classes.setdefault(full, type(name, (Inert,), {}))
        if module.startswith("torch.nn.modules"):
            raise pickle.UnpicklingError(
                "it holds a whole PyTorch module: save its state_dict() instead"
            )
        raise pickle.UnpicklingError(
            f"it asks for {full}, which could execute something; nothing was run (if you trust the "
            "file, save its state_dict alone with PyTorch)"
        )

    def persistent_load(self, pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise pickle.UnpicklingError("it holds a whole PyTorch module or is damaged")
        _, kind, key, _, count, *view = pid
        if not isinstance(kind, _DType) or type(count) is not int or count < 0:
            raise pickle.UnpicklingError("it is damaged: a storage of no known kind")
        root = Storage(str(key), kind.name, count)
        self.storages[root.key] = root
        if view and view[0] is not None:
            _, first, count = view[0]
            return Storage(root.key, kind.name, int(count), int(first))
        return root


def _is_inert(module: str, name: str) -> bool:
    """Whether a table names the module, or one of the packages that it is in, as a whole."""
    if module in _INERT:
        return _INERT[module] is None or name in _INERT[module]
    parts = module.split(".")
    packages = (".".join(parts[:i]) for i in range(1, len(parts)))
    return any(_INERT.get(package, frozenset()) is None for package in packages)
