import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scenes():
    """The module with scenes of the reference and comparisons for bottom-up transforms."""
    path = Path(__file__).parent / "scenes.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
