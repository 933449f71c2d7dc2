"""The example that puts networks of other libraries under a head."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/any_backbone.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("any_backbone", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_network_of_keras_applications_finds_keypoints(example):
    estimator = example.build("applications")
    width, height = example.INPUT_SIZE
    found = estimator.predict_on_batch(np.zeros((1, height, width, 3), "uint8"))
    assert found["keypoints"].shape == (1, 1, 17, 2)
