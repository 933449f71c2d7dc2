"""PyTorch's files without PyTorch: every dtype and layout as torch.load reads it; nothing runs."""

import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from keras_pose.checkpoints.state_dict import read_state_dict

torch = pytest.importorskip("torch")

FORMATS = {"archive": True, "legacy": False}
DTYPES = [
    *("float64", "float32", "float16", "bfloat16", "complex32", "complex64", "complex128"),
    *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"),
]
WIDER = {"bfloat16": "float32", "complex32": "complex64"}


@pytest.fixture(params=FORMATS)
def save(request, tmp_path):
    """Saves with PyTorch in one of its two formats."""

    def save(content, name="a.pth"):
        archive = FORMATS[request.param]
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=archive)
        return tmp_path / name

    return save


def _numbers(dtype):
    numbers = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.5, 1.5]], dtype=torch.float64)
    return numbers.to(getattr(torch, dtype))


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(save, dtype):
    if not hasattr(torch, dtype):
        pytest.skip(f"this PyTorch has no {dtype}")
    tensor = _numbers(dtype)
    array = read_state_dict(save({"state_dict": {"a": tensor}}))["a"]
    wider = WIDER.get(dtype, "float32" if dtype.startswith("float8") else dtype)
    assert array.dtype == wider
    np.testing.assert_array_equal(array, tensor.to(getattr(torch, wider)).numpy())


def test_views_of_a_shared_storage(save):
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "base": base,
        "transposed": base.T,
        "part": base[1:3, 2:5],
        "every second": base[:, ::2],
        "expanded": torch.tensor([7.0]).expand(3, 2),
        "scalar": base[2, 3],
        "empty": torch.zeros(0, 3),
        "permuted": base.reshape(2, 2, 6).permute(2, 0, 1),
        "channels last": torch.rand(1, 3, 2, 2).to(memory_format=torch.channels_last),
    }
    arrays = read_state_dict(save(tensors))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy(), err_msg=name)
    assert np.shares_memory(arrays["base"], arrays["part"])


def test_views_of_a_storage_without_a_type(save):
    """PyTorch counts the offsets of its newer dtypes in numbers, their storages in bytes."""
    base = torch.arange(8).to(torch.uint16)
    arrays = read_state_dict(save({"part": base[4:], "pairs": base.reshape(4, 2)[:, 1]}))
    np.testing.assert_array_equal(arrays["part"], [4, 5, 6, 7])
    np.testing.assert_array_equal(arrays["pairs"], [1, 3, 5, 7])


def test_modules_parameters_and_versions(save):
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    state = model.state_dict()
    arrays = read_state_dict(save({"meta": {"epoch": 3}, "state_dict": state}))
    assert arrays.versions == {"": 1, "0": 1, "1": 2}
    for name, tensor in state.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy())
    parameters = OrderedDict(model.named_parameters())
    parameters["0.bias"].note = "an attribute"
    arrays = read_state_dict(save(parameters))
    np.testing.assert_array_equal(arrays["0.bias"], parameters["0.bias"].detach().numpy())


class HistoryBuffer:
    """A stand-in for the class of mmengine, whose objects lie in its checkpoints."""

    def __init__(self):
        self._log_history = np.arange(3.0)
        self._statistics_methods = {"min": HistoryBuffer.min}

    def min(self):
        raise AssertionError("this ran")


@pytest.fixture
def pretend(monkeypatch):
    """Gives a class a place in a package that is not installed."""
    import types

    def pretend(cls, module):
        monkeypatch.setattr(cls, "__module__", module)
        parts = module.split(".")
        for i in range(len(parts)):
            name = ".".join(parts[: i + 1])
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        setattr(sys.modules[module], cls.__name__, cls)

    return pretend


def test_metadata_of_mmengine_does_nothing(save, pretend):
    pretend(HistoryBuffer, "mmengine.logging.history_buffer")
    HistoryBuffer.min.__module__ = "mmengine.logging.history_buffer"
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    content = {
        "meta": {"cfg": "model = dict()", "path": Path("a"), "set": {1}, "seed": np.int64(3)},
        "message_hub": {"log_scalars": OrderedDict(loss=HistoryBuffer()), "dtype": torch.float32},
        "optimizer": optimizer.state_dict(),
        "rng": np.random.RandomState(0).get_state(),
        "state_dict": {"a": torch.ones(2)},
        "ema_state_dict": {"a": torch.zeros(2), "steps": torch.tensor(4)},
    }
    path = save(content)
    for name in [name for name in sys.modules if name.startswith("mmengine")]:
        del sys.modules[name]
    arrays = read_state_dict(path)
    assert list(arrays) == ["a"] and not any(name.startswith("mmengine") for name in sys.modules)
    np.testing.assert_array_equal(arrays["a"], [1, 1])


