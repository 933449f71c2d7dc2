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
# They set their own backend, in a process of their own.
pytestmark = pytest.mark.without_backend
# Each notebook in a namespace of its own; one process, as most of the time goes into imports.
RUN = """
import contextlib, io, json, sys, traceback

done = {}
for name, (cells, changes) in json.load(sys.stdin).items():
    names, said, error = {"__name__": "__main__"}, io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(said):
            for cell in cells:
                exec(cell, names)
                if cell.startswith("from types import SimpleNamespace"):
                    assert vars(names["args"]).keys() >= changes.keys()
                    vars(names["args"]).update(changes)
    except Exception:
        error = f"{cell}\\n\\n{traceback.format_exc()}"
    done[name] = said.getvalue(), error
json.dump(done, open("done.json", "w"))
"""


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools/make_notebooks.py"
    spec = importlib.util.spec_from_file_location("make_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def work(tool, small_preset, write_arrows, write_deeplabcut_project, tmp_path_factory):
    """Runs all notebooks on made-up data, with a folder in the place of `/kaggle`.

    Returns the folder and a function from a notebook's name to what it printed.
    """
    kaggle = tmp_path_factory.mktemp("kaggle")
    coco = kaggle / "input/my-keypoints"
    coco.mkdir(parents=True)
    write_arrows(coco / "train.json", coco / "images")
    shutil.copy(coco / "train.json", coco / "val.json")
    write_deeplabcut_project(kaggle / "input/my-deeplabcut-project")
    photos = kaggle / "input/my-photos"
    photos.mkdir()
    shutil.copy(ROOT / "presets/samples/jump.jpg", photos)
    (photos / "damaged.jpg").write_bytes(b"\xff\xd8\xff")
    (photos / "notes.txt").touch()
    short = {"preset": small_preset, "epochs": 1, "batch_size": 4}
    changes = {
        "finetune_movenet": short | {"no_export": True},
        "train_deeplabcut": short | {"test_share": 0.25},
        "predict_photos": {"show": importlib.util.find_spec("matplotlib") is not None},
    }
    assert changes.keys() == tool.NOTEBOOKS.keys()
    orders = {
        name: (
            [
                "".join(cell["source"]).replace("/kaggle/", f"{kaggle.as_posix()}/")
                for cell in tool.notebook(name)["cells"]
                if cell["cell_type"] == "code" and "tags" not in cell["metadata"]
            ],
            changed,
        )
        for name, changed in changes.items()
    }
    quiet = {"MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", RUN]
    subprocess.run(
        command, input=json.dumps(orders), text=True, cwd=kaggle, env=os.environ | quiet, check=True
    )
    done = json.loads((kaggle / "done.json").read_text())

    def said(name):
        output, error = done[name]
        assert not error, error
        return output

    return kaggle, said


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


def test_a_coco_file(work):
    kaggle, said = work
    assert "last: " in said("finetune_movenet")
    assert (kaggle / "working/tuned/best/model.weights.h5").is_file()


def test_a_deeplabcut_project(work):
    _, said = work
    text = said("train_deeplabcut")
    assert "train: 6 frames" in text and "test: 2 frames" in text
    assert "error_px" in text and "boxes: none" in text
    assert "movenet.tflite (litert): good" in text


def test_a_folder_of_photos(work):
    kaggle, said = work
    text, out = said("predict_photos"), kaggle / "working/drawn"
    assert "jump.jpg: 1 found" in text and "damaged.jpg" in text and "notes" not in text
    assert (out / "jump.jpg_pose.png").is_file()
    assert list(json.loads((out / "poses.json").read_text())) == ["jump.jpg"]
