"""`keras-pose check`."""

import json

import pytest

from keras_pose.cli import main


@pytest.fixture
def file(tmp_path):
    """Writes a file with one object and a changed entry; returns its path."""

    def write(**values):
        annotation = {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "num_keypoints": 3,
            "bbox": [10, 10, 40, 40],
            "area": 900.0,
            "keypoints": [15, 15, 2, 40, 20, 2, 30, 45, 2],
        }
        names = ["nose", "left_ear", "right_ear"]
        data = {
            "images": [{"id": 1, "file_name": "1.png", "width": 100, "height": 80}],
            "annotations": [annotation | values],
            "categories": [{"id": 1, "name": "mouse", "keypoints": names}],
        }
        path = tmp_path / "train.json"
        path.write_text(json.dumps(data))
        return str(path)

    return write


def test_a_good_file_is_exit_code_0(file, capsys):
    assert main(["check", file(), "--strict"]) == 0
    text = capsys.readouterr().out
    assert "0 errors, 0 warnings, 1 note" in text
    assert "not checked: image files" in text


def test_errors_are_exit_code_1(file, capsys):
    assert main(["check", file(image_id=5)]) == 1
    text = capsys.readouterr().out
    assert text.index("ERROR    image-unknown") < text.index("NOTE")
    assert "1 error," in text


def test_warnings_are_exit_code_1_if_strict(file, capsys):
    path = file(num_keypoints=1)
    assert main(["check", path]) == 0
    assert main(["check", path, "--strict"]) == 1


def test_json_is_for_programs(file, capsys):
    assert main(["check", file(bbox=[10, 10, 0, 40]), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    finding = report["findings"][0]
    assert (finding["check"], finding["severity"], finding["count"]) == ("box-empty", "error", 1)
    assert finding["example"]["annotation_id"] == 1
    assert finding["remedy"]


def test_what_cannot_be_read_is_exit_code_2(file, tmp_path, capsys):
    (tmp_path / "cut.json").write_text('{"images": [')
    assert main(["check", str(tmp_path / "cut.json")]) == 2
    assert main(["check", str(tmp_path / "none.json")]) == 2
    assert main(["check", file(), "--images", str(tmp_path / "nowhere")]) == 2
    assert main(["check", file(), "--skeleton", "mouze"]) == 2
    assert main(["check", file(), "--overfit", "movenet_lightning_coco"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("keras-pose: error: ") for line in lines)


def test_a_sheet_is_drawn_without_images_too(file, tmp_path):
    assert main(["check", file(), "--sheet", str(tmp_path / "out" / "sheet.png")]) == 0
    assert (tmp_path / "out" / "sheet.png").stat().st_size > 1000
