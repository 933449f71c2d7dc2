import sys

import numpy as np
import pytest

from keras_pose.checkpoints.state_dict import read_state_dict

ARRAYS = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3), "a.count": np.array(3)}


def _same(arrays):
    assert set(arrays) == set(ARRAYS)
    for name, array in arrays.items():
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_arrays_are_taken_as_they_are():
    _same(read_state_dict(ARRAYS))


def test_of_a_nested_checkpoint_the_state_dict_is_taken():
    _same(read_state_dict({"meta": {"epoch": 210}, "state_dict": ARRAYS}))


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    _same(read_state_dict(tmp_path / "a.npz"))


def test_safetensors(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file(ARRAYS, tmp_path / "a.safetensors")
    _same(read_state_dict(str(tmp_path / "a.safetensors")))


def _torch_file(path, content=None):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in ARRAYS.items()}
    torch.save({"state_dict": tensors, **(content or {})}, path)
    return path


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_pytorch(tmp_path, suffix):
    _same(read_state_dict(_torch_file(tmp_path / f"a{suffix}", {"meta": {"epoch": 210}})))


def test_half_precision_of_pytorchs_own_kind():
    torch = pytest.importorskip("torch")
    arrays = read_state_dict({"a": torch.tensor([1.0, 2.5], dtype=torch.bfloat16)})
    np.testing.assert_array_equal(arrays["a"], np.float32([1, 2.5]))


class Opens:
    """Unpickling this opens a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_in_a_pytorch_file_is_executed(tmp_path):
    trace = tmp_path / "trace"
    path = _torch_file(tmp_path / "evil.pth", {"evil": Opens(trace)})
    with pytest.raises(ValueError, match="is not a checkpoint that can be read safely") as error:
        read_state_dict(path)
    assert not trace.exists()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.pth", "a.npz", "a.safetensors"])
def test_a_damaged_file_is_one_sentence(tmp_path, name):
    if name == "a.safetensors":
        pytest.importorskip("safetensors")
    (tmp_path / name).write_bytes(b"not what it says")
    with pytest.raises(ValueError, match=rf"{name} is not") as error:
        read_state_dict(tmp_path / name)
    assert "\n" not in str(error.value)


def test_arrays_that_need_unpickling_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([Opens(tmp_path / "trace")], object))
    with pytest.raises(ValueError, match=r"a\.npz is not"):
        read_state_dict(tmp_path / "a.npz")
    assert not (tmp_path / "trace").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*a\.pth"):
        read_state_dict(tmp_path / "a.pth")


def test_an_unknown_kind_of_file_is_refused(tmp_path):
    (tmp_path / "a.onnx").touch()
    with pytest.raises(ValueError, match=r"is not a \.pth, \.pt, \.safetensors or \.npz file"):
        read_state_dict(tmp_path / "a.onnx")


def test_what_is_no_array_is_named():
    with pytest.raises(ValueError, match="optimizer is not an array but a dict"):
        read_state_dict({"a": np.zeros(1), "optimizer": {}})


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.safetensors").touch()
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install keras-pose\[hub\]"):
        read_state_dict(tmp_path / "a.safetensors")
