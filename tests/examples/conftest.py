"""What the tests of the examples and their guide share."""

import json

import cv2
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MoveNetCodec
from keras_pose.heads import MoveNetHead


@pytest.fixture
def small_preset(tmp_path):
    """A network of MoveNet's kind that is quickly compiled, for one keypoint named dot."""
    head = MoveNetHead(1, MoveNetCodec((64, 64), (16, 16)), hidden=8)
    estimator = keras_pose.TopdownEstimator(
        ResNet(18, out_indices=(0,), base_channels=8),
        head,
        skeleton=keras_pose.Skeleton("dot", ["dot"]),
        input_size=(64, 64),
    )
    return str(estimator.save_to_preset(tmp_path / "small"))


@pytest.fixture
def arrows(tmp_path, small_preset):
    """Arguments for eight pictures of arrows whose head, left and right end are the keypoints."""
    random = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(8):
        centre = random.uniform(60, 100, 2)
        points = centre + np.array([[0, -30], [-20, 20], [20, 20]])
        picture = np.full((160, 160, 3), 40, np.uint8)
        cv2.fillPoly(picture, [points.round().astype(np.int32)], (60, 200, 220))
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
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
    names = ["tip", "left_end", "right_end"]
    categories = [{"id": 1, "name": "arrow", "keypoints": names, "skeleton": [[1, 2], [1, 3]]}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file = tmp_path / "arrows.json"
    file.write_text(json.dumps(content))
    source = ["--annotations", f"{file}", "--val", f"{file}", "--images", f"{tmp_path}"]
    return [*source, "--preset", small_preset]
