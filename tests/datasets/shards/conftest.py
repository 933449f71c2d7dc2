"""A data set of people in drawn photos, some small, some larger than any network's input."""

import cv2
import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, ShardSettings, prepare_shards


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    rows = {"paths": [], "ids": [], "sizes": [], "boxes": [], "keypoints": []}
    for image, (width, height) in enumerate([(320, 240), (700, 900), (240, 320), (640, 480)] * 2):
        path = folder / f"{image}.png"
        picture = rng.integers(0, 256, (height // 80, width // 80, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))
        for _ in range(2):
            low = rng.uniform(0, 0.3, 2) * (width, height)
            high = rng.uniform(0.5, 1, 2) * (width, height)
            rows["paths"].append(path)
            rows["ids"].append(image + 10)
            rows["sizes"].append((width, height))
            rows["boxes"].append([*low, *high])
            rows["keypoints"].append(rng.uniform(low, high, (17, 2)))
    count = len(rows["ids"])
    return KeypointDataset(
        "coco",
        rows["paths"],
        rows["ids"],
        rows["sizes"],
        rows["boxes"],
        rows["keypoints"],
        rng.uniform(size=(count, 17)) < 0.8,
        ids=100 + np.arange(count),
        name="people",
        extras={"hand_type": rng.integers(0, 2, (count, 2)), "head_sizes": rng.uniform(size=count)},
    )


SETTINGS = ShardSettings(input_sizes=((48, 64),))


@pytest.fixture(scope="session")
def shards(people, tmp_path_factory):
    return prepare_shards(
        people, tmp_path_factory.mktemp("out") / "s", SETTINGS, objects_per_shard=5
    )
