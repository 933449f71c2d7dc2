import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from keras_pose.checkpoints.pickled_arrays import read_npz, read_pickle

CONTENT = {
    ("S1", "54138969"): {
        "R": np.eye(3),
        "f": np.array([[1145.0], [1143.5]], np.float32),
        "name": "camera1",
        "w": 1000,
    },
    "numbers": [1, 2.5, None, True, (3, "x")],
    "scalar": np.float64(2.25),
    np.int64(7): np.array(["S1", "S11"]),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "big endian": np.arange(4, dtype=">f8"),
    "objects": np.array([np.arange(2), {"a": np.ones(1)}], object),
    "ordered": OrderedDict(a=np.zeros((0, 3))),
}


def check_equal(first, second):
    if isinstance(second, np.ndarray) and second.dtype != object:
        np.testing.assert_array_equal(first, second)
    elif isinstance(second, dict):
        assert list(first) == list(second)
        for key in second:
            check_equal(first[key], second[key])
    elif isinstance(second, list | tuple | np.ndarray):
        assert len(first) == len(second)
        for a, b in zip(first, second, strict=True):
            check_equal(a, b)
    else:
        assert first == second and type(first) is type(second)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path, protocol):
    path = tmp_path / "cameras.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol))
    check_equal(read_pickle(path), CONTENT)


def test_python_2_and_numpy_of_old_wrote_the_same_otherwise(tmp_path):
    path = tmp_path / "cameras.pkl"
    data = pickle.dumps({"R": np.eye(2)}, 2).replace(b"numpy._core", b"numpy.core")
    path.write_bytes(data)
    check_equal(read_pickle(path), {"R": np.eye(2)})


def test_npz_with_and_without_objects(tmp_path):
    path = tmp_path / "poses.npz"
    np.savez(path, metadata=CONTENT, plain=np.arange(6).reshape(2, 3).T, empty=np.zeros((0, 2)))
    arrays = read_npz(path)
    check_equal(arrays["metadata"], CONTENT)
    np.testing.assert_array_equal(arrays["plain"], [[0, 3], [1, 4], [2, 5]])
    assert arrays["empty"].shape == (0, 2)


class Evil:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.mark.parametrize("in_npz", [False, True])
def test_what_could_execute_something_is_refused(tmp_path, in_npz):
    path, mark = tmp_path / "evil.pkl", tmp_path / "mark"
    evil = {"a": np.eye(2), "b": Evil(exec, f"open({str(mark)!r}, 'w')")}
    if in_npz:
        np.savez(path.open("wb"), a=np.array(evil, object))
    else:
        path.write_bytes(pickle.dumps(evil))
    with pytest.raises(ValueError, match=r"evil\.pkl is not read: it asks for builtins\.exec"):
        (read_npz if in_npz else read_pickle)(path)
    assert not mark.exists()


def test_what_reads_cannot_be_altered(tmp_path):
    path = tmp_path / "evil.pkl"
    # a global, then a state for it
    path.write_bytes(b"cnumpy\ndtype\n}S'finished'\nI1\nsb.")
    with pytest.raises(ValueError, match="it alters what reads it"):
        read_pickle(path)


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "cut.pkl"
    data = pickle.dumps(CONTENT)
    for end in range(0, len(data), 37):
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match=r"cut\.pkl is"):
            read_pickle(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        for at in rng.integers(len(data), size=3):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read_pickle(path)
        except ValueError as error:
            assert "cut.pkl is" in str(error)


def test_damaged_archives_are_named(tmp_path):
    path = tmp_path / "cut.npz"
    path.write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(ValueError, match=r"cut\.npz is not a whole \.npz file"):
        read_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(ValueError, match=r"cut\.npz is damaged"):
        read_npz(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_pickle(tmp_path / "none.pkl")
