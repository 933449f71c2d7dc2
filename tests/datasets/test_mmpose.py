import gzip
import json
import warnings

import pytest

from keras_pose.datasets import (
    Blur,
    CoarseDropout,
    GaussianNoise,
    GridDropout,
    MedianBlur,
    RandomHSV,
)
from keras_pose.datasets.mmpose import augmentation_from_mmpose
from keras_pose.datasets.transforms.bottomup import BottomupAugment
from keras_pose.datasets.transforms.schedule import AugmentSchedule

FLIP = {"type": "RandomFlip", "direction": "horizontal"}
HALF_BODY = {"type": "RandomHalfBody"}
JITTER = {"type": "RandomBBoxTransform", "scale_factor": [0.6, 1.4], "rotate_factor": 80}
CROP = [
    {"type": "LoadImage"},
    {"type": "GetBBoxCenterScale"},
]
AFTER = [{"type": "TopdownAffine", "input_size": [192, 256]}]
DROPOUT = {
    "type": "CoarseDropout",
    "max_holes": 1,
    "max_height": 0.4,
    "max_width": 0.4,
    "min_holes": 1,
    "min_height": 0.2,
    "min_width": 0.2,
    "p": 1.0,
}
RTMPOSE = [
    *CROP,
    FLIP,
    HALF_BODY,
    JITTER,
    *AFTER,
    {"type": "mmdet.YOLOXHSVRandomAug"},
    {
        "type": "Albumentation",
        "transforms": [
            {"type": "Blur", "p": 0.1},
            {"type": "MedianBlur", "p": 0.1},
            DROPOUT,
        ],
    },
    {"type": "GenerateTarget", "encoder": {}},
    {"type": "PackPoseInputs"},
]


BOTTOM_UP = [{"type": "BottomupRandomAffine", "input_size": [512, 512]}]
BOTTOM_UP_ONLY = {
    "BottomupGetHeatmapMask",
    "BottomupRandomAffine",
    "BottomupRandomChoiceResize",
    "BottomupRandomCrop",
    "BottomupResize",
    "FilterAnnotations",
    "Mosaic",
    "YOLOXMixUp",
}
TRANSFORMS = (
    "BottomupGetHeatmapMask",
    "BottomupRandomAffine",
    "BottomupRandomChoiceResize",
    "BottomupRandomCrop",
    "BottomupResize",
    "FilterAnnotations",
    "GetBBoxCenterScale",
    "HandRandomFlip",
    "Mosaic",
    "PhotometricDistortion",
    "RandomBBoxTransform",
    "RandomFlip",
    "RandomFlipAroundRoot",
    "RandomHalfBody",
    "TopdownAffine",
    "YOLOXHSVRandomAug",
    "YOLOXMixUp",
)


def albumentation(**member):
    return augmentation_from_mmpose([{"type": "Albumentation", "transforms": [member]}]).pixels[0]


@pytest.fixture(scope="module")
def zoo(shared):
    with gzip.open(shared / "zoo/zoo.json.gz") as file:
        return json.load(file)


def train_recipes(zoo):
    """Name, pipeline, and epoch and pipeline of the second stage, of every published model."""
    for row in zoo["rows"]:
        recipe = row.get("train_recipe")
        if recipe and recipe.get("train_pipeline"):
            stage2 = recipe.get("stage2") or {}
            last = zoo["pipelines"].get(stage2.get("pipeline"))
            yield row["id"], zoo["pipelines"][recipe["train_pipeline"]], last, stage2.get("epoch")


def types(pipeline):
    return [step["type"] for step in pipeline]


def test_rtmpose_recipe():
    augment = augmentation_from_mmpose(RTMPOSE)
    assert augment.flip.prob == 0.5 and augment.half_body.prob == 0.3
    assert augment.jitter.scale_factor == (0.6, 1.4) and augment.jitter.rotate_factor == 80
    assert augment.jitter.shift_factor == 0.16
    assert augment.pixels == (
        RandomHSV(),
        Blur(prob=0.1),
        MedianBlur(prob=0.1),
        CoarseDropout(1, 1, 0.4, 0.2, 0.4, 0.2, prob=1.0),
    )


def test_what_a_pipeline_does_not_do_is_left_out():
    augment = augmentation_from_mmpose([*CROP, JITTER, *AFTER])
    assert augment.flip is None and augment.half_body is None and augment.pixels == ()


def test_two_stages_make_a_schedule():
    schedule = augmentation_from_mmpose(RTMPOSE, [*CROP, FLIP, *AFTER], switch_epoch=180)
    assert schedule.at(179).jitter is not None and schedule.at(180).jitter is None


