"""The guides `docs/callbacks.md` and `docs/distillation.md`."""

import re
from pathlib import Path

import pytest

from keras_pose import Skeleton, TopdownEstimator
from keras_pose.backbones import ResNet
from keras_pose.codecs import SimCCLabel
from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.heads import SimCCHead
from keras_pose.training import Recipe

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _blocks(guide):
    return re.findall(r"```python\n(.*?)```", (DOCS / guide).read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture
def people(tiny_job, tmp_path, monkeypatch):
    """A data set; the present folder has its file `dots.json`."""
    monkeypatch.chdir(tmp_path)
    tiny_job()
    return KeypointDataset.from_coco("dots.json", ".")


def test_callbacks_watch_fit(people, tmp_path):
    code, _ = _blocks("callbacks.md")
    code = code.replace("every=5", "every=1").replace("epochs=20", "epochs=1")
    estimator = TopdownEstimator.from_preset("tiny")
    estimator.compile("adam")
    train = topdown_dataset(people, estimator, 8, training=True)
    exec(code, {"people": people, "val": people, "estimator": estimator, "train": train})
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {"samples_0000.png", "samples_0001.png", "worst_0001.png"}
    assert [*(tmp_path / "logs/first/train").iterdir()]


def test_callbacks_watch_a_trainer(people, tiny_job, tmp_path):
    _, code = _blocks("callbacks.md")
    job = tiny_job({"epochs": 1, "batch_size": 8}, val={"annotations": "dots.json"})
    exec(code.replace("every=5", "every=1"), {"job": job})
    names = {path.name for path in (tmp_path / "tuned/pictures").iterdir()}
    assert names == {"samples_0000.png", "samples_0001.png", "worst_0001.png"}


def test_distillation_has_two_stages(people):
    (code,) = _blocks("distillation.md")
    skeleton = Skeleton("pair", ["left_dot", "right_dot"])
    for name, width in (("student", 4), ("teacher", 8)):
        head = SimCCHead(2, SimCCLabel((32, 32)))
        backbone = ResNet(18, (3,), base_channels=width)
        TopdownEstimator(backbone, head, skeleton=skeleton, input_size=(32, 32)).save_to_preset(
            name
        )
    code = code.replace('"train.json", "images"', '"dots.json", "."')
    code = re.sub(r'"rtmpose-l\S*"', '"teacher"', code)
    code = re.sub(r'"rtmpose-m\S*"', '"student"', code).replace("named_recipe(NAME)", "RECIPE")
    recipe = Recipe({"type": "AdamW", "learning_rate": 1e-3}, epochs=5, batch_size=8)
    found = {"RECIPE": recipe}
    exec(code, found)
    assert type(TopdownEstimator.from_preset("distilled")) is TopdownEstimator
    assert found["second"].student.backbone.trainable is False
