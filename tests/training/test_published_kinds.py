"""Published recipes of bottom-up models and lifters train tiny models of their kind."""

import json

import numpy as np
import pytest

from keras_pose import BottomupEstimator, PoseLifter, Skeleton
from keras_pose.backbones import TCN, ResNet
from keras_pose.codecs import SPR, VideoPoseLifting
from keras_pose.datasets import BottomupAugment, RandomBatchSize, RandomPoseFlip
from keras_pose.heads import DEKRHead, TemporalRegressionHead
from keras_pose.training import (
    Trainer,
    TrainingJob,
    missing_recipes,
    named_recipe,
    recipe_names,
    recipe_notes,
)

DEKR = "dekr_hrnet-w32_8xb10-140e_coco-512x512"
RTMO = "rtmo-s_8xb32-600e_body7-640x640"
LIFTER = "video-pose-lift_tcn-27frm-supv_8xb128-160e_h36m"


def _trained(job, out):
    run = Trainer(job, out, verbose=0).run()
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(np.isfinite(row["loss"]) for row in rows)
    return run, json.loads((out / "results.json").read_text())


def test_dekr_learns_whole_images(tiny_job, tmp_path):
    tiny_job()  # pictures with two dots
    pair = Skeleton("pair", ["left_dot", "right_dot"], links=[(0, 1)], sigmas=[0.1, 0.1])
    BottomupEstimator(
        ResNet(18, (0,), base_channels=4),
        DEKRHead(2, SPR(sigma=(2, 1), minimal_diagonal=1), None, 4, 4, None),
        skeleton=pair,
        input_size=(64, 64),
    ).save_to_preset(tmp_path / "dekr")
    (tmp_path / "pair.json").write_text(json.dumps(pair.to_dict()))
    data = {"annotations": str(tmp_path / "dots.json")}
    job = TrainingJob.load(
        DEKR,
        model={"preset": str(tmp_path / "dekr"), "skeleton": str(tmp_path / "pair.json")},
        train=data,
        val=data,
        overrides={"epochs": 2, "batch_size": 4},
    )
    run, results = _trained(job, tmp_path / "out")
    assert "16 images" in results["decisions"][-2]
    assert results["recipe"]["monitor"] == "coco/AP"
    assert run.results["last"].protocol.boxes == "none, whole images at 64x64"
    assert isinstance(run.estimator, BottomupEstimator)


def test_a_lifter_learns_films(tmp_path):
    PoseLifter(
        TCN(kernel_sizes=(3, 3, 3), channels=8, dropout=0.0),
        TemporalRegressionHead(17, VideoPoseLifting(remove_root=True)),
        skeleton="h36m",
    ).save_to_preset(tmp_path / "lifter")
    job = TrainingJob.load(
        LIFTER,
        model={"preset": str(tmp_path / "lifter")},
        train={"dataset": "walking", "films": 2, "frames": 60},
        val={"films": 1, "seed": 1},
        overrides={"epochs": 2, "batch_size": 32},
    )
    run, results = _trained(job, tmp_path / "out")
    assert results["results"]["last"]["metrics"].keys() == {"MPJPE"}
    assert results["results"]["last"]["protocol"]["images"] == 60
    assert "about the root" in str(run.results["last"])
    assert isinstance(PoseLifter.from_preset(tmp_path / "out/best"), PoseLifter)


def test_models_and_data_of_different_kinds_are_refused(tiny_job, tmp_path):
    data = {"annotations": str(tmp_path / "dots.json")}
    preset = {"preset": str(tmp_path / "tiny")}
    films = {"dataset": "walking"}
    for settings, message in (
        ({"recipe": DEKR}, "a BottomupAugment, a TopdownEstimator needs a TopdownAugment"),
        ({"train": films}, r"walking: every frame needs a box|keypoints"),
        ({"train": {**data, "dataset": "coco", "frame": 1}}, "no setting 'frame'"),
        ({"train": {**films, "film": 1}}, "'walking' has other settings"),
    ):
        tiny_job()
        known = {"train": data, "recipe": LIFTER, "overrides": {"augmentation": None}}
        known |= {"overrides": {}} if "recipe" in settings else {}
        job = TrainingJob.from_dict({"model": preset, **known, **settings})
        with pytest.raises(ValueError, match=message):
            Trainer(job, tmp_path / "out", verbose=0)


def test_recipes_name_what_they_do_otherwise():
    rtmo = named_recipe(RTMO)
    assert isinstance(rtmo.augment().at(0), BottomupAugment)
    assert [rtmo.augment().at(epoch).masked for epoch in (0, 599)] == [False, True]
    assert rtmo.batch_resize() == RandomBatchSize(480, 800, 32, 1)
    assert "all of yours" in recipe_notes(RTMO)[0]
    assert named_recipe(LIFTER).augment() == RandomPoseFlip()
    lacking = missing_recipes()
    assert not lacking.keys() & set(recipe_names())
    name = "video-pose-lift_tcn-27frm-semi-supv_8xb64-200e_h36m"
    assert "no training part" in lacking[name]
    with pytest.raises(ValueError, match=f"no recipe of {name}: .* no training part"):
        named_recipe(name)
    with pytest.raises(ValueError, match=r"no recipe of edpose.*: ED-Pose is not in this"):
        named_recipe("edpose_res50_8xb2-50e_coco-800x1333")
