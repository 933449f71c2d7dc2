"""`keras-pose prepare`."""

import json

import cv2
import numpy as np
import pytest

from keras_pose.cli import main
from keras_pose.datasets import PreparedShards


@pytest.fixture
def dots(tmp_path):
    images, annotations = [], []
    for number in range(4):
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / name), np.full((40, 50, 3), 9, np.uint8))
        images.append({"id": number + 1, "file_name": name, "width": 50, "height": 40})
        annotations.append(
            {
                "id": number + 1,
                "image_id": number + 1,
                "category_id": 1,
                "bbox": [5, 5, 30, 30],
                "keypoints": [20, 20, 2],
            }
        )
    categories = [{"id": 1, "name": "dot", "keypoints": ["dot"], "skeleton": []}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = tmp_path / "dots.json"
    path.write_text(json.dumps(content))
    return path


def test_shards_are_written_and_counted(dots, tmp_path, capsys):
    out = tmp_path / "shards"
    assert main(["prepare", str(dots), str(out), "--size", "48x64", "--shard-objects", "2"]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 4 objects in 2 shards, 0.0 MB")
    assert PreparedShards(out).settings.input_sizes == ((48, 64),)


def test_images_that_do_not_decode_stop_it(dots, tmp_path, capsys):
    (tmp_path / "2.png").write_bytes(b"\x89PNG")
    assert main(["prepare", str(dots), str(tmp_path / "s")]) == 2
    error = capsys.readouterr().err
    assert "1 images with 1 of 4 objects do not decode" in error and "2.png" in error
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quality", "0"], "quality must lie in 1..100, got 0"),
        (["--images", "nowhere"], "nowhere"),
        (["--beam-options=--x=1"], "--beam-options are for --beam"),
    ],
)
def test_mistakes_are_one_sentence(dots, tmp_path, capsys, words, message):
    assert main(["prepare", str(dots), str(tmp_path / "s"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_size_that_is_none_is_one_sentence(dots, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["prepare", str(dots), str(tmp_path / "s"), "--size", "big"])
    assert "a size is like 192x256, not 'big'" in capsys.readouterr().err
