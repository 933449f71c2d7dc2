"""The guide `docs/check.md`."""

import re
from pathlib import Path

from keras_pose.cli import main

GUIDE = Path(__file__).resolve().parents[3] / "docs/check.md"


def test_its_python_and_its_command_run(sample, tmp_path, monkeypatch, capsys):
    sample.write()
    sample.data |= {"images": [], "annotations": []}
    sample.write("val.json")
    (tmp_path / "images").mkdir()
    for picture in tmp_path.glob("*.png"):
        picture.rename(tmp_path / "images" / picture.name)
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names = {}
    exec(code, names)
    assert names["wrong"] == []
    (command,) = re.findall(r"```sh\nkeras-pose (.*?)\n```", text, flags=re.DOTALL)
    assert main(command.split()) == 0
    assert (tmp_path / "sheet.png").is_file()
    assert "0 errors" in capsys.readouterr().out
