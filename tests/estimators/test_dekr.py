"""DEKR with a small backbone: training, other skeletons, prediction."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.codecs import SPR
from keras_pose.heads import DEKRHead, PoseRescorer

pytestmark = pytest.mark.usefixtures("quickly_compiled")
SIZE = (64, 64)
SKELETON = keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"], links=[(0, 1), (1, 2)])


@pytest.fixture
def tiny():
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(16, 5, 4, "same", activation="tanh")(image)
    rescorer = PoseRescorer(SKELETON.links.tolist(), (0, 1), 8)
    return keras_pose.BottomupEstimator(
        keras.Model(image, features),
        DEKRHead(3, SPR(sigma=(2, 1), minimal_diagonal=1), None, 8, 4, rescorer),
        skeleton=SKELETON,
        input_size=SIZE,
        resize_mode="expand",
    )


def _batch():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    centres = random.uniform(15, 35, (4, 2, 1, 2))
    keypoints = centres + random.uniform(-10, 10, (4, 2, 3, 2))
    visible = np.ones((4, 2, 3), "f4")
    visible[3] = 0
    masks = np.ones((4, SIZE[1] // 4, SIZE[0] // 4), "u1")
    return images, {"keypoints": keypoints.astype("f4"), "visible": visible, "masks": masks}


def test_training_lowers_both_losses(tiny):
    images, labels = _batch()
    tiny.compile(keras.optimizers.Adam(1e-2))
    history = tiny.fit(images, labels, epochs=5, batch_size=4, verbose=0).history
    assert set(tiny.head.loss_module.terms) <= set(history)
    for term in ("loss", *tiny.head.loss_module.terms):
        assert history[term][-1] < history[term][0]


def test_labels_need_masks(tiny):
    images, labels = _batch()
    tiny.compile("sgd")
    with pytest.raises(ValueError, match="the labels lack 'masks'"):
        tiny.fit(images, {k: v for k, v in labels.items() if k != "masks"}, verbose=0)


def test_the_judge_of_poses_is_left_out_for_other_keypoints(tiny):
    other = keras_pose.Skeleton("two", ["left_eye", "nose"], swaps=())
    assert tiny.with_skeleton(other).head.rescore_net is None
    assert tiny.with_skeleton(SKELETON).head.rescore_net is not None


def test_a_config_gives_the_estimator_back(tiny):
    copy = type(tiny).from_config(tiny.get_config())
    assert copy.get_config() == tiny.get_config()
    assert [v.shape for v in copy.weights] == [v.shape for v in tiny.weights]


@pytest.mark.parametrize("flip_test", [False, True])
def test_photos_of_any_shape_are_predicted(tiny, flip_test):
    # Heatmaps above the threshold everywhere: as many people as there are slots and peaks.
    bias = tiny.head.heatmap_conv_layers[2].bias
    bias.assign(np.full(bias.shape, 0.5, "f4"))
    judge = tiny.head.rescore_net.l3
    judge.bias.assign(np.ones(1, "f4"))
    random = np.random.default_rng(0)
    shapes = ((48, 64), (60, 170))[flip_test:]
    photos = [random.integers(0, 256, (*s, 3), dtype=np.uint8) for s in shapes]
    for photo, poses in zip(photos, tiny.predict_poses(photos, flip_test=flip_test), strict=True):
        assert 0 < len(poses) <= 30
        assert poses.image_size == photo.shape[1::-1]
        assert np.isfinite(poses.keypoints).all()
    assert len(tiny.predict_poses(photos[0], threshold=1.0)) == 0
