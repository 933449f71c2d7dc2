"""The guide `docs/import.md`: each command and the Python run on small sources of these names."""

import re
import shlex
from pathlib import Path

import pytest

from keras_pose.cli import main
from keras_pose.datasets.importers import FORMATS

GUIDE = Path(__file__).resolve().parents[3] / "docs/import.md"
TEXT = GUIDE.read_text("utf-8")
COMMANDS = re.findall(r"^## (.*?)\n\n```sh\n(.*?)\n```", TEXT, flags=re.DOTALL | re.MULTILINE)
MAKERS = {
    "DeepLabCut": "deeplabcut",
    "lightning-pose": "lightning_pose",
    "SLEAP": "sleap",
    "YOLO-pose": "yolo",
    "CVAT": "cvat",
    "Label Studio": "label_studio",
    "dlib": "dlib",
    "MPII": "mpii",
    "COCO from other tools": "coco",
}


def test_every_format_has_a_section():
    assert [title for title, _ in COMMANDS] == list(MAKERS)
    known = {"label-studio" if m == "label_studio" else m for m in MAKERS.values()}
    assert set(FORMATS) <= known


@pytest.mark.parametrize(("title", "command"), COMMANDS)
def test_commands(sources, tmp_path, monkeypatch, capsys, title, command):
    program, *words = shlex.split(command)
    assert program == "keras-pose"
    root = tmp_path / words[1] if words[1] == "openfield" else tmp_path
    root.mkdir(exist_ok=True)
    source = getattr(sources, MAKERS[title])(root)
    monkeypatch.chdir(tmp_path)
    named = tmp_path / words[1]
    if not named.exists():  # other names in the guide than in the tests
        assert source.suffix == named.suffix
        source.rename(named)
    assert main(words) == 0
    assert (tmp_path / words[2]).is_file()
    assert "next" in capsys.readouterr().out


def test_python(sources, tmp_path, monkeypatch):
    (tmp_path / "openfield").mkdir()
    sources.deeplabcut(tmp_path / "openfield")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)), names)
    assert len(names["train"]) == 2
    assert Path("part.json").is_file()
    assert names["folder"].is_dir()
