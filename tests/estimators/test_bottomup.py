"""Bottom-up estimation of whole photos, with a small network of random weights."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.geometry import apply_affine


@pytest.fixture(scope="module")
def tiny():
    """Sees people everywhere that is not black."""
    keras.utils.set_random_seed(0)
    model = keras_pose.BottomupEstimator(
        keras_pose.backbones.MobileNetV2(0.25, out_indices=(1,), norm=None, padding="same"),
        keras_pose.heads.MoveNetMultiPoseHead(17, hidden=8),
        input_size=(96, 64),
        resize_mode="corner",
    )
    biases = {"center": 1.0, "kpt_heatmap": 2.0, "box_scale": 8.0}
    for name, value in biases.items():
        bias = getattr(model.head, name).out.bias
        bias.assign(np.full(bias.shape, value, "float32"))
    return model


@pytest.fixture(scope="module")
def photos():
    random = np.random.default_rng(0)
    sizes = [(50, 90), (90, 50), (64, 96), (50, 90)]
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def _assert_equal(result, other):
    for name in ("keypoints", "scores", "boxes", "box_scores"):
        np.testing.assert_allclose(getattr(result, name), getattr(other, name), atol=1e-3)


def test_photos_of_several_sizes_give_what_each_gives_alone(tiny, photos):
    together = tiny.predict_poses(photos)
    assert [len(result) for result in together] == [6, 6, 6, 6]
    for photo, result in zip(photos, together, strict=True):
        assert result.image_size == photo.shape[1::-1]
        _assert_equal(result, tiny.predict_poses(photo))


def test_results_are_inside_the_photo_and_best_first(tiny, photos):
    result = tiny.predict_poses(photos[0])
    assert (np.diff(result.box_scores) <= 0).all()
    assert result.boxes.min() >= 0
    assert (result.boxes[:, 2:] <= [90, 50]).all()


def test_nobody_is_an_empty_result(tiny, photos):
    result = tiny.predict_poses(photos[0], threshold=1.0)
    assert len(result) == 0
    assert result.boxes.shape == (0, 4)
    assert tiny.predict_poses([]) == []


@pytest.mark.parametrize("size", [(3, 2000), (2000, 3), (1, 1), (700, 900)])
def test_every_shape_of_photo_is_taken(tiny, size):
    result = tiny.predict_poses(np.full((*size, 3), 100, np.uint8))
    assert result.image_size == size[::-1]


@pytest.mark.parametrize("size", [(60, 120), (500, 800)])
@pytest.mark.parametrize("mode", ["corner", "fit", "expand"])
def test_the_affine_says_where_the_pixels_come_from(tiny, size, mode):
    model = keras_pose.BottomupEstimator.from_config(tiny.get_config() | {"resize_mode": mode})
    x, y = np.meshgrid(np.linspace(0, 240, size[1]), np.linspace(0, 240, size[0]))
    photo = np.stack([x, y, y], axis=-1).astype(np.uint8)
    resized, affine = model._resized(photo)
    points = np.mgrid[8:80:8, 20:44:8].reshape(2, -1).T
    expected = apply_affine(affine, points.astype(np.float64)) * 240 / np.array(size[::-1])
    inside = ((expected > 4) & (expected < 236)).all(axis=1)
    assert inside.sum() > 20
    found = resized[points[:, 1], points[:, 0], :2]
    np.testing.assert_allclose(found[inside], expected[inside], atol=4)


def test_flip_test_runs(tiny, photos):
    assert len(tiny.predict_poses(photos[0], flip_test=True)) == 6


def test_preset_gives_the_model_back(tiny, photos, tmp_path):
    copy = keras_pose.BottomupEstimator.from_preset(tiny.save_to_preset(tmp_path / "preset"))
    for name in ("input_size", "resize_mode", "size_factor", "udp", "fill"):
        assert copy.get_config()[name] == tiny.get_config()[name]
    _assert_equal(copy.predict_poses(photos[0]), tiny.predict_poses(photos[0]))


def test_inputs_of_other_sizes_are_refused(tiny):
    with pytest.raises(ValueError, match="multiples of 32, got shape"):
        tiny.predict_on_batch(np.zeros((1, 64, 80, 3), np.uint8))


def test_thresholds_beyond_1_are_refused(tiny, photos):
    with pytest.raises(ValueError, match=r"threshold must lie in 0\.\.1, got 2"):
        tiny.predict_poses(photos[0], threshold=2)


def test_training_without_a_loss_is_refused(tiny):
    with pytest.raises(ValueError, match="MoveNetMultiPoseHead has no loss to train with"):
        tiny.compute_loss(None, {}, {})


def test_a_predictor_takes_no_detector_and_no_boxes(tiny, photos):
    predictor = keras_pose.PosePredictor(tiny)
    _assert_equal(predictor.predict(photos[0]), tiny.predict_poses(photos[0]))
    with pytest.raises(ValueError, match="leave out boxes"):
        predictor.predict(photos[0], boxes=[[0, 0, 10, 10]])
    with pytest.raises(ValueError, match="leave out detector"):
        keras_pose.PosePredictor(tiny, lambda image: [])
