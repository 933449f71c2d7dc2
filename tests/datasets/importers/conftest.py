"""What the tests of importers share."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sources():
    """The module that writes one small scene in every format."""
    path = Path(__file__).with_name("sources.py")
    spec = importlib.util.spec_from_file_location("importers_sources", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
