"""The page `docs/datasets.md`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/datasets.md"


def test_its_python_runs(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/a.jpg"), np.zeros((90, 120, 3), np.uint8))
    for file, count in (("mice.json", 3), ("crowdpose.json", 14)):
        annotation = {
            "id": 1,
            "image_id": 5,
            "category_id": 1,
            "bbox": [5, 5, 80, 80],
            "keypoints": [9, 9, 2] * count,
        }
        names = {"keypoints": ["nose", "left_ear", "right_ear"]} if count == 3 else {}
        data = {
            "images": [{"id": 5, "file_name": "a.jpg", "width": 120, "height": 90}],
            "annotations": [annotation],
            "categories": [{"id": 1, "name": "object", **names}],
        }
        (tmp_path / file).write_text(json.dumps(data))
    box = {"image_id": 5, "category_id": 1, "bbox": [1, 1, 50, 50], "score": 0.7}
    (tmp_path / "boxes.json").write_text(json.dumps([box]))
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL))
    names = {}
    exec(code, names)
    assert names["poses"].shape == (1, 14, 2) and len(names["test"]) == 1


def test_its_table_is_up_to_date():
    tool = ROOT / "tools/make_dataset_table.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
