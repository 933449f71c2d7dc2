"""The guide `docs/finetune.md`."""

import re
import shutil
from pathlib import Path

import keras

GUIDE = Path(__file__).resolve().parents[2] / "docs/finetune.md"


def test_its_python_runs(arrows, small_preset, tmp_path, monkeypatch):
    annotations, images = arrows[1], arrows[5]
    shutil.copytree(images, tmp_path / "guide/images")
    for name in ("train.json", "val.json"):
        shutil.copy(annotations, tmp_path / "guide" / name)
    monkeypatch.chdir(tmp_path / "guide")
    code = "\n".join(re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), flags=re.DOTALL))
    code = code.replace("movenet_lightning_coco", small_preset).replace("epochs=60", "epochs=1")
    code = code.replace("batch_size=16", "batch_size=4")
    if keras.backend.backend() != "tensorflow":  # the child process is tested with the export
        code = re.sub(r"keras_pose\.export\(.*\)", "", code)
    names = {}
    exec(code, names)
    assert Path("tuned/model.weights.h5").is_file()
    logs = {}
    names["watch"][0].set_model(names["estimator"])
    names["watch"][0].on_epoch_end(0, logs)
    assert logs["mouse/error_px"] > 0
