"""Two hands in space: from photos to results, JSON and the metrics of InterHand2.6M."""

import json

import cv2
import keras
import numpy as np
import pytest

from keras_pose import PoseResult, TopdownEstimator
from keras_pose.cli import main
from keras_pose.codecs import Hand3DHeatmap
from keras_pose.datasets import load
from keras_pose.evaluation.dataset_evaluation import DatasetEvaluation
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.heads import InterNetHead

NUMBERS = ["MPJPE_all", "MPJPE_single", "MPJPE_interacting", "MRRPE", "HandednessAcc"]


def _estimator():
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(8, 8, strides=8)(inputs))
    codec = Hand3DHeatmap((32, 32), (8, 8), depth_size=5, root_size=6)
    head = InterNetHead(42, codec, None, (4,), (4,), (6,), (7,))
    return TopdownEstimator(backbone, head, skeleton="interhand3d", input_size=(32, 32))


@pytest.fixture
def hands(tmp_path):
    """Files of two pictures, one of both hands and one of a right hand."""
    rng = np.random.default_rng(0)
    images, annotations, joints = [], [], {}
    for number, kind in enumerate(("interacting", "right"), 1):
        cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(0, 255, (60, 80, 3), np.uint8))
        picture = {"id": number, "file_name": f"{number}.png", "width": 80, "height": 60}
        images.append({**picture, "capture": 0, "camera": "400", "frame_idx": number})
        world = rng.normal((0, 0, 800), 50, size=(42, 3))
        joints[str(number)] = {"world_coord": world.tolist()}
        valid = [1] * 21 + [int(kind == "interacting")] * 21
        annotation = {"id": number, "image_id": number, "bbox": [5, 5, 50, 40], "hand_type": kind}
        annotations.append({**annotation, "joint_valid": valid, "hand_type_valid": 1})
    lens = {"camrot": np.eye(3).tolist(), "campos": [0, 0, 0], "focal": [90, 90]}
    cameras = {"0": {key: {"400": value} for key, value in (lens | {"princpt": [40, 30]}).items()}}
    files = {
        "annotations": {"images": images, "annotations": annotations},
        "cameras": cameras,
        "joints": {"0": joints},
    }
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return {name: tmp_path / f"{name}.json" for name in files}


def _predictions(dataset, **changes):
    columns = {
        "predicted_depths": dataset.extras["joint_depths"],
        "predicted_root_depth": dataset.extras["root_depth"],
        "predicted_hand_type": dataset.extras["hand_type"],
        **changes,
    }
    return PosePredictions(
        dataset.image_ids,
        dataset.keypoints,
        np.ones(dataset.visible.shape),
        np.ones(len(dataset)),
        dataset.ids,
        extras={name: column for name, column in columns.items() if column is not None},
    )


def test_right_poses_have_no_error(hands, tmp_path):
    dataset = load("interhand3d", images=tmp_path, **hands)
    evaluation = DatasetEvaluation(dataset, metrics=["interhand"])
    assert evaluation.names == NUMBERS
    found = evaluation.measure(_predictions(dataset))
    assert list(found.metrics.values()) == pytest.approx([0, 0, 0, 0, 1], abs=0.01)
    near = dataset.extras["joint_depths"] + np.where(np.arange(42) == 3, 7.0, 0.0)
    root = dataset.extras["root_depth"] + 4
    found = evaluation.measure(
        _predictions(dataset, predicted_depths=near, predicted_root_depth=root)
    )
    assert found.metrics["MPJPE_all"] == pytest.approx(2 * 7 / 63, rel=0.1)
    assert found.metrics["MRRPE"] == pytest.approx(4, rel=0.1)


def test_what_is_missing_is_said(hands, tmp_path):
    dataset = load("interhand3d", images=tmp_path, **hands)
    evaluation = DatasetEvaluation(dataset, metrics=["interhand"])
    with pytest.raises(ValueError, match=r"needs depths .* that a network puts out"):
        evaluation.measure(_predictions(dataset, predicted_depths=None))
    flat = load("interhand2d", images=tmp_path, **hands)
    with pytest.raises(ValueError, match="camera space, column 'keypoints_3d', which"):
        DatasetEvaluation(flat, metrics=["interhand"])


def test_results_say_which_hands_are_there():
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    found = _estimator().predict_poses(image, [[5, 5, 55, 45], [0, 0, 80, 60]])
    assert (found.hand_type.shape, found.root_depth.shape) == ((2, 2), (2,))
    pose = found.to_dict()["poses"][1]
    assert pose["hand_type"] == found.hand_type[1].tolist()
    assert pose["root_depth"] == pytest.approx(float(found.root_depth[1]))
    again = PoseResult.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(again[1:].root_depth, found.root_depth[1:])
    both = PoseResult.concatenate([found, found])
    assert both.hand_type.shape == (4, 2)
    with pytest.raises(ValueError, match=r"hand_type must have shape \(2, 2\)"):
        PoseResult(found.keypoints, found.scores, found.skeleton, hand_type=np.ones((2, 3)))


def test_the_commands(hands, tmp_path, capsys):
    pytest.importorskip("tensorflow", reason="the evaluation batches are a tf.data pipeline")
    preset = str(_estimator().save_to_preset(tmp_path / "preset"))
    options = [f"--reader-option={name}={hands[name]}" for name in ("cameras", "joints")]
    run = ["evaluate", preset, str(hands["annotations"]), "--reader", "interhand3d"]
    assert main([*run, *options]) == 0
    printed = capsys.readouterr().out
    for name in (*NUMBERS, "EPE"):
        assert name in printed, name
    out = tmp_path / "poses.json"
    photo = ["predict", str(tmp_path / "1.png"), "--preset", preset, "--detector", "none"]
    assert main([*photo, "--json", str(out), "--json-format", "images"]) == 0
    pose = json.loads(out.read_text())["images"][0]["poses"][0]
    assert len(pose["hand_type"]) == 2 and isinstance(pose["root_depth"], float)
    assert main([*run, "--reader-option", "cameras"]) == 2
    assert "--reader-option must be KEY=VALUE, got 'cameras'" in capsys.readouterr().err
