"""The example runs from a COCO file to a tuned preset, on drawn shapes."""

import importlib.util
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose import KeypointDataset
from keras_pose.datasets.whole_images import box_margin, with_whole_images
from keras_pose.estimators.alone import box_around

SCRIPT = Path(__file__).resolve().parents[2] / "examples/finetune_movenet.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("finetune_movenet", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_example_tunes_judges_and_saves(script, arrows, tmp_path, capsys):
    out = tmp_path / "tuned"
    options = ["--epochs", "1", "--batch-size", "4", "--whole-images", "--no-export"]
    run = script.main([*arrows, "--out", f"{out}", *options])
    assert list(run.results) == ["best", "last", "last, boxes given"]
    assert all(np.isfinite(result["error_px"]) for result in run.results.values())
    assert "boxes: none; the whole image" in capsys.readouterr().out
    assert json.loads((out / "results.json").read_text())["results"].keys() == run.results.keys()
    tuned = keras_pose.TopdownEstimator.from_preset(out / "last")
    assert tuned.skeleton.keypoints == ("tip", "left_end", "right_end")


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="other backends write LiteRT in a child process, which tests/artifacts covers",
)
def test_the_example_writes_a_litert_file(script, arrows, tmp_path, capsys):
    out = tmp_path / "tuned"
    script.main([*arrows, "--out", f"{out}", "--epochs", "1", "--batch-size", "8"])
    assert (out / "movenet.tflite").is_file()
    assert "movenet.tflite (litert): good" in capsys.readouterr().out


def test_whole_images_double_the_objects(arrows, tmp_path):
    data = keras_pose.KeypointDataset.from_coco(arrows[1], tmp_path)
    doubled = with_whole_images(data)
    assert len(doubled) == 16
    np.testing.assert_array_equal(doubled.boxes[8:], [[0, 0, 160, 160]] * 8)
    np.testing.assert_array_equal(doubled.keypoints[:8], doubled.keypoints[8:])
    twice = KeypointDataset(
        data.skeleton,
        **{name: getattr(data, name) for name in ("image_paths", "image_sizes", "boxes")},
        **{name: getattr(data, name) for name in ("keypoints", "visible")},
        image_ids=[1, 1, *range(2, 8)],
    )
    with pytest.raises(ValueError, match="image 1 has 2 objects"):
        with_whole_images(twice)


def test_boxes_around_poses_are_like_the_annotated_ones(arrows, tmp_path):
    data = keras_pose.KeypointDataset.from_coco(arrows[1], tmp_path)
    margin = box_margin(data)  # 70 pixels around 50
    assert margin == pytest.approx(0.2, abs=1e-3)
    boxes = box_around(data.keypoints, margin, (160, 160))
    assert (boxes[:, 3] - boxes[:, 1]) == pytest.approx(72, abs=0.1)


def test_poses_of_one_point_still_get_a_box():
    for place in (-500.0, 0.0, 159.0, 900.0):
        box = box_around(np.full((1, 3, 2), place), 0.2, (160, 160))[0]
        assert (box[2:] - box[:2]).min() >= 1
        assert box.min() >= 0
        assert box.max() <= 159
