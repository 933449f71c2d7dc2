"""The guide to large data runs as it is written."""

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_pose.cli import main

GUIDE = Path(__file__).resolve().parents[3] / "docs/large_data.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path, people, monkeypatch):
    """A folder with train.json and photos, as the guide has it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        image = np.full((60, 50, 3), 20 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"photos/{number}.png"), image)
    points = np.column_stack([np.linspace(5, 40, 17), np.linspace(5, 50, 17), np.full(17, 2)])
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": 50, "height": 60} for n in range(1, 8)
        ],
        "annotations": [
            {
                "id": n,
                "image_id": n,
                "category_id": 1,
                "bbox": [2, 2, 45, 55],
                "keypoints": points.ravel().tolist(),
            }
            for n in range(1, 8)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(people.skeleton.keypoints)}],
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    return tmp_path


def test_its_code_runs(folder, capsys):
    commands = [shlex.split(block) for block in blocks("sh")]
    prepare = [words[1:] for words in commands if words[0] == "keras-pose"]
    assert len(prepare) == 2
    assert main(prepare[0]) == 0
    names = {}
    for code in blocks("python"):
        exec(code, names)
    assert len(names["people"]) == 7
    assert names["train"].element_spec[0].shape[1:] == (192, 192, 3)
    pytest.importorskip("apache_beam", reason="needs keras-pose[scale]")
    assert main(prepare[1]) == 0
    for path in (folder / "shards/train").iterdir():
        assert (folder / "shards/beam" / path.name).read_bytes() == path.read_bytes()
