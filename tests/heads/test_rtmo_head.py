"""RTMO's head, alone and in a tiny network that learns."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.backbones import CSPDarknet
from keras_pose.codecs import RTMOCodec
from keras_pose.heads import RTMOHead
from keras_pose.heads.dynamic_coordinate_classifier import DynamicCoordinateClassifier
from keras_pose.losses import RTMOLoss
from keras_pose.necks import HybridEncoder

SIZE, KEYPOINTS, PEOPLE = (96, 64), 3, 4
CLASSIFIER = {"channels": 4, "bins": (6, 8), "encoding_channels": 8}
INPUTS = [(4, 6, 8), (2, 3, 8)]
OUTPUTS = {
    "classes": (30, 1),
    "boxes": (30, 4),
    "offsets": (30, 2 * KEYPOINTS),
    "visibility": (30, KEYPOINTS),
    "pose_vectors": (30, 5),
    "priors": (30, 3),
}


def head():
    codec = RTMOCodec(score_threshold=0.0, max_people=PEOPLE)
    return RTMOHead(KEYPOINTS, codec, None, (16, 32), 4, 2, 2, 1, 5, CLASSIFIER)


def network():
    """Widths of 2 to 32 channels."""
    return keras_pose.BottomupEstimator(
        CSPDarknet(deepen_factor=0.33, widen_factor=1 / 32),
        head(),
        neck=HybridEncoder(3, 8, 2, 8, deepen_factor=0.33, widen_factor=0.5, out_channels=8),
        skeleton=keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"]),
        input_size=SIZE,
    )


@pytest.fixture
def labelled():
    """Two images and what is in them; the second shows nobody in its second place."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, SIZE[1], SIZE[0], 3)).astype("uint8")
    keypoints = random.uniform((0, 0), SIZE, (2, 2, KEYPOINTS, 2)).astype("f4")
    low, high = keypoints.min(axis=2) - 8, keypoints.max(axis=2) + 8
    labels = {
        "keypoints": keypoints,
        "visible": np.ones((2, 2, KEYPOINTS), "f4"),
        "boxes": np.concatenate([low, high], axis=-1),
        "areas": np.prod(high - low, axis=-1),
        "objects": np.array([[1, 1], [1, 0]], "f4"),
        "affine": np.tile(np.eye(2, 3, dtype="f4"), (2, 1, 1)),
    }
    return images, labels


def test_values(parts):
    parts.check_values(head(), INPUTS, OUTPUTS)


def test_storing(parts, tmp_path):
    parts.check_storing(head(), INPUTS, tmp_path / "a.weights.h5")


def test_half_precision(parts):
    parts.check_half_precision(head, INPUTS, "float32")


def test_the_codec_decodes_the_instances(parts, compiled):
    made = head()
    parts.model_of(made, INPUTS)
    values = parts.random_inputs(OUTPUTS)
    values["priors"][..., 2] = 16.0
    values["pose_vectors"] *= 10
    decode = compiled(lambda outputs: made.codec.decode(made.instances(outputs)))
    found = decode(values)
    assert {key: value.shape for key, value in found.items()} == {
        "keypoints": (2, PEOPLE, KEYPOINTS, 2),
        "scores": (2, PEOPLE, KEYPOINTS),
        "boxes": (2, PEOPLE, 4),
        "box_scores": (2, PEOPLE),
    }
    assert all(np.isfinite(value).all() for value in found.values())
    assert (np.diff(found["box_scores"]) <= 0).all()


def test_keypoints_lie_in_their_boxes():
    classifier = DynamicCoordinateClassifier(KEYPOINTS, **CLASSIFIER)
    random = np.random.default_rng(0)
    vectors = random.normal(0, 9, (7, 5)).astype("f4")
    low = random.uniform(-20, 50, (7, 2))
    sides = random.uniform(5, 60, (7, 2))
    boxes = np.concatenate([low, low + sides], axis=1).astype("f4")
    classifier.build(vectors.shape)
    found = classifier(*map(ops.convert_to_tensor, (vectors, boxes, boxes[:, :2])))
    keypoints = ops.convert_to_numpy(found["keypoints"])
    margin = 0.125 * sides[:, None] + 1e-3
    assert (keypoints >= low[:, None] - margin).all()
    assert (keypoints <= (low + sides)[:, None] + margin).all()
    for chances in found["probabilities"]:
        np.testing.assert_allclose(ops.convert_to_numpy(ops.sum(chances, axis=-1)), 1, atol=1e-5)


def test_training_lowers_the_loss_and_follows_its_switches(labelled):
    model = network()
    model.compile(keras.optimizers.Adam(3e-3))
    norm = model.head.dcc.pose_to_kpts[1]
    before = ops.convert_to_numpy(norm.moving_mean)
    first = model.evaluate(*labelled, return_dict=True, verbose=0)
    assert set(RTMOLoss.terms) < set(first)
    assert first["loss_bbox_aux"] == 0
    history = model.fit(*labelled, epochs=8, verbose=0).history
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert np.abs(ops.convert_to_numpy(norm.moving_mean) - before).max() > 0
    old = model.evaluate(*labelled, return_dict=True, verbose=0)
    model.head.switch(loss_mle=5.0, loss_oks=10.0, use_aux_loss=True)
    new = model.evaluate(*labelled, return_dict=True, verbose=0)
    assert new["loss_mle"] == pytest.approx(5 * old["loss_mle"], rel=1e-4)
    assert new["loss_oks"] == pytest.approx(old["loss_oks"] / 3, rel=1e-4)
    assert new["loss_bbox"] == pytest.approx(old["loss_bbox"], rel=1e-4)
    assert new["loss_bbox_aux"] > 0
    model.head.proxy_target_cc = True
    assert model.head.proxy_target_cc
    taught = model.evaluate(*labelled, return_dict=True, verbose=0)
    assert taught["loss_cls"] != new["loss_cls"]


def test_switches_are_no_weights(tmp_path):
    model = head()
    assert not model._switches.weights
    model.switch(loss_cls=2.0)
    assert model._switches.read()["loss_cls"] == 2
    with pytest.raises(ValueError, match="no 'loss_kpt' to switch; there are proxy_target_cc"):
        model.switch(loss_kpt=1.0)


def test_there_is_no_flip_test():
    with pytest.raises(ValueError, match="RTMO has no flip test because its pose vectors"):
        RTMOCodec().flip({}, [0])


def test_levels_and_strides_fit():
    with pytest.raises(ValueError, match=r"strides \[16, 32\] for 1 levels of features"):
        head()([keras.KerasTensor((None, 4, 6, 8))])


def test_encodings_have_an_even_width():
    with pytest.raises(ValueError, match="encoding_channels must be even, got 7"):
        DynamicCoordinateClassifier(KEYPOINTS, encoding_channels=7)
