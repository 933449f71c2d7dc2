"""`keras-pose import-dataset`."""

import json
import shlex

import cv2
import numpy as np
import pytest

from keras_pose.cli import main
from keras_pose.datasets import KeypointDataset

TABLE = """scorer,me,me,me,me
bodyparts,L_eye,L_eye,R_eye,R_eye
coords,x,y,x,y
labeled-data/a.png,10,10,20,12
labeled-data/b.png,5,6,,
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "labeled-data").mkdir()
    for name in "ab":
        picture = np.zeros((30, 40, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / f"labeled-data/{name}.png"), picture)
    path = tmp_path / "CollectedData_me.csv"
    path.write_text(TABLE)
    return path


def test_it_counts_writes_and_names_the_next_command(table, tmp_path, capsys):
    out = tmp_path / "eyes.json"
    assert main(["import-dataset", str(table), str(out)]) == 0
    text, errors = capsys.readouterr()
    assert not errors
    for part in ("2 (40x30)", "2 animal", "3 seen", "1 not labelled", "L_eye-R_eye", str(out)):
        assert part in text
    title, command = text.splitlines()[-1].split(maxsplit=1)
    words = shlex.split(command)
    assert title == "next" and words[:3] == ["keras-pose", "check", str(out)]
    images, skeleton = (words[words.index(option) + 1] for option in ("--images", "--skeleton"))
    dataset = KeypointDataset.from_coco(out, images, skeleton)
    dataset.check_images()
    assert dataset.skeleton.flip_indices.tolist() == [1, 0]


def test_missing_images_are_exit_code_1(table, tmp_path, capsys):
    (tmp_path / "labeled-data/b.png").unlink()
    assert main(["import-dataset", str(table), str(tmp_path / "eyes.json")]) == 1
    text, errors = capsys.readouterr()
    assert "1 images without a file, for example labeled-data/b.png" in text
    assert "some images are left out" in errors
    assert len(json.loads((tmp_path / "eyes.json").read_text())["images"]) == 1


def test_options_reach_the_reader(table, tmp_path, capsys):
    words = ["import-dataset", str(table), str(tmp_path / "eyes.json"), "--box-padding", "1"]
    assert main([*words, "--format", "deeplabcut", "--category", "animal"]) == 0
    row = json.loads((tmp_path / "eyes.json").read_text())["annotations"][0]
    assert row["bbox"] == [0, 0, 30, 22]
    assert "100% of its longer side" in capsys.readouterr().out
    assert main([*words, "--split", "train"]) == 2
    assert "no split 'train'; the source has none" in capsys.readouterr().err
    assert main([*words, "--format", "cvat"]) == 2
    assert "is not an XML file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file or folder"),
        ("", "is of no format that is read"),
        ("scorer,me\n", "no row of heads 'bodyparts'"),
        (TABLE.replace("10,10", "ten,10"), "must be a number, got 'ten'"),
    ],
)
def test_wrong_files_are_exit_code_2(tmp_path, capsys, content, words):
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_text(content)
    assert main(["import-dataset", str(path), str(tmp_path / "out.json")]) == 2
    text, errors = capsys.readouterr()
    assert words in errors and len(errors.splitlines()) == 1 and not text
    assert not (tmp_path / "out.json").exists()


def test_help_names_the_formats(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["import-dataset", "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for part in ("keras-pose import-dataset", "deeplabcut", "label-studio", ".pkg.slp", "--split"):
        assert part in text
