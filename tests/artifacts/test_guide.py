"""The guide `docs/export.md`."""

import numpy as np

from keras_pose.paths import PRESETS


def test_guide_finds_the_pose_that_keras_finds(guide, movenet):
    _, names = guide
    box = [[names["left"], names["top"], names["right"], names["bottom"]]]
    pose = movenet.predict_poses(PRESETS / "samples" / "jump.jpg", boxes=box)
    assert pose.scores.min() > 0.3
    np.testing.assert_allclose(names["keypoints"], pose.keypoints[0], rtol=0, atol=0.01)
    np.testing.assert_allclose(names["scores"], pose.scores[0], rtol=0, atol=1e-4)


def test_guide_leaves_three_files(guide):
    folder, _ = guide
    assert sorted(path.name for path in folder.iterdir()) == [
        "movenet.tflite",
        "movenet.tflite.json",
        "movenet.tflite.npz",
    ]
