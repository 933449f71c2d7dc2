"""The comparison that decides over artifacts."""

import hashlib

import numpy as np
import pytest

from keras_pose.artifacts import parity


@pytest.fixture
def poses():
    random = np.random.default_rng(0)
    return {
        "keypoints": random.uniform(0, 192, (2, 1, 5, 2)).astype("float32"),
        "scores": np.float32([[[0.9, 0.1, 0.5, 0.21, 0.19]], [[0.3] * 5]]),
    }


def changed(outputs, name, index, value):
    copy = {key: array.copy() for key, array in outputs.items()}
    copy[name][index] += value
    return copy


def test_images_are_the_same_to_the_last_bit_everywhere():
    small = np.arange(2 * 16 * 12 * 3, dtype=np.uint32).reshape(2, 16, 12, 3) * 37 % 256
    images = parity.parity_images(small.astype(np.uint8), (48, 64))
    assert images.shape == (2, 64, 48, 3)
    assert hashlib.sha256(images.tobytes()).hexdigest().startswith("bc3ac87b78e99d00")


def test_enlarged_images_are_bilinear():
    import cv2

    small = parity.small_images((64, 96))
    images = parity.parity_images(small, (64, 96))
    expected = [cv2.resize(image, (64, 96), interpolation=cv2.INTER_LINEAR) for image in small]
    assert np.abs(images.astype(int) - np.stack(expected)).max() <= 2


@pytest.mark.parametrize("size", [(192, 192), (192, 256), (288, 384), (512, 512), (100, 70)])
def test_stored_images_are_few_and_small(size):
    small = parity.small_images(size)
    assert len(small) == 6
    assert max(small.shape[1:3]) <= 80
    assert parity.parity_images(small, size).shape == (6, size[1], size[0], 3)
    assert small.std() > 30


def test_only_sure_keypoints_count(poses):
    good = parity.compare(poses, changed(poses, "keypoints", (0, 0, 1), 50), True)
    bad = parity.compare(poses, changed(poses, "keypoints", (0, 0, 3), 0.11), True)
    assert good["keypoints"].ok
    assert (good["keypoints"].compared, good["keypoints"].total) == (16, 20)
    assert not bad["keypoints"].ok
    assert bad["keypoints"].largest == pytest.approx(0.11, abs=1e-4)


def test_all_keypoints_count_where_none_is_sure(poses):
    poses["scores"][:] = 0.01
    found = parity.compare(poses, changed(poses, "keypoints", (1, 0, 0), 0.2), True)
    assert not found["keypoints"].ok
    assert found["keypoints"].compared == 20


def test_scores_count(poses):
    assert not parity.compare(poses, changed(poses, "scores", (0, 0, 1), 0.01), True)["scores"].ok


@pytest.mark.parametrize("name", ["keypoints", "scores"])
def test_what_is_no_number_is_not_good(poses, name):
    found = parity.compare(poses, changed(poses, name, (0, 0, 0), np.nan), True)
    assert not found[name].ok


def test_raw_outputs_are_compared_by_their_largest_value():
    maps = {"keypoints": np.linspace(-1000, 1000, 600, dtype="float32").reshape(2, 300)}
    assert parity.compare(maps, changed(maps, "keypoints", (0, 0), 0.9), False)["keypoints"].ok
    assert not parity.compare(maps, changed(maps, "keypoints", (0, 0), 1.1), False)["keypoints"].ok


@pytest.fixture
def detections():
    random = np.random.default_rng(0)
    return {
        "boxes": random.uniform(0, 512, (2, 6, 4)).astype("float32"),
        "scores": np.tile(np.float32([0.9, 0.500001, 0.5, 0.3, 0.1, 0.05]), (2, 1)),
        "classes": np.tile(np.float32([0, 7, 0, 0, 3, 0]), (2, 1)),
    }


def test_detections_of_equal_scores_may_change_places(detections):
    order = [0, 2, 1, 3, 4, 5]
    swapped = {name: value[:, order] for name, value in detections.items()}
    assert all(one.ok for one in parity.compare(detections, swapped, True).values())


def test_other_boxes_and_classes_are_found(detections):
    moved = parity.compare(detections, changed(detections, "boxes", (0, 2, 1), 0.3), True)
    assert moved["boxes"].largest == pytest.approx(0.3, abs=1e-3)
    renamed = parity.compare(detections, changed(detections, "classes", (0, 1), 1), True)
    assert not (renamed["classes"].ok and renamed["boxes"].ok)


def test_missing_outputs_and_other_shapes_are_told(poses):
    with pytest.raises(ValueError, match='no output "scores" but keypoints'):
        parity.compare(poses, {"keypoints": poses["keypoints"]}, True)
    with pytest.raises(ValueError, match=r"shape \(2, 1, 4\) instead of \(2, 1, 5\)"):
        parity.compare(poses, {**poses, "scores": poses["scores"][..., :4]}, True)


def test_reference_file_holds_what_was_stored(poses, tmp_path):
    small = parity.small_images((64, 64))
    parity.write_reference(tmp_path / "reference.npz", small, poses)
    images, outputs = parity.read_reference(tmp_path / "reference.npz")
    np.testing.assert_array_equal(images, small)
    assert outputs.keys() == poses.keys()
    np.testing.assert_array_equal(outputs["keypoints"], poses["keypoints"])


def test_raw_maps_are_stored_in_part():
    maps = {"heatmaps": np.zeros((6, 64, 48, 17)), "few": np.zeros((6, 10))}
    assert parity.sampled(maps, decode=True)["heatmaps"].shape == (6, 64, 48, 17)
    stored = parity.sampled(maps, decode=False)
    assert stored["heatmaps"].size < 6 * 600
    assert stored["few"].shape == (6, 10)
