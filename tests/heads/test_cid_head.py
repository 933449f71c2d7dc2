"""CID's head: the layers that draw each person alone, and its training."""

import json

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.checkpoints.mmpose.names import current_names
from keras_pose.codecs import DecoupledHeatmap
from keras_pose.heads import CIDHead
from keras_pose.layers import serialized
from keras_pose.layers.naming import load_state_dict, state_dict
from keras_pose.losses import CIDLoss, InfoNCELoss

FEATURES = (8, 12, 6)
SKELETON = keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"])


def _head(**settings):
    return CIDHead(3, DecoupledHeatmap(max_people=4), gfd_channels=5, **settings)


def _filled(layer):
    """The layer with weights that are not small, so that everything has an effect."""
    random = np.random.default_rng(0)
    arrays = state_dict(layer)
    load_state_dict(layer, {k: random.normal(0, 0.5, v.shape) for k, v in arrays.items()})
    return layer


def test_values(parts):
    height, width, channels = FEATURES
    outputs = {"heatmaps": (height, width, 4), "features": (height, width, channels)}
    parts.check_values(_head(), [FEATURES], outputs)


def test_storing(parts, tmp_path):
    parts.check_storing(_head(), [FEATURES], tmp_path / "a.weights.h5")


def test_half_precision(parts):
    parts.check_half_precision(_head, [FEATURES], "float32")


def test_a_head_keeps_its_losses():
    head = _head(loss_module=CIDLoss(contrastive=InfoNCELoss(temperature=0.2)))
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized(head))))
    assert copy.loss_module.contrastive.temperature == 0.2
    assert copy.loss_module.terms == head.loss_module.terms


def test_people_are_drawn_as_the_paper_says(compiled):
    head = _head()
    head.build([(None, *FEATURES)])
    arrays = state_dict(_filled(head))
    random = np.random.default_rng(1)
    features = random.standard_normal((2, *FEATURES)).astype("f4")
    cells = np.float32([[[3, 2], [11, 7]], [[0, 0], [5, 6]]])
    drawn = compiled(head._drawn)(features, cells)

    def layer(name, x):
        weight = arrays[f"{name}.weight"]
        return x @ weight.reshape(weight.shape[:2]).T + arrays[f"{name}.bias"]

    image, person = 1, 1
    x, y = cells[image, person].astype(int)
    column = features[image, y, x]
    maps = layer("gfd_module.conv_down", features[image])
    channel = maps * layer("gfd_module.channel_attention.atn", column)
    alike = (maps * layer("gfd_module.spatial_attention.atn", column)).sum(-1)
    rows, columns = np.mgrid[:8, :12]
    planes = np.stack([alike, (x - columns - 0.5) / 32, (y - rows - 0.5) / 32])
    padded = np.pad(planes, ((0, 0), (2, 2), (2, 2)))
    kernel = arrays["gfd_module.spatial_attention.conv.weight"][0]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    mask = np.einsum("chwij,cij->hw", windows, kernel)
    mask = 1 / (1 + np.exp(-mask - arrays["gfd_module.spatial_attention.conv.bias"]))
    both = np.concatenate([channel, maps * mask[..., None]], axis=-1)
    fused = np.maximum(layer("gfd_module.fuse_attention", both), 0)
    expected = 1 / (1 + np.exp(-layer("gfd_module.heatmap_conv", fused)))
    np.testing.assert_allclose(
        drawn[image, :, :, person], np.clip(expected, 1e-4, 1 - 1e-4), atol=1e-5
    )


def test_a_mirrored_image_gives_mirrored_maps(compiled):
    """Features that are their own mirror image draw the same people in both."""
    head = _filled_head()
    features = np.random.default_rng(0).standard_normal((1, *FEATURES)).astype("f4")

    def both(features, turned):
        outputs, mirrored = head([features]), head([turned])
        codec = head.codec
        straight = head.instances(outputs)
        tested = head.instances(codec.merge(outputs, codec.flip(mirrored, [0, 1, 2])))
        return straight, tested

    straight, tested = compiled(both)(features, features[:, :, ::-1].copy())
    for name, value in straight.items():
        np.testing.assert_allclose(tested[name], value, atol=1e-6, err_msg=name)