class Calls:
    """Unpickling this calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _evil(trace):
    import builtins
    import os

    code = f"open({str(trace)!r}, 'w').close()"
    return {
        "posix.system": Calls(os.system, f"touch {trace}"),
        "builtins.exec": Calls(exec, code),
        "builtins.eval": Calls(eval, code),
        "io.open": Calls(open, str(trace), "w"),
        "builtins.__import__": Calls(builtins.__import__, "this"),
        "commands.run": Calls(subprocess.run, ["touch", str(trace)]),
        "getattr": Calls(getattr, OrderedDict, "fromkeys"),
        "torch.hub.load": Calls(torch.hub.load, "a/b", "c"),
        "numpy.load": Calls(np.load, str(trace)),
        "keras_pose.checkpoints.state_dict.read_state_dict": Calls(read_state_dict, str(trace)),
    }


@pytest.mark.parametrize("what", _evil("trace"))
def test_what_would_execute_something_is_refused(save, tmp_path, what):
    trace = tmp_path / "trace"
    path = save({"state_dict": {"a": torch.ones(1)}, "evil": _evil(trace)[what]})
    with pytest.raises(ValueError, match=f"asks for {what}, which could execute") as error:
        read_state_dict(path)
    assert not trace.exists() and "this" not in sys.modules
    assert "\n" not in str(error.value)


def test_a_pickle_cannot_alter_what_reads_it(tmp_path):
    # BUILD on a function would replace its default arguments.
    content = b"\x80\x02ctorch._utils\n_rebuild_tensor\n(dX\x01\x00\x00\x00aK\x01sb."
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    with pytest.raises(ValueError, match="it alters what reads it"):
        read_state_dict(tmp_path / "a.pth")


def test_whole_modules_are_refused(save):
    with pytest.raises(ValueError, match=r"holds a whole PyTorch module: save its state_dict\(\)"):
        read_state_dict(save(torch.nn.Conv2d(1, 1, 1)))


def test_kinds_of_tensors_that_are_not_read_are_named(save):
    quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8)
    for tensor in (quantized, torch.eye(3).to_sparse()):
        with pytest.raises(ValueError, match="tensors of a kind that is not read: torch"):
            read_state_dict(save({"a": tensor}))


def test_a_checkpoint_that_is_no_dict(save):
    with pytest.raises(ValueError, match="it holds a Tensor instead of a state dict"):
        read_state_dict(save(torch.ones(2)))


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.6, 0.9, 0.999])
def test_truncated_files_are_refused(save, keep):
    path = save({"state_dict": {str(i): torch.rand(500) for i in range(4)}})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ValueError, match=r"read safely: it is (truncated|damaged|empty)") as error:
        read_state_dict(path)
    assert "\n" not in str(error.value)


def test_damaged_files_are_refused_or_read_but_never_fail_otherwise(save):
    path = save({"state_dict": {"a": torch.rand(20), "b": torch.rand(3)}, "meta": {"c": [1, 2.5]}})
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[random.integers(len(damaged))] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_state_dict(path)
        except ValueError as error:
            assert "read safely: it " in str(error) or "not an array" in str(error)


def test_changed_numbers_in_an_archive_are_noticed(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.full((64,), 3.25)}, path)
    content = path.read_bytes()
    place = content.index(np.full(64, 3.25, "f4").tobytes())
    path.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    with pytest.raises(ValueError, match="a checksum inside it does not agree"):
        read_state_dict(path)


FOREIGN = {
    "a web page": (b"<!DOCTYPE html><html>404</html>", "it is a web page"),
    "a pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "pointer of Git LFS",
    ),
    "another pickle": (pickle.dumps({"a": 1}), "a pickle, but not one of PyTorch's"),
    "noise": (bytes(range(256)), "it is no PyTorch file"),
    "nothing": (b"", "it is empty"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_files_are_called_what_they_are(tmp_path, what):
    content, message = FOREIGN[what]
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_state_dict(tmp_path / "a.pth")


def test_foreign_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("word/document.xml", "x")
    with pytest.raises(ValueError, match="an archive, but not one of PyTorch's"):
        read_state_dict(tmp_path / "a.pth")
    model = torch.jit.script(torch.nn.Linear(1, 1))
    model.save(str(tmp_path / "b.pt"))
    with pytest.raises(ValueError, match="it is a TorchScript program"):
        read_state_dict(tmp_path / "b.pt")


def test_only_the_weights_are_read(save):
    """Neither the optimizer's state nor the raw weights beside the averages take memory."""
    weights = {"state_dict": {"a": torch.zeros(1_000_000)}}
    path = save({**weights, "ema_state_dict": {"a": torch.rand(3_000_000)}})
    tracemalloc.start()
    arrays = read_state_dict(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert arrays["a"].nbytes == 4_000_000 and peak < 4_500_000


def test_pytorch_is_not_imported(save):
    path = save({"a": torch.ones(2)})
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from keras_pose.checkpoints.pth import PthFile\n"
        "print(list(PthFile(sys.argv[1]).content))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={"KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "['a']\n", done.stderr
