"""Every bottom-up and one-stage method on photos of all kinds, with small networks."""

import functools

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose import codecs, heads
from keras_pose.layers.naming import load_state_dict, state_dict
from keras_pose.necks import HybridEncoder

pytestmark = pytest.mark.usefixtures("quickly_compiled")
SKELETON = keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"], links=[(0, 1), (1, 2)])
# Wide; tall, and extreme.
SIZES = [(48, 64), (2000, 20)]
# Added to biases of MoveNet, whose people have sizes.
BIASES = {"center.": 1.0, "kpt_heatmap.": 2.0, "box_scale.": 8.0}


def _backbone(*strides):
    x = image = keras.Input((None, None, 3))
    maps = []
    for stride in strides:
        x = keras.layers.Conv2D(8, stride + 1, stride, "same", activation="tanh")(x)
        maps.append(x)
    return keras.Model(image, maps)


def _rtmo(slots):
    settings = {"cls_filters": 8, "channels_per_group": 4, "groups": 2, "vector_channels": 8}
    classifier = {"channels": 8, "bins": (24, 32), "encoding_channels": 16}
    return heads.RTMOHead(
        3, codecs.RTMOCodec(0.2, 0.3, max_people=slots), classifier=classifier, **settings
    )


# By slots for people the head; what comes before it; where it says that nobody is there.
METHODS = {
    "movenet": (
        lambda slots: heads.MoveNetMultiPoseHead(3, codecs.MoveNetMultiPoseCodec(slots), hidden=8),
        [_backbone, 4],
        "center.",
    ),
    "ae": (
        lambda slots: heads.AssociativeEmbeddingHead(
            3, codecs.AssociativeEmbedding(max_people=slots)
        ),
        [_backbone, 4],
        "final_layer.",
    ),
    "dekr": (
        lambda slots: heads.DEKRHead(3, codecs.SPR(max_people=slots), None, 8, 4),
        [_backbone, 4],
        "heatmap_conv_layers.2.",
    ),
    "cid": (
        lambda slots: heads.CIDHead(3, codecs.DecoupledHeatmap(max_people=slots), gfd_channels=4),
        [_backbone, 4],
        "iia_module.",
    ),
    "yolox-pose": (
        lambda slots: heads.YOLOXPoseHead(
            3, codecs.YOLOXPoseCodec(0.2, 0.3, max_people=slots), filters=8, stacked_convs=1
        ),
        [_backbone, 8, 2, 2],
        "head_module.out_cls.",
    ),
    "rtmo": (_rtmo, [_backbone, 8, 2, 2], "head_module.out_cls."),
}


def _model(name, slots=6, mode="expand", **settings):
    """A network with weights that are not small, so that it sees people in noise."""
    head, (backbone, *strides), _ = METHODS[name]
    model = keras_pose.BottomupEstimator(
        backbone(*strides),
        head(slots),
        neck=HybridEncoder(3, 16, 2, 16, widen_factor=0.5, out_channels=16)
        if name == "rtmo"
        else None,
        skeleton=SKELETON,
        input_size=(64, 64),
        resize_mode=mode,
        **settings,
    )
    _fill(model.head)
    return model


def _fill(head):
    random = np.random.default_rng(0)
    arrays = state_dict(head)
    for key, value in arrays.items():
        if key.endswith("running_var"):
            arrays[key] = random.uniform(0.5, 1.5, value.shape)
        elif value.ndim > 1:
            arrays[key] = random.normal(0, 2 * np.prod(value.shape[1:]) ** -0.5, value.shape)
        elif not key.endswith("weight"):
            arrays[key] = random.normal(0.3, 0.3, value.shape)
        for layer, bias in BIASES.items():
            if key.startswith(layer) and key.endswith("out.bias"):
                arrays[key] = arrays[key] + bias
        if "out_bbox" in key:  # else some boxes are as large as ten inputs
            arrays[key] *= 0.4
    load_state_dict(head, arrays)


@functools.cache
def _photo(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def model(method):
    keras.utils.set_random_seed(0)
    return _model(method)


@pytest.fixture(scope="module")
def together(model):
    return model.predict_poses([_photo(*size) for size in SIZES])


def test_photos_of_all_shapes_share_a_call(model, together):
    for size, poses in zip(SIZES, together, strict=True):
        assert poses.image_size == size[::-1]
        assert np.isfinite(poses.keypoints).all()
        assert len(poses) <= 6
    assert len(together[0]) >= 2
    assert len(together[1]) >= 1
    alone = model.predict_poses(_photo(*SIZES[1]))
    np.testing.assert_allclose(alone.keypoints, together[1].keypoints, atol=1e-2)


def test_long_photos_do_not_make_endless_inputs(model):
    inputs = [model._resized(_photo(*size))[0].shape[:2] for size in ((20, 2000), (400, 40))]
    assert inputs == [(32, 512), (512, 64)]


def test_slots_for_some_and_some_of_the_keypoints(method, model, together):
    kept = [2, 0]
    fewer = _model(method, slots=1, output_keypoints=kept)
    fewer.set_weights(model.get_weights())
    poses = fewer.predict_poses(_photo(*SIZES[0]))
    assert poses.skeleton.keypoints == ("nose", "left_eye")
    assert len(poses) == 1
    # Of some methods not the surest is left but that with the strongest root or centre, and of
    # associative embedding's people that which was found first.
    others = together[0].keypoints[:, kept]
    rank = np.abs(others - poses.keypoints).max(axis=(1, 2)).argmin()
    assert rank == 0 or method in ("movenet", "dekr", "ae")
    np.testing.assert_allclose(poses.keypoints[0], others[rank], atol=1e-2)
    np.testing.assert_allclose(poses.scores[0], together[0].scores[rank][kept], atol=1e-3)
    np.testing.assert_allclose(poses.boxes[0], together[0].boxes[rank], atol=1e-2)


def test_where_nobody_is_nobody_is_found(method, model):
    layer = METHODS[method][2]
    arrays = state_dict(model.head)
    for key in arrays:
        if key.startswith(layer) and key.endswith("bias"):
            arrays[key] = arrays[key] - 50.0
    load_state_dict(model.head, arrays)
    empty, other = model.predict_poses([_photo(*size) for size in SIZES])
    assert len(empty) == len(other) == 0
    assert empty.keypoints.shape == (0, 3, 2)
    assert empty.boxes.shape == (0, 4)
