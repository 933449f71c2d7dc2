"""The guide `docs/training.md`."""

import json
import re
from pathlib import Path

from keras_pose.training import TrainingJob

GUIDE = (Path(__file__).resolve().parents[2] / "docs/training.md").read_text("utf-8")


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)


def test_its_job_is_one(tmp_path):
    (job,) = _blocks("json")
    (tmp_path / "job.json").write_text(job)
    recipe = TrainingJob.load(tmp_path / "job.json").resolved()
    assert recipe.augment().jitter.rotate_factor == 180
    assert json.loads(job)["recipe"].keys() <= recipe.to_dict().keys()


def test_its_python_runs(tiny_job, tmp_path, monkeypatch):
    tiny_job()
    monkeypatch.chdir(tmp_path)
    (code,) = _blocks("python")
    code = code.replace('"images/0.png"', '"1.png"').replace('"images": "images"', '"images": "."')
    code = code.replace("train.json", "dots.json").replace("val.json", "dots.json")
    code = code.replace('{"epochs": 60}', '{"epochs": 1, "batch_size": 8}')
    code = code.replace("    overrides", '    model={"preset": "tiny"},\n    overrides')
    exec(code, {})
    assert Path("tuned/last/model.weights.h5").is_file()


def test_its_commands_are_understood():
    from keras_pose.cli import _parsed

    for block in _blocks("sh"):
        for command in block.replace("\\\n", " ").strip().splitlines():
            words = command.split()
            assert words[:2] == ["keras-pose", "train"]
            assert _parsed(words[1:]).out
