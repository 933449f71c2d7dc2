import gzip
import json

import pytest

from keras_pose.datasets.mmpose import augmentation_from_mmpose
from keras_pose.datasets.mmpose_bottomup import (
    NOT_RANDOM,
    STEPS,
    bottomup_augmentation_from_mmpose,
    is_bottomup,
)
from keras_pose.datasets.transforms.bottomup import (
    BottomupAugment,
    FilterObjects,
    RandomAffine,
    RandomSceneCrop,
    RandomSceneFlip,
)
from keras_pose.datasets.transforms.mosaic import MixUp, Mosaic
from keras_pose.datasets.transforms.pixels_color import RandomHSV
from keras_pose.datasets.transforms.schedule import AugmentSchedule

STAGE_ONE = [
    {"type": "LoadImage", "backend_args": None},
    {
        "type": "Mosaic",
        "img_scale": [640, 640],
        "pad_val": 114.0,
        "pre_transform": [{"type": "LoadImage"}],
    },
    {
        "type": "BottomupRandomAffine",
        "input_size": [640, 640],
        "shift_factor": 0.1,
        "rotate_factor": 10,
        "scale_factor": [0.75, 1.0],
        "pad_val": 114,
        "distribution": "uniform",
        "transform_mode": "perspective",
        "bbox_keep_corner": False,
        "clip_border": True,
    },
    {"type": "YOLOXMixUp", "img_scale": [640, 640], "ratio_range": [0.8, 1.6], "pad_val": 114.0},
    {"type": "YOLOXHSVRandomAug"},
    {"type": "RandomFlip"},
    {"type": "FilterAnnotations", "by_kpt": True, "by_box": True, "keep_empty": False},
    {"type": "GenerateTarget", "encoder": {}},
]


def test_yoloxpose_is_understood():
    augment = bottomup_augmentation_from_mmpose(STAGE_ONE)
    assert augment.steps == (
        Mosaic(size=(640, 640), fill=114.0),
        RandomAffine(
            "perspective",
            shift_factor=0.1,
            rotate_factor=10,
            scale_factor=(0.75, 1.0),
            distribution="uniform",
            clip=True,
            fill=114,
            input_size=(640, 640),
        ),
        MixUp(size=(640, 640), ratio_range=(0.8, 1.6), fill=114.0),
        RandomSceneFlip(),
        FilterObjects(min_box=(1, 1), min_visible=1),
    )
    assert augment.pixels == (RandomHSV(),)
    assert is_bottomup(STAGE_ONE) and not is_bottomup([{"type": "RandomFlip"}])


def test_height_comes_first_only_in_the_reference():
    step = {"type": "BottomupRandomCrop", "crop_size": [0.5, 0.6], "crop_type": "relative_range"}
    augment = bottomup_augmentation_from_mmpose([step])
    assert augment.steps == (RandomSceneCrop((0.6, 0.5), "relative_range"),)


@pytest.mark.parity
def test_all_published_arguments_are_understood(golden):
    rows = json.loads((golden / "transforms/recipes.json").read_text("utf-8"))["rows"]
    found = [row for row in rows if row["transform"] in {*STEPS, *NOT_RANDOM}]
    assert len(found) > 20
    for row in found:
        bottomup_augmentation_from_mmpose([{"type": row["transform"], **row["args"]}])


@pytest.mark.parametrize(
    "step, message",
    [
        ({"type": "RandomHalfBody"}, "RandomHalfBody has no counterpart"),
        ({"type": "Mosaic", "shape": 3}, "Mosaic has a setting 'shape'"),
    ],
)
def test_unknown_things_are_refused_by_name(step, message):
    with pytest.raises(ValueError, match=message):
        bottomup_augmentation_from_mmpose([step])


def test_every_published_bottom_up_recipe_is_understood(shared):
    with gzip.open(shared / "zoo/zoo.json.gz") as file:
        zoo = json.load(file)
    understood, refused = [], {}
    for row in zoo["rows"]:
        pipeline = zoo["pipelines"].get((row.get("train_recipe") or {}).get("train_pipeline"))
        if not pipeline or not is_bottomup(pipeline):
            continue
        try:
            augment = augmentation_from_mmpose(pipeline)
        except ValueError as error:
            refused[row["id"]] = str(error).split()[0]
            continue
        assert isinstance(augment, BottomupAugment)
        understood.append(row["id"])
    assert {name.split("_")[0].split("-")[0] for name in understood} == {
        "cid",
        "dekr",
        "rtmo",
        "yoloxpose",
    }
    # Detectors, and a project of another library.
    assert len(understood) == 21 and {name.split("_")[0] for name in refused} == {
        "yolox",
        "yolox-pose",
        "yolox-s",
    }


def test_two_stages_make_a_schedule():
    last = [step for step in STAGE_ONE if step["type"] not in ("Mosaic", "YOLOXMixUp")]
    schedule = augmentation_from_mmpose(STAGE_ONE, last, 280)
    assert isinstance(schedule, AugmentSchedule)
    assert isinstance(schedule.at(279).steps[0], Mosaic)
    assert isinstance(schedule.at(280).steps[0], RandomAffine)
