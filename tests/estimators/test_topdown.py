"""Photos in, poses in image pixels out."""

import cv2
import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead
from keras_pose.paths import PRESETS
from keras_pose.skeleton import Skeleton

SAMPLES = PRESETS / "samples"
SIZE = (32, 48)
BOXES = [[10, 5, 60, 80], [0, 0, 20, 30], [-20, 40, 50, 200]]


@pytest.fixture(scope="module")
def estimator():
    keras.utils.set_random_seed(0)
    head = HeatmapHead(3, MSRAHeatmap(SIZE, (8, 12), 1.0), None, (), ())
    estimator = keras_pose.TopdownEstimator(
        ResNet(18, out_indices=(0,), base_channels=4),
        head,
        skeleton=Skeleton("trio", ["nose", "left_ear", "right_ear"]),
        input_size=SIZE,
    )
    head.final_layer.kernel.assign(np.random.default_rng(2).standard_normal((1, 1, 4, 3)))
    return estimator


@pytest.fixture(scope="module")
def movenet():
    return keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")


@pytest.fixture(scope="module")
def photo():
    """Smooth noise, so that crops differ."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    return cv2.resize(noise, (72, 96), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def path(photo, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    cv2.imwrite(str(path), photo[..., ::-1])
    return path


def _same(first, second, tolerance=1e-3):
    np.testing.assert_allclose(first.keypoints, second.keypoints, rtol=0, atol=tolerance)
    np.testing.assert_allclose(first.scores, second.scores, rtol=0, atol=1e-5)


def test_poses_are_in_image_pixels(estimator, photo):
    """A crop given as a box is found where the box says, whatever the crop's own pixels are."""
    result = estimator.predict_poses(photo, BOXES)
    assert result.keypoints.shape == (3, 3, 2) and result.scores.shape == (3, 3)
    np.testing.assert_array_equal(result.boxes, BOXES)
    assert result.image_size == (72, 96) and result.skeleton is estimator.skeleton
    affine = keras_pose.geometry.crop_affine(np.float32(BOXES[:1]), SIZE)
    crop = keras_pose.geometry.warp(photo, affine[0], SIZE)
    decoded = estimator.predict_on_batch(crop[None])["keypoints"][0, 0]
    expected = decoded @ affine[0, :, :2].T + affine[0, :, 2]
    np.testing.assert_allclose(result.keypoints[0], expected, rtol=0, atol=1e-3)


def test_a_path_an_array_and_a_list_give_the_same(estimator, photo, path):
    one = estimator.predict_poses(photo, BOXES)
    for images in (path, str(path)):
        _same(estimator.predict_poses(images, BOXES), one)
    several = estimator.predict_poses([photo, path], [BOXES, BOXES[:1]])
    assert isinstance(several, list) and [len(result) for result in several] == [3, 1]
    _same(several[0], one)
    _same(several[1], one[:1])


def test_batches_give_what_single_boxes_give(estimator, photo):
    together = estimator.predict_poses(photo, BOXES)
    for i, box in enumerate(BOXES):
        _same(estimator.predict_poses(photo, [box]), together[i])
    _same(estimator.predict_poses(photo, BOXES, batch_size=1), together)
    _same(estimator.predict_poses(photo, BOXES, batch_size=2), together)


def test_people_of_all_photos_share_batches(estimator, photo, monkeypatch):
    sizes = []
    run = type(estimator).predict_on_batch
    monkeypatch.setattr(
        type(estimator),
        "predict_on_batch",
        lambda self, x, **options: sizes.append(len(x)) or run(self, x, **options),
    )
    estimator.predict_poses([photo] * 3, [BOXES[:2], [], BOXES[:2]])
    assert sizes == [4]


def test_without_boxes_the_whole_photo_is_one(estimator, photo):
    result = estimator.predict_poses(photo)
    np.testing.assert_array_equal(result.boxes, [[0, 0, 72, 96]])
    unpadded = keras_pose.geometry.crop_affine(result.boxes, SIZE, padding=1.0)
    crop = keras_pose.geometry.warp(photo, unpadded[0], SIZE)
    decoded = estimator.predict_on_batch(crop[None])["keypoints"][0, 0]
    expected = keras_pose.geometry.apply_affine(unpadded[0], decoded)
    np.testing.assert_allclose(result.keypoints[0], expected, rtol=0, atol=1e-3)
    mixed = estimator.predict_poses([photo, photo], [None, BOXES])
    _same(mixed[0], result)


@pytest.mark.parametrize("boxes", [[], np.zeros((0, 4)), ()], ids=["list", "array", "tuple"])
def test_no_boxes_give_no_poses(estimator, photo, boxes):
    result = estimator.predict_poses(photo, boxes)
    assert len(result) == 0 and result.keypoints.shape == (0, 3, 2)
    assert [len(one) for one in estimator.predict_poses([photo, photo], [boxes, BOXES])] == [0, 3]


def test_no_photos_give_no_results(estimator):
    assert estimator.predict_poses([]) == []


def test_box_scores_are_handed_on(estimator, photo):
    result = estimator.predict_poses(photo, BOXES, box_scores=[0.9, 0.5, 0.1])
    np.testing.assert_allclose(result.box_scores, [0.9, 0.5, 0.1], rtol=1e-6)
    assert estimator.predict_poses(photo, BOXES).box_scores is None


def test_the_flip_test_reaches_the_network(estimator, photo):
    plain = estimator.predict_poses(photo, BOXES)
    flipped = estimator.predict_poses(photo, BOXES, flip_test=True)
    assert np.abs(plain.scores - flipped.scores).max() > 1e-3


