"""The guides `docs/tracking.md` and `docs/lifting.md`."""

import re
from pathlib import Path

import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import TCN
from keras_pose.codecs import VideoPoseLifting
from keras_pose.heads import TemporalRegressionHead
from keras_pose.paths import PRESETS
from keras_pose.video import VideoReader

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with three frames of the sample clip and a lifter, like that of the guides."""
    pytest.importorskip("av")
    from keras_pose.video import VideoWriter

    with (
        VideoReader(PRESETS / "samples/walk.mp4") as video,
        VideoWriter(tmp_path / "walk.mp4") as writer,
    ):
        for frame, _ in zip(video, range(3), strict=False):
            writer.write(frame)
    head = TemporalRegressionHead(17, VideoPoseLifting())
    lifter = keras_pose.PoseLifter(TCN((3, 3), channels=8, dropout=0.0), head)
    lifter.save_to_preset(tmp_path / "walker/preset")
    monkeypatch.chdir(tmp_path)


def run(guide):
    text = (DOCS / guide).read_text("utf-8")
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)), names)
    return names


def test_the_guide_of_tracking_numbers_two_people(folder, capsys):
    assert run("tracking.md")["poses"].track_ids.tolist() == [1, 2]
    assert "[1 2] (2, 4)" in capsys.readouterr().out


def test_the_guide_of_lifting_gives_3d_poses(folder):
    names = run("lifting.md")
    assert [result.keypoints.shape for result in names["lifted"]] == [(2, 17, 3)] * 3
    assert names["picture"].dtype == np.uint8


@pytest.mark.parametrize("guide", ["tracking.md", "lifting.md"])
def test_pictures_and_pages_that_they_name_exist(guide):
    for path in re.findall(r"\]\((?!http)([^)]+)\)", (DOCS / guide).read_text("utf-8")):
        assert (DOCS / path).is_file(), path
