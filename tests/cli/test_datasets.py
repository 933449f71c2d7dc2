"""`keras-pose datasets`."""

import json

from keras_pose.cli import main
from keras_pose.datasets import dataset_names


def test_data_sets_are_listed(capsys):
    assert main(["datasets"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["name", "keypoints"]
    assert [line.split()[0] for line in lines] == dataset_names()
    assert next(line for line in lines if line.startswith("ap10k")).split()[1] == "17"


def test_data_sets_are_chosen_by_a_word(capsys):
    assert main(["datasets", "--match", "wholebody"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert names == ["coco_wholebody", "coco_wholebody_face", "coco_wholebody_hand"]
    assert main(["datasets", "--match", "unicorn"]) == 2
    assert "no data set matches 'unicorn'" in capsys.readouterr().err


def test_one_data_set_is_explained(capsys):
    assert main(["datasets", "rhd2d"]) == 0
    text = capsys.readouterr().out
    assert "Rhd2DDataset" in text and "from tip to palm" in " ".join(text.split())


def test_data_sets_as_json(capsys):
    assert main(["datasets", "mpii", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mpii"]["reader"] == "mpii"


def test_unknown_data_sets_are_named(capsys):
    assert main(["datasets", "crowdpos"]) == 2
    assert "did you mean crowdpose" in capsys.readouterr().err