@pytest.mark.parametrize("kind", ["grey", "one channel", "rgba", "16 bit", "float", "0..1"])
def test_other_kinds_of_arrays_are_converted(estimator, photo, kind):
    grey = np.repeat(photo[..., :1], 3, axis=2)
    image, expected = {
        "grey": (photo[..., 0], grey),
        "one channel": (photo[..., :1], grey),
        "rgba": (np.concatenate([photo, photo[..., :1]], axis=2), photo),
        "16 bit": (photo.astype(np.uint16) * 257, photo),
        "float": (photo.astype(np.float32), photo),
        "0..1": (photo / 255.0, photo),
    }[kind]
    _same(estimator.predict_poses(image, BOXES), estimator.predict_poses(expected, BOXES))


NAN = float("nan")


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[NAN, 0, 10, 10]], r"boxes\[0\] must be finite numbers"),
        ([[0, 0, 10, 10], [0, 0, 10, float("inf")]], r"boxes\[1\] must be finite numbers"),
        ([[0, 0, 10]], r"boxes must be \(N, 4\) xyxy in image pixels, got shape \(1, 3\)"),
        ([0, 0, 10, 10], r"boxes must be \(N, 4\) xyxy in image pixels, got shape \(4,\)"),
        ([[10, 10, 10, 20]], r"boxes\[0\] is empty: xyxy needs right > left"),
        ([[30, 30, 20, 20]], r"boxes\[0\] is empty"),
        ([[72, 0, 100, 50]], r"boxes\[0\] lies outside the image of 72x96 pixels"),
        ([[-50, 0, 0, 50]], r"boxes\[0\] lies outside the image"),
        ([["a", 0, 1, 2]], r"boxes must be numbers of shape \(N, 4\)"),
        ("photo.jpg", r"boxes must be numbers of shape \(N, 4\)"),
    ],
)
def test_bad_boxes_are_refused(estimator, photo, boxes, message):
    with pytest.raises(ValueError, match=message):
        estimator.predict_poses(photo, boxes)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 9, 9, 3), np.uint8), r"images must be .* got shape \(2, 9, 9, 3\)"),
        (np.zeros((9, 9, 5), np.uint8), r"images must be .* got shape \(9, 9, 5\)"),
        (np.zeros((0, 9, 3), np.uint8), "images has no pixels"),
        (np.full((9, 9, 3), NAN), "images of dtype float64 must lie in 0..255"),
        (np.full((9, 9, 3), 300), r"images of dtype int64 must lie in 0\.\.255"),
        (None, "images must be"),
        ([np.zeros((9, 9, 3), np.uint8), None], r"images\[1\] must be"),
    ],
)
def test_bad_images_are_refused(estimator, images, message):
    with pytest.raises(ValueError, match=message):
        estimator.predict_poses(images)


def test_a_missing_file_is_named(estimator):
    with pytest.raises(FileNotFoundError, match=r"there is no image file nowhere\.jpg"):
        estimator.predict_poses("nowhere.jpg")


def test_a_file_that_is_no_image_is_named(estimator, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"text\.jpg is corrupt or not an image"):
        estimator.predict_poses(tmp_path / "text.jpg")


def test_lists_must_have_an_entry_per_photo(estimator, photo):
    with pytest.raises(ValueError, match="boxes must be a list with one entry per image, got 1"):
        estimator.predict_poses([photo, photo], [BOXES])
    with pytest.raises(ValueError, match="box_scores must be a list with one entry per image"):
        estimator.predict_poses([photo, photo], [BOXES, BOXES], box_scores=[[1, 1, 1]])
    with pytest.raises(ValueError, match=r"boxes\[1\]\[0\] is empty"):
        estimator.predict_poses([photo, photo], [BOXES, [[5, 5, 5, 5]]])
    with pytest.raises(ValueError, match=r"box_scores must have shape \(3,\)"):
        estimator.predict_poses(photo, BOXES, box_scores=[1.0])


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_has_at_least_one_crop(estimator, photo, batch_size):
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        estimator.predict_poses(photo, BOXES, batch_size=batch_size)


# Photo, box of a person, box of the head: nobody's nose is elsewhere.
PEOPLE = [
    ("astronaut.jpg", (10, 7, 369, 512), (140, 40, 300, 220)),
    ("jump.jpg", (185, 11, 415, 460), (270, 60, 350, 130)),
    ("park.jpg", (412, 332, 587, 601), (465, 335, 515, 390)),
    ("park.jpg", (85, 63, 165, 301), (105, 68, 142, 108)),
]


def test_a_larger_photo_moves_the_poses_with_it(movenet):
    name, box, _ = PEOPLE[0]
    photo = cv2.imread(str(SAMPLES / name))
    large = cv2.resize(photo, None, fx=2, fy=2)
    small = movenet.predict_poses(photo, [box])
    large = movenet.predict_poses(large, 2 * np.float32([box]))
    # Four pixels are one of the network's input.
    assert np.abs(large.keypoints / 2 - small.keypoints)[small.scores > 0.4].max() < 4


@pytest.mark.parametrize(("name", "box", "head"), PEOPLE)
def test_movenet_finds_a_person(movenet, name, box, head):
    for flip_test in (False, True):
        pose = movenet.predict_poses(SAMPLES / name, [box], flip_test=flip_test)
        nose, left_shoulder, right_shoulder = pose.keypoints[0, [0, 5, 6]]
        assert head[0] < nose[0] < head[2] and head[1] < nose[1] < head[3]
        assert min(left_shoulder[1], right_shoulder[1]) > nose[1]
        # All face the camera, so that their left is on the picture's right.
        assert left_shoulder[0] > right_shoulder[0]
        assert pose.scores[0, [0, 5, 6]].min() > 0.3
