"""The notebooks: made from the scripts, and each runs from its first cell to its last."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# They set their own backend, in processes of their own.
pytestmark = pytest.mark.without_backend
RUN = """
import json, sys
cells, changes = json.load(sys.stdin)
names = {"__name__": "__main__"}
for cell in cells:
    exec(cell, names)
    if cell.startswith("from types import SimpleNamespace"):
        assert vars(names["args"]).keys() >= changes.keys()
        vars(names["args"]).update(changes)
"""


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools/make_notebooks.py"
    spec = importlib.util.spec_from_file_location("make_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tool, tmp_path):
    """Runs a notebook with `/kaggle` in a temporary folder; returns what it prints."""

    def run(name, **changes):
        cells = [
            "".join(cell["source"]).replace("/kaggle/", f"{tmp_path.as_posix()}/kaggle/")
            for cell in tool.notebook(name)["cells"]
            if cell["cell_type"] == "code" and "install" not in cell["metadata"].get("tags", [])
        ]
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            input=json.dumps([cells, changes]),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


def test_they_are_what_the_tool_makes(tool):
    assert {path.stem for path in tool.FOLDER.iterdir()} == tool.NOTEBOOKS.keys()
    for name in tool.NOTEBOOKS:
        text = (tool.FOLDER / f"{name}.ipynb").read_text("utf-8")
        assert text == tool.document(name), "run tools/make_notebooks.py"


def test_the_first_code_cells_install_and_choose_a_backend(tool):
    for name in tool.NOTEBOOKS:
        cells = [c for c in tool.notebook(name)["cells"] if c["cell_type"] == "code"]
        assert cells[0]["source"][0].startswith("%pip install --quiet ")
        assert cells[1]["source"][-1].startswith('os.environ["KERAS_BACKEND"] = ')
        assert not any("argparse" in line for cell in cells for line in cell["source"])


def test_a_coco_file(run, write_arrows, small_preset, tmp_path):
    folder = tmp_path / "kaggle/input/my-keypoints"
    folder.mkdir(parents=True)
    write_arrows(folder / "train.json", folder / "images")
    shutil.copy(folder / "train.json", folder / "val.json")
    said = run(
        "finetune_movenet", preset=small_preset, epochs=1, batch_size=4, no_export=True, lr=0.01
    )
    assert "last: " in said
    assert (tmp_path / "kaggle/working/tuned/best/model.weights.h5").is_file()


def test_a_deeplabcut_project(run, write_deeplabcut_project, small_preset, tmp_path):
    write_deeplabcut_project(tmp_path / "kaggle/input/my-deeplabcut-project")
    said = run("train_deeplabcut", preset=small_preset, epochs=1, batch_size=4, test_share=0.25)
    assert "train: 6 frames" in said and "test: 2 frames" in said
    assert "error_px" in said and "boxes: none" in said
    assert "movenet.tflite (litert): good" in said


def test_a_folder_of_photos(run, tmp_path):
    folder = tmp_path / "kaggle/input/my-photos"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "presets/samples/jump.jpg", folder)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "notes.txt").touch()
    said = run("predict_photos", show=importlib.util.find_spec("matplotlib") is not None)
    assert "jump.jpg: 1 found" in said and "damaged.jpg" in said and "notes" not in said
    out = tmp_path / "kaggle/working/drawn"
    assert (out / "jump.jpg_pose.png").is_file()
    assert list(json.loads((out / "poses.json").read_text())) == ["jump.jpg"]
