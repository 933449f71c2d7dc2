"""Fixtures for every test: the facts that lie beside a checkout, and the backend in use."""

import importlib.util
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "jax")

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference values and data; the test is skipped where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with reference values is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared) -> Path:
    """The folder of reference values."""
    return shared / "golden"


@pytest.fixture(scope="session")
def goldens(golden):
    """The module that reads and compares reference values."""
    return _module(golden / "goldens.py")


@pytest.fixture(scope="session")
def golden_weights(golden):
    """The module that makes the reference models' weights and images."""
    return _module(golden / "weights.py")


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def parity():
    """The tool that compares whole models with reference values."""
    return _module(ROOT / "tools/parity.py")


@pytest.fixture(scope="session")
def backend() -> str:
    """Name of the Keras backend under test."""
    import keras

    return keras.backend.backend()


@pytest.fixture(scope="session")
def compiled(backend):
    """Turns a function of tensors into one of NumPy arrays; under JAX it runs as one program."""
    from keras import ops, tree

    def compiled(function):
        if backend == "jax":
            import jax

            function = jax.jit(function)

        def run(*arguments):
            tensors = tree.map_structure(ops.convert_to_tensor, arguments)
            return tree.map_structure(ops.convert_to_numpy, function(*tensors))

        return run

    return compiled


@pytest.fixture(scope="session")
def parts():
    """The module with the checks that hold for every backbone, neck and head."""
    return _module(ROOT / "tests/parts.py")


@pytest.fixture(autouse=True)
def _seeded():
    import keras

    keras.utils.set_random_seed(0)
