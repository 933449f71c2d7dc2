import json

import numpy as np
import pytest

from keras_pose.checkpoints.tfjs import read_tfjs

FLOATS = np.arange(6, dtype="f4").reshape(1, 2, 3)
HALVES = np.float16([0.1, 0.2])


@pytest.fixture
def model(tmp_path):
    """A graph model with one weight in each of two files, one of them stored in half precision."""
    weights = [
        {"name": "a/weights", "shape": [1, 2, 3], "dtype": "float32"},
        {
            "name": "b",
            "shape": [2],
            "dtype": "float32",
            "quantization": {"dtype": "float16", "original_dtype": "float32"},
        },
    ]
    data = FLOATS.tobytes() + HALVES.tobytes()
    (tmp_path / "1.bin").write_bytes(data[:10])
    (tmp_path / "2.bin").write_bytes(data[10:])
    manifest = [{"paths": ["1.bin", "2.bin"], "weights": weights}]
    (tmp_path / "model.json").write_text(json.dumps({"weightsManifest": manifest}))
    return tmp_path / "model.json"


def test_arrays_are_read_across_files_and_stay_as_they_are_stored(model):
    arrays = read_tfjs(model)
    np.testing.assert_array_equal(arrays["a/weights"], FLOATS)
    np.testing.assert_array_equal(arrays["b"], HALVES)
    assert arrays["b"].dtype == np.float16


def test_weights_that_end_early_are_refused(model):
    (model.parent / "2.bin").write_bytes(b"1234")
    with pytest.raises(ValueError, match="the weights end in the middle of a/weights"):
        read_tfjs(model)


def test_weights_that_are_too_long_are_refused(model):
    with open(model.parent / "2.bin", "ab") as file:
        file.write(b"12")
    with pytest.raises(ValueError, match="2 bytes follow the last weight"):
        read_tfjs(model)


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_what_is_no_model_is_refused(model, text):
    model.write_text(text)
    with pytest.raises(ValueError, match=r"is not a TensorFlow\.js graph model"):
        read_tfjs(model)


def test_a_missing_file_is_reported(model):
    (model.parent / "2.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"2\.bin"):
        read_tfjs(model)
