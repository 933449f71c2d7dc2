"""Who imports whom, and what importing the package costs."""

import ast
import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "keras_pose"

# A module imports from its own level and from those below. The order is that of the design.
LEVELS = [
    "cli",
    "training",
    "evaluation",
    "predictor tracking artifacts video",
    "estimators detectors datasets",
    "model",
    "heads necks backbones",
    "codecs losses layers preset prediction prediction_torch",
    "results checkpoints",
    "visualization",
    "geometry images skeleton sides files paths backend",
]
LEVEL = {part: len(LEVELS) - i for i, parts in enumerate(LEVELS) for part in parts.split()}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def _imports(module: str) -> list[tuple[str, int, bool]]:
    """(imported module, line, whether it stands inside a function) of every import."""
    return list(_walk_imports(module))


def _walk_imports(module: str):
    path = MODULES[module]
    tree = ast.parse(path.read_text("utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            for _ in range(node.level - 1):
                package = package.rpartition(".")[0]
            source = node.module or ""
            if node.level:
                source = f"{package}.{source}".rstrip(".")
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield full if full in MODULES else source, node.lineno, id(node) in inside


def _own(module: str):
    return [
        (name, line, inside)
        for name, line, inside in _imports(module)
        if name.split(".")[0] == "keras_pose"
    ]


def _part(module: str) -> str:
    """The folder or file below the package; "" for the package itself."""
    return module.removeprefix("keras_pose").lstrip(".").split(".")[0]


def test_every_part_has_a_level():
    assert {_part(module) for module in MODULES} - {""} <= set(LEVEL)


@pytest.mark.parametrize("module", [m for m in MODULES if _part(m)])
def test_imports_point_down(module):
    upwards = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {name}"
        for name, line, _ in _own(module)
        if _part(name) and LEVEL[_part(name)] > LEVEL[_part(module)]
    ]
    assert not upwards


def test_no_part_imports_the_package_itself_before_it_is_complete():
    """`import keras_pose` inside it runs the whole of it; functions may, once all is imported."""
    early = [
        f"{MODULES[module].relative_to(ROOT)}:{line}"
        for module in MODULES
        for name, line, inside in _own(module)
        if name == "keras_pose" and not inside
    ]
    assert not early


def test_modules_form_no_loop():
    graph = {
        module: {name for name, _, _ in _own(module) if name not in (module, "keras_pose")}
        for module in MODULES
        if _part(module)
    }
    done, path = set(), []

    def visit(module):
        if module in path:
            pytest.fail(" -> ".join([*path[path.index(module) :], module]))
        if module in done or module not in graph:
            return
        path.append(module)
        for name in sorted(graph[module]):
            visit(name)
        path.pop()
        done.add(module)

    for module in graph:
        visit(module)


@pytest.mark.parametrize("module", MODULES)
def test_tensorflow_is_imported_in_functions_only(module):
    top_level = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {name}"
        for name, line, inside in _imports(module)
        if name.split(".")[0].startswith("tensorflow") and not inside
    ]
    assert not top_level


# Where a part below the data sets asks TensorFlow, because only its backend can be meant.
ONLY_UNDER_ITS_BACKEND = {
    "keras_pose.backend",
    "keras_pose.layers.convolution_tensorflow",
    "keras_pose.layers.normalization_tensorflow",
    "keras_pose.layers.replicas_tensorflow",
    "keras_pose.prediction",
}


def test_tensorflow_serves_only_data_export_and_its_own_backend():
    users = {
        module
        for module in MODULES
        for name, _, _ in _imports(module)
        if name.split(".")[0].startswith("tensorflow")
        and LEVEL.get(_part(module), 0) <= LEVEL["datasets"]
        and _part(module) != "datasets"
    }
    assert users <= ONLY_UNDER_ITS_BACKEND


def _python(code: str, backend: str) -> str:
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


PREDICT = """
import sys
import numpy as np
import keras_pose
assert "tensorflow" not in sys.modules, "import"
estimator = keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")
assert "tensorflow" not in sys.modules, "from_preset"
poses = estimator.predict_poses(np.zeros((64, 48, 3), np.uint8), [[0, 0, 30, 60]])
assert len(poses) == 1
print("tensorflow" in sys.modules)
"""


def test_prediction_needs_no_tensorflow(backend):
    if backend == "tensorflow":
        pytest.skip("TensorFlow is the backend")
    assert _python(PREDICT, backend) == "False"


COST = """
import time
import keras
start = time.perf_counter()
import keras_pose
print(time.perf_counter() - start)
"""


def test_importing_the_package_costs_little_beyond_keras(backend):
    assert min(float(_python(COST, backend)) for _ in range(3)) < 0.5
