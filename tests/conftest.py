"""Fixtures for every test: the facts that lie beside a checkout, and the backend in use."""

import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "jax")

if importlib.util.find_spec("triton"):  # after TensorFlow it aborts the process
    import triton  # noqa: F401

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


# Tests of code that knows no backend; one run of them says all. Left to every run is what makes
# batches for `fit` or targets with a codec.
WITHOUT_BACKEND = (
    "datasets",
    "geometry",
    "visualization",
    "cli/test_datasets.py",
    "cli/test_import_dataset.py",
    "test_images.py",
    "test_results.py",
    "test_video.py",
)
WITH_BACKEND = (
    "datasets/shards",
    "datasets/test_batch_resize.py",
    "datasets/test_bottomup_pipeline.py",
    "datasets/test_lifting_dataset.py",
    "datasets/test_pipeline.py",
    "datasets/transforms/test_targets.py",
    "datasets/transforms/test_whole_pipelines.py",
)


def pytest_collection_modifyitems(items):
    for item in items:
        path = item.path.relative_to(ROOT / "tests")
        if any(map(path.is_relative_to, WITHOUT_BACKEND)) and not any(
            map(path.is_relative_to, WITH_BACKEND)
        ):
            item.add_marker(pytest.mark.without_backend)


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
    sys.path.append(str(ROOT / "tools"))  # at the end: one of the tools is called coverage
    try:
        return _module(ROOT / "tools/parity.py")
    finally:
        sys.path.remove(str(ROOT / "tools"))


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


@pytest.fixture(scope="module")
def quickly_compiled(backend):
    """Until the module's end JAX compiles in half the time, to programs that take longer."""
    if backend != "jax":
        yield
        return
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def parts():
    """The module with the checks that hold for every backbone, neck and head."""
    return _module(ROOT / "tests/parts.py")


@pytest.fixture(autouse=True)
def _seeded():
    import keras

    keras.utils.set_random_seed(0)


def pytest_generate_tests(metafunc):
    """Calls a test that is marked `cases("transforms/flip", ...)` with each `case` of these files.

    A case is the entry of the index, with the file as `golden` ("transforms/flip"). Those in the
    module's `LEFT_OUT = {id: reason}` are skipped, which the table of what is compared lists.
    `only=("td_",)` takes the cases whose ids begin so.
    """
    marker = metafunc.definition.get_closest_marker("cases")
    if marker is None:
        return
    left_out, cases = getattr(metafunc.module, "LEFT_OUT", {}), []
    for file in marker.args:
        index = SHARED / "golden" / f"{file}.json"
        if not index.is_file():
            missing = pytest.mark.skip(reason=f"golden/{file} is not beside this checkout")
            cases.append(pytest.param(None, id=file, marks=missing))
            continue
        for case in json.loads(index.read_text("utf-8"))["cases"]:
            if not case["id"].startswith(marker.kwargs.get("only", "")):
                continue
            name, marks = f"{file}/{case['id']}", [pytest.mark.parity]
            if name in left_out:
                marks.append(pytest.mark.skip(reason=left_out[name]))
            cases.append(pytest.param({"golden": file, **case}, id=name, marks=marks))
    metafunc.parametrize("case", cases)


@pytest.fixture(scope="session")
def resolve(golden):
    """Puts arrays in the place of their names ("@name") in a case or a part of it."""
    files = {}

    def resolve(case, value):
        if isinstance(value, str) and value.startswith("@"):
            if case["golden"] not in files:
                files[case["golden"]] = np.load(golden / f"{case['golden']}.npz")
            return files[case["golden"]][value[1:]]
        if isinstance(value, dict):
            return {key: resolve(case, entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [resolve(case, entry) for entry in value]
        return value

    return resolve
