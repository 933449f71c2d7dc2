"""Top-down models whose keypoints have a depth."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import KerasBackbone
from keras_pose.codecs import Hand3DHeatmap, SimCC3DLabel
from keras_pose.heads import InterNetHead, RTMW3DHead
from keras_pose.losses import BoneLoss, KLDiscretLoss, MultipleLossWrapper

SIZE = (32, 48)
BODY = keras_pose.Skeleton("body", ["root", "left_hand", "right_hand", "head"])
HANDS = keras_pose.Skeleton(
    "hands",
    ["right_tip", "right_wrist", "left_tip", "left_wrist"],
)


def _body():
    loss = MultipleLossWrapper(
        [
            KLDiscretLoss(
                key=["x", "y", "z"],
                beta=10.0,
                label_softmax=True,
                weights_per_axis=True,
                term="loss_kld",
            ),
            BoneLoss(joint_parents=[0, 0, 0, 0]),
        ]
    )
    codec = SimCC3DLabel(SIZE, root_index=[0], sigma=4.0, normalize=False)
    head = RTMW3DHead(4, codec, 16, loss, hidden=16, attention={"key_units": 8}, kernel_size=3)
    return keras_pose.TopdownEstimator(_backbone(2), head, skeleton=BODY, input_size=SIZE)


def _hands():
    codec = Hand3DHeatmap(SIZE, (8, 12), 8, 8, sigma=1.0, peak=10.0)
    head = InterNetHead(4, codec, None, (16,), (4,), (16,), (16,))
    return keras_pose.TopdownEstimator(_backbone(1), head, skeleton=HANDS, input_size=SIZE)


def _backbone(levels):
    """Maps of strides 8 and 16, the fewest layers that learn."""
    image = keras.Input((SIZE[1], SIZE[0], 3))
    fine = keras.layers.Conv2D(16, 8, 8, activation="relu")(image)
    coarse = keras.layers.Conv2D(16, 2, 2, activation="relu")(fine)
    return KerasBackbone(keras.Model(image, [fine, coarse][:levels]))


MODELS = {"body": _body, "hands": _hands}
# Depths of labels, in the units of the models: metres in camera space, millimetres from the wrist.
DEPTHS = {"body": (3, 5), "hands": (-150, 150)}
# The first one falls, the lengths of bones have no gradient.
TERMS = {
    "body": ("loss_kld", "loss_bone"),
    "hands": ("loss_kpt", "loss_rel_root", "loss_hand_type"),
}
every_model = pytest.mark.parametrize("name", MODELS)


def _batch(name, count=2):
    random = np.random.default_rng(0)
    low, high = DEPTHS[name]
    images = random.integers(0, 256, (count, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    points = random.uniform([4, 4, low], [28, 44, high], (count, 1, 4, 3))
    labels = {"keypoints": points.astype("f4"), "visible": np.ones((count, 1, 4), "f4")}
    if name == "hands":
        labels["hand_type"] = np.float32([[1, 0], [1, 1]])
        labels["root_depth"] = np.float32([0, 120])
    return images, labels


@every_model
def test_training(name):
    keras.utils.set_random_seed(0)
    model, (images, labels) = MODELS[name](), _batch(name)
    model.compile(keras.optimizers.Adam(1e-2))
    first = model.train_on_batch(images, labels, return_dict=True)
    for _ in range(12):
        model.reset_metrics()
        last = model.train_on_batch(images, labels, return_dict=True)
    assert set(first) == {"loss", "pck", *TERMS[name]}
    assert np.isfinite(list(last.values())).all()
    assert last[TERMS[name][0]] < 0.9 * first[TERMS[name][0]]


def test_batches_without_depths_teach_x_and_y():
    model, (images, labels) = _body(), _batch("body")
    flat = {**labels, "keypoints": labels["keypoints"][..., :2]}
    unknown = {**labels, "visible_3d": np.zeros((2, 1, 4), "f4")}
    losses = []
    for each in (flat, unknown, labels):
        # TensorFlow would make one program for all shapes, which are known only later.
        model.compile(keras.optimizers.SGD(0.0))
        losses.append(model.test_on_batch(images, each, return_dict=True))
    assert losses[0]["loss_kld"] == pytest.approx(losses[1]["loss_kld"], rel=1e-6)
    assert losses[0]["loss_bone"] == pytest.approx(losses[1]["loss_bone"], rel=1e-6)
    assert losses[2]["loss_kld"] > losses[0]["loss_kld"]


@pytest.mark.parametrize(
    ("name", "dimensions", "message"),
    [
        ("body", 4, r"keypoints must be \(B, N, 4, 2\) or \(B, N, 4, 3\), got shape \(2, 1, 4, 4"),
        ("hands", 2, r"keypoints must be \(B, N, 4, 3\), got shape \(2, 1, 4, 2\)"),
    ],
)
def test_keypoints_of_other_dimensions_are_refused(name, dimensions, message):
    model, (images, labels) = MODELS[name](), _batch(name)
    labels["keypoints"] = np.ones((2, 1, 4, dimensions), "f4")
    model.compile(keras.optimizers.SGD(0.0))
    with pytest.raises(ValueError, match=message):
        model.test_on_batch(images, labels)


@every_model
def test_poses_are_in_image_pixels_and_depths_in_the_codecs_unit(name):
    model = MODELS[name]()
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    box = [[10, 6, 40, 54]]
    poses = model.predict_poses(image, box)
    assert poses.keypoints.shape == (1, 4, 3)
    affine = keras_pose.geometry.crop_affine(np.float32(box), SIZE, padding=1.25)
    crop = keras_pose.geometry.warp(image, affine[0], SIZE)
    decoded = model.predict_on_batch(crop[None])["keypoints"][:, 0]
    flat = keras_pose.geometry.apply_affine(affine, decoded[..., :2])
    np.testing.assert_allclose(poses.keypoints[..., :2], flat, atol=1e-3)
    np.testing.assert_allclose(poses.keypoints[..., 2], decoded[..., 2], atol=1e-4)
    assert (poses.visible is None) == (name == "body")
    drawn = poses.draw(image, threshold=-1e9)
    assert drawn.shape == image.shape


@every_model
def test_a_picture_without_boxes_has_no_pose_in_space(name):
    poses = MODELS[name]().predict_poses(np.zeros((60, 80, 3), np.uint8), np.zeros((0, 4)))
    assert poses.keypoints.shape == (0, 4, 3)


@every_model
def test_flip_tests_treat_mirrored_pictures_alike(name):
    """The mirrored picture has the mirrored pose: sides change, depths stay."""
    model, (images, _) = MODELS[name](), _batch(name)
    plain = model.predict_on_batch(images, flip_test=True)
    mirrored = model.predict_on_batch(images[:, :, ::-1].copy(), flip_test=True)
    flips = model.skeleton.flip_indices
    back = mirrored["keypoints"][:, :, flips]
    np.testing.assert_allclose(back[..., 1:], plain["keypoints"][..., 1:], atol=1e-3)
    if name == "hands":
        np.testing.assert_allclose(-mirrored["root_depth"], plain["root_depth"], atol=1e-2)


@every_model
def test_storing(name, tmp_path):
    model, (images, _) = MODELS[name](), _batch(name)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    expected, found = (m.predict_on_batch(images) for m in (model, copy))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-5, err_msg=key)
