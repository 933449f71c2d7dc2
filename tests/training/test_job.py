"""Jobs as data: files, names, overrides, and keys that do not exist."""

import json

import pytest

from keras_pose.training import TrainingJob, named_recipe, recipe_names

RECIPE = {"optimizer": {"type": "Adam", "learning_rate": 1e-3}, "epochs": 10, "batch_size": 8}
JOB = {
    "model": {"preset": "movenet_lightning_coco"},
    "train": {"annotations": "train.json"},
    "recipe": RECIPE,
}
RESNET = "td-hm_res50_8xb64-210e_coco-256x192"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": {}}, "job: unknown key 'modle'; did you mean model"),
        ({"model": {"prset": "x"}}, "model: unknown key 'prset'; did you mean preset"),
        ({"train": {"annotation": "x"}}, "train: unknown key 'annotation'; did you mean annot"),
        ({"train": {}}, "train needs annotations, a COCO keypoint file, or shards"),
        ({"val": {"shards": "x"}}, "val needs annotations"),
        ({"recipe": {**RECIPE, "epoch": 1}}, "recipe: unknown key 'epoch'; did you mean epochs"),
        ({"recipe": "movenet_finetun"}, "unknown recipe 'movenet_finetun'; did you mean movenet_f"),
        ({"overrides": {"optimizer.learning_rat": 1}}, "unknown argument 'learning_rat'; did you"),
        ({"overrides": {"epochs.x": 1}}, "'epochs.x' cannot be set: epochs is 10"),
        ({"new_keypoints": {"epoch": 1}}, "unknown key 'epoch'"),
        ({"recipe": {**RECIPE, "augmentation": {"jiter": None}}}, "'jiter'; did you mean jitter"),
        (
            {"recipe": {**RECIPE, "augmentation": {"jitter": {"rotate": 1}}}},
            "RandomJitter: unknown setting 'rotate'; did you mean rotate_",
        ),
        ({"patience": 3}, "patience needs val"),
        ({"save_every": 0}, "save_every must be a positive integer, got 0"),
        ({"whole_images": True, "train": {"shards": "x"}}, "whole_images needs annotations"),
    ],
)
def test_unknown_and_missing_keys_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingJob.from_dict({**JOB, **settings})


def test_new_keypoints_change_the_recipe_and_overrides_go_before_them():
    job = TrainingJob.load(
        "movenet_finetune", train={"annotations": "t.json"}, overrides={"epochs": 6}
    )
    assert (job.resolved().epochs, job.resolved(True).epochs) == (6, 6)
    assert job.resolved().optimizer["learning_rate"] == 3e-5
    assert job.resolved(True).optimizer["learning_rate"] == 5e-4
    assert (
        TrainingJob.load("movenet_finetune", train={"annotations": "t"}).resolved(True).epochs == 60
    )


def test_epochs_scale_what_is_counted_in_them():
    job = TrainingJob.load(RESNET, train={"annotations": "t.json"}, overrides={"epochs": 21})
    whole, short = named_recipe(RESNET), job.resolved()
    rows = [(row["rule"], row.get("milestones"), row.get("end")) for row in short.schedule]
    assert rows == [("linear", None, 500), ("multistep", [17, 20], 21)]
    assert [row.get("milestones") for row in whole.schedule] == [None, [170, 200]]
    assert job.model == {"preset": RESNET, "weights": False}


def test_a_second_stage_is_scaled_too():
    name = next(name for name in recipe_names() if name.startswith("rtmpose-m_8xb256-420e_coco"))
    recipe = named_recipe(name)
    assert recipe.with_epochs(42).augmentation["switch_epoch"] == 39
    assert recipe.augmentation["switch_epoch"] == 390


@pytest.mark.parametrize("name", recipe_names())
def test_every_name_is_a_recipe_or_says_what_it_needs(name):
    try:
        recipe = named_recipe(name)
    except ValueError as error:
        assert "no counterpart" in str(error) or "model_train_cfg" in str(error), error
        return
    assert recipe.epochs >= 1
    if recipe.augmentation is not None:
        recipe.augment()


def test_names_are_found_by_the_package_s_own_too():
    assert named_recipe("resnet50_coco_256x192") == named_recipe(RESNET)


def test_files_of_json_and_python_have_paths_beside_them(tmp_path):
    (tmp_path / "train.json").write_text("{}")
    (tmp_path / "job.json").write_text(json.dumps(JOB))
    (tmp_path / "job.py").write_text(f"rate = 1e-3\njob = {JOB!r}\n")
    for name in ("job.json", "job.py"):
        job = TrainingJob.load(tmp_path / name)
        assert job.train == {"annotations": str(tmp_path / "train.json")}
        assert job.model == {"preset": "movenet_lightning_coco"}
    (tmp_path / "other.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="must hold a dict named job"):
        TrainingJob.load(tmp_path / "other.py")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        TrainingJob.load(tmp_path / "none.json")