def _filled_head():
    head = _head()
    head.build([(None, *FEATURES)])
    return _filled(head)


def test_decoded_people_have_as_many_slots_as_the_codec_says(compiled):
    head = _filled_head()
    features = np.random.default_rng(0).standard_normal((2, *FEATURES)).astype("f4")
    decoded = compiled(lambda x: head.codec.decode(head.instances(head([x]))))(features)
    shapes = {"keypoints": (2, 4, 3, 2), "scores": (2, 4, 3), "boxes": (2, 4, 4)}
    assert {k: v.shape for k, v in decoded.items()} == {**shapes, "box_scores": (2, 4)}


@pytest.fixture
def tiny():
    keras.utils.set_random_seed(0)
    return keras_pose.BottomupEstimator(
        ResNet(18, (0,), base_channels=4, zero_init_residual=False),
        _head(max_train_instances=3),
        skeleton=SKELETON,
        input_size=(64, 64),
    )


def _batch():
    random = np.random.default_rng(0)
    keypoints = random.uniform(8, 56, (2, 3, 3, 2)).astype("f4")
    visible = np.float32([[1, 1, 0], [1, 0, 0]])[..., None] * np.ones(3, "f4")
    labels = {
        "keypoints": keypoints,
        "visible": visible,
        "boxes": np.concatenate([keypoints.min(2), keypoints.max(2)], axis=-1),
        "masks": np.ones((2, 16, 16), "uint8"),
    }
    return random.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8), labels


def test_training_lowers_the_loss(tiny, backend):
    images, labels = _batch()
    tiny.compile(keras.optimizers.Adam(1e-2), jit_compile="auto" if backend == "jax" else False)
    history = tiny.fit(images, labels, batch_size=2, epochs=12, verbose=0).history
    assert set(CIDLoss.terms) <= set(history)
    assert history["loss"][-1] < 0.9 * history["loss"][0]


def test_images_without_people_train_the_shared_maps_only(tiny):
    images, labels = _batch()
    labels["visible"] = np.zeros_like(labels["visible"])
    tiny.compile(keras.optimizers.SGD(1e-4))
    terms = tiny.evaluate(images, labels, batch_size=2, verbose=0, return_dict=True)
    assert np.isfinite(terms["loss/heatmap_coupled"])
    assert terms["loss/heatmap_decoupled"] == terms["loss/contrastive"] == 0


def test_masks_of_another_size_are_refused(tiny):
    images, labels = _batch()
    labels["masks"] = labels["masks"][:, ::2, ::2]
    tensors = {name: keras.ops.convert_to_tensor(value) for name, value in labels.items()}
    with pytest.raises(ValueError, match="masks need one for 4x4 pixels"):
        tiny.compute_loss(None, tensors, tiny(keras.ops.convert_to_tensor(images)))


def test_old_names_are_understood():
    new = {
        "head.iia_module.keypoint_root_conv.weight",
        "head.gfd_module.conv_down.bias",
        "head.gfd_module.channel_attention.atn.weight",
        "head.gfd_module.spatial_attention.conv.weight",
        "head.gfd_module.fuse_attention.bias",
        "head.gfd_module.heatmap_conv.weight",
    }
    old = [
        "keypoint_head.keypoint_center_conv.weight",
        "keypoint_head.conv_down.bias",
        "keypoint_head.c_attn.atn.weight",
        "keypoint_head.s_attn.conv.weight",
        "keypoint_head.fuse_attn.bias",
        "keypoint_head.heatmap_conv.weight",
    ]
    for names in (old, new):
        state = {name: np.zeros(1) for name in names}
        assert set(current_names(state, {"type": "CIDHead"})) == new
