"""What the tests of the examples and their guide share."""

import json

import cv2
import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MoveNetCodec
from keras_pose.heads import MoveNetHead


@pytest.fixture(scope="session")
def small_preset(tmp_path_factory):
    """A network of MoveNet's kind that is quickly compiled, for one keypoint named dot."""
    keras.utils.set_random_seed(0)
    head = MoveNetHead(1, MoveNetCodec((64, 64), (16, 16)), hidden=8)
    estimator = keras_pose.TopdownEstimator(
        ResNet(18, out_indices=(0,), base_channels=8),
        head,
        skeleton=keras_pose.Skeleton("dot", ["dot"]),
        input_size=(64, 64),
    )
    return str(estimator.save_to_preset(tmp_path_factory.mktemp("presets") / "small"))


ARROW = ("tip", "left_end", "right_end")


def _draw_arrow(random: np.random.Generator, path) -> tuple[np.ndarray, np.ndarray]:
    """Writes a picture of an arrow, and returns its centre and keypoints, `ARROW`."""
    centre = random.uniform(60, 100, 2)
    points = centre + np.array([[0, -30], [-20, 20], [20, 20]])
    picture = np.full((160, 160, 3), 40, np.uint8)
    cv2.fillPoly(picture, [points.round().astype(np.int32)], (60, 200, 220))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)
    return centre, points


def _write_arrows(file, folder) -> None:
    random = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(8):
        centre, points = _draw_arrow(random, folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 160, "height": 160})
        annotations.append(
            {
                "id": number + 1,
                "image_id": number,
                "category_id": 1,
                "bbox": [*(centre - [30, 40]).tolist(), 60, 70],
                "keypoints": np.column_stack([points, [2, 2, 2]]).ravel().tolist(),
            }
        )
    category = {"id": 1, "name": "arrow", "keypoints": ARROW, "skeleton": [[1, 2], [1, 3]]}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    file.write_text(json.dumps(content))


def _write_deeplabcut_project(folder) -> None:
    random = np.random.default_rng(0)
    clip = folder / "labeled-data/clip"
    heads = ["scorer,", "bodyparts," + ",".join(f"{name},{name}" for name in ARROW)]
    rows = [heads[0] + ",".join(["me"] * 6), heads[1], "coords" + ",x,y" * 3]
    for number in range(8):
        _, points = _draw_arrow(random, clip / f"img{number}.png")
        rows.append(f"labeled-data/clip/img{number}.png," + ",".join(map(str, points.ravel())))
    (clip / "CollectedData_me.csv").write_text("\n".join(rows) + "\n")
    bodyparts = "".join(f"- {name}\n" for name in ARROW)
    (folder / "config.yaml").write_text(f"Task: arrow\nscorer: me\nbodyparts:\n{bodyparts}")


@pytest.fixture(scope="session")
def write_arrows():
    """Writes a COCO file of eight pictures of arrows, and the pictures into a folder."""
    return _write_arrows


@pytest.fixture(scope="session")
def write_deeplabcut_project():
    """Writes a DeepLabCut project of eight frames with an arrow each into a folder."""
    return _write_deeplabcut_project


@pytest.fixture
def arrows(tmp_path, small_preset, write_arrows):
    """Arguments for eight pictures of arrows whose head, left and right end are the keypoints."""
    file = tmp_path / "arrows.json"
    write_arrows(file, tmp_path)
    source = ["--annotations", f"{file}", "--val", f"{file}", "--images", f"{tmp_path}"]
    return [*source, "--preset", small_preset]
