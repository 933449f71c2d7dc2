"""What all tests of the command share."""

import pytest

from keras_pose.cli import runtime


@pytest.fixture(autouse=True)
def _no_compilation_cache(monkeypatch):
    """Keeps the rest of the test run from using the cache in the user's home."""
    monkeypatch.setattr(runtime, "_keep_compiled", lambda: None)