def test_every_published_top_down_recipe_is_understood(zoo):
    understood, refused = 0, {}
    for name, pipeline, last, epoch in train_recipes(zoo):
        if "TopdownAffine" not in types(pipeline):
            continue
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                augment = augmentation_from_mmpose(pipeline, last, epoch)
        except ValueError as error:
            refused[str(error).split()[0]] = name
            continue
        understood += 1
        assert isinstance(augment, AugmentSchedule) == (epoch is not None)
        first = augment.at(0) if epoch is not None else augment
        present = types(pipeline)
        flips = {"RandomFlip", "HandRandomFlip"}  # which hand it is is mirrored with the depths
        assert (first.flip is not None) == bool(flips & set(present))
        assert (first.half_body is not None) == ("RandomHalfBody" in present)
        assert (first.jitter is not None) == ("RandomBBoxTransform" in present)
        members = [s["transforms"] for s in pipeline if s["type"] == "Albumentation"]
        colors = sum(t.endswith(("YOLOXHSVRandomAug", "PhotometricDistortion")) for t in present)
        assert len(first.pixels) == colors + sum(map(len, members))
        early = "Albumentation" in present[: present.index("TopdownAffine")]
        assert bool(caught) == early
    assert understood > 300
    assert not refused


def test_every_other_published_pipeline_is_understood_or_refused_by_name(zoo):
    for name, pipeline, last, _ in train_recipes(zoo):
        for stage in filter(None, (pipeline, last)):
            if "TopdownAffine" in types(stage):
                continue
            try:
                augmentation_from_mmpose(stage)
            except ValueError as error:
                assert str(error).split()[0] in types(stage), name


def test_members_of_combined_data_sets_are_understood(zoo):
    """Their own pipelines map keypoints and enlarge the boxes of small parts."""
    members = [
        pipeline
        for pipeline in zoo["pipelines"].values()
        if types(pipeline)[:1] == ["KeypointConverter"]
    ]
    assert len(members) > 30
    for pipeline in members:
        augment = augmentation_from_mmpose(pipeline)
        if "RandomBBoxTransform" in types(pipeline):
            assert augment.jitter.scale_factor == (1.5, 2.0)


@pytest.mark.parity
@pytest.mark.parametrize("kind", TRANSFORMS, ids="transforms/recipes/{}".format)
def test_published_arguments_are_understood(golden, kind):
    rows = json.loads((golden / "transforms/recipes.json").read_text("utf-8"))["rows"]
    assert {row["transform"] for row in rows} == set(TRANSFORMS)
    steps = [{"type": kind, **row["args"]} for row in rows if row["transform"] == kind]
    for step in steps:
        beside = BOTTOM_UP if kind in BOTTOM_UP_ONLY else []
        made = augmentation_from_mmpose([*beside, step])
        assert bool(beside) == isinstance(made, BottomupAugment)


def test_a_setting_reaches_the_transform(golden):
    """Every published argument of the jitter is an attribute of what is made of it."""
    rows = json.loads((golden / "transforms/recipes.json").read_text("utf-8"))["rows"]
    for row in rows:
        if row["transform"] == "RandomBBoxTransform":
            jitter = augmentation_from_mmpose([{"type": "RandomBBoxTransform", **row["args"]}])
            for name, value in row["args"].items():
                expected = tuple(value) if isinstance(value, list) else value
                assert getattr(jitter.jitter, name) == expected


def test_defaults_of_albumentations():
    assert albumentation(type="CoarseDropout") == CoarseDropout()
    assert albumentation(type="CoarseDropout", max_holes=3).min_holes == 3
    assert albumentation(type="Blur", blur_limit=5).sizes == (3, 5)
    assert albumentation(type="GaussNoise", var_limit=40) == GaussianNoise((0, 40))
    grid = albumentation(type="GridDropout", unit_size_min=8, unit_size_max=9)
    assert grid == GridDropout(8, 9, random_offset=False)


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ([{"type": "TopdownCutMix"}], "^TopdownCutMix has no counterpart"),
        ([{"direction": "horizontal"}], "^None has no counterpart"),
        ([{"type": "RandomFlip", "p": 0.5}], "RandomFlip has a setting 'p' that is not known"),
        ([FLIP, JITTER, JITTER], "RandomBBoxTransform occurs twice"),
        ([{"type": "Albumentation"}], "Albumentation needs transforms"),
        (
            [{"type": "Albumentation", "transforms": [{"type": "ToGray"}]}],
            "^ToGray of Albumentation has no counterpart",
        ),
        (
            [{"type": "Albumentation", "transforms": [{"type": "Blur", "always_apply": True}]}],
            "Blur has a setting 'always_apply'",
        ),
    ],
)
def test_what_is_unknown_is_refused_by_name(pipeline, message):
    with pytest.raises(ValueError, match=message):
        augmentation_from_mmpose(pipeline)


def test_a_second_stage_needs_its_epoch():
    with pytest.raises(ValueError, match="belong together"):
        augmentation_from_mmpose(RTMPOSE, RTMPOSE)
