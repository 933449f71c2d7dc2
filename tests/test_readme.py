"""What README promises."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent


def _blocks(language):
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_python_runs_and_finds_the_two_people(monkeypatch):
    monkeypatch.chdir(ROOT)
    (code,) = _blocks("python")
    names = {}
    exec(code, names)
    assert names["poses"].keypoints.shape == (2, 17, 2)
    assert names["picture"].shape == (640, 720, 3)
    assert names["picture"].dtype == np.uint8


def test_scripts_and_pages_that_it_names_exist():
    text = (ROOT / "README.md").read_text("utf-8")
    linked = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"bash (\S+)", text)
    assert len(linked) >= 5
    for path in linked:
        assert (ROOT / path).is_file(), path
