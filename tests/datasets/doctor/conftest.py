"""A small data set without any fault, and its skeleton."""

import copy
import json

import cv2
import numpy as np
import pytest

SIZE = (200, 160)
# A mouse from above: left and right mirror at the x axis.
SHAPE = np.array([[40, 0], [26, 12], [26, -12], [-20, 16], [-20, -16], [-40, 0]], float)
NAMES = ["nose", "left_ear", "right_ear", "left_foot", "right_foot", "tail"]


class Sample:
    """Annotations in memory, pictures and an annotation file on disk."""

    def __init__(self, folder, count=14):
        self.folder = folder
        self.skeleton = {
            "name": "mouse",
            "keypoints": list(NAMES),
            "swaps": [["left_ear", "right_ear"], ["left_foot", "right_foot"]],
            "links": [["nose", "left_ear"], ["nose", "right_ear"], ["nose", "tail"]],
            "sigmas": [0.05] * 6,
        }
        random = np.random.default_rng(0)
        self.data = {"images": [], "annotations": [], "categories": [self._category()]}
        for number in range(1, count + 1):
            noise = random.integers(0, 255, (10, 12, 3), np.uint8)
            picture = cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{number}.png"), picture)
            self.data["images"].append(
                {"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1]}
            )
            angle = random.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            points = SHAPE + random.normal(0, 1.0, SHAPE.shape)
            points = points @ turn.T * random.uniform(0.7, 1.1)
            points += random.uniform((70, 50), (130, 110))
            low, high = points.min(axis=0) - 4, points.max(axis=0) + 4
            self.data["annotations"].append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": float((high - low).prod() / 2),
                    "iscrowd": 0,
                    "num_keypoints": 6,
                    "keypoints": np.column_stack([points, [2] * 6]).ravel().tolist(),
                }
            )

    def _category(self):
        return {"id": 1, "name": "mouse", "keypoints": list(NAMES), "skeleton": [[1, 2], [1, 3]]}

    def points(self, place):
        """Keypoints `(6, 3)` of an annotation."""
        return np.array(self.data["annotations"][place]["keypoints"]).reshape(-1, 3)

    def set_points(self, place, points):
        self.data["annotations"][place]["keypoints"] = np.asarray(points, float).ravel().tolist()

    def write(self, name="train.json"):
        path = self.folder / name
        path.write_text(json.dumps(self.data))
        return path

    def copy(self):
        return copy.deepcopy(self)


@pytest.fixture
def sample(tmp_path):
    return Sample(tmp_path)
