"""Values of an unsuitable kind in a recipe or a job: one sentence, before anything is built."""

import pytest

from keras_pose.training import TrainingJob

JOB = {
    "model": {"preset": "movenet_lightning_coco"},
    "train": {"annotations": "train.json"},
    "recipe": {"optimizer": {"type": "Adam", "learning_rate": 1e-3}, "epochs": 2, "batch_size": 8},
}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer", "Adam", "recipe: optimizer must be a dict, got 'Adam'"),
        ("optimizer.learning_rate", "fast", "Adam: learning_rate must be a number, got 'fast'"),
        ("optimizer.learning_rate", None, "learning_rate must be a positive number, got None"),
        ("optimizer.learning_rate", -1, "learning_rate must be a positive number, got -1"),
        ("optimizer.clipnorm", "a", "Adam: clipnorm must be a number, got 'a'"),
        ("schedule", 3, "schedule must be a list of dicts, got 3"),
        ("schedule", ["cosine"], r"schedule must be a list of dicts, got \['cosine'\]"),
        ("schedule", [{"rule": "cosine", "begin": "a"}], "row 'cosine': begin must be a number"),
        ("rules", 3, "rules must be a dict, got 3"),
        ("average.momentum", "a", "average: momentum must be a number, got 'a'"),
        ("augmentation", "none", "augmentation must be a dict, got 'none'"),
        ("augmentation.jitter", 3, "RandomJitter needs a dict of settings, got 3"),
        ("augmentation.jitter.rotate_factor", "a", "rotate_factor must be a number, got 'a'"),
        ("augmentation.pixels", "Blur", "pixels must be a list of dicts, got 'Blur'"),
        ("switches", {"x": {}}, "switches must be a dict of dicts by epoch"),
        ("freeze", "backbone", r"a list of names such as \[\"backbone\"\], got 'backbone'"),
        ("seed", -1, "seed must be an integer from 0 to 4294967295, got -1"),
        ("base_batch_size", 0, "base_batch_size must be a positive integer, got 0"),
        ("monitor_mode", "up", 'monitor_mode must be "max" or "min", got \'up\''),
    ],
)
def test_of_a_recipe(key, value, message):
    with pytest.raises(ValueError, match=message):
        TrainingJob.from_dict({**JOB, "overrides": {key: value}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": "ap"}, r"metrics must be a list of metrics such as .*, got 'ap'"),
        ({"whole_images": 7}, "job: whole_images must be true or false, got 7"),
        ({"overrides": 7}, "job: overrides must be a dict, got 7"),
        ({"recipe": 7}, "job: recipe must be a name or a dict, got 7"),
    ],
)
def test_of_a_job(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingJob.from_dict({**JOB, **settings})


def test_of_many_known_names_some_are_shown():
    from keras_pose.training.schedule import unknown

    sentence = unknown("part", "qqq", [f"x{i}" for i in range(99)])
    assert sentence.endswith(", ... (99 in all)")
    assert len(sentence) < 250
