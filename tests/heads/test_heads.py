"""Every head: a row each."""

import keras
import numpy as np
import pytest

from keras_pose.codecs import CenterNetCodec, MoveNetCodec, MSRAHeatmap
from keras_pose.heads import CenterNetHead, HeatmapHead, MoveNetHead
from keras_pose.losses import KeypointMSELoss, MoveNetLoss

MSRA = MSRAHeatmap((48, 32), (12, 8))

# The head, its inputs' shapes, its outputs', and what its codec decodes from them.
HEADS = {
    "heatmap_head": (
        lambda: HeatmapHead(3, MSRA, deconv_filters=(4, 5), deconv_kernels=(4, 2)),
        [(9, 9, 2), (2, 3, 6)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "heatmap_head_without_deconv": (
        lambda: HeatmapHead(3, MSRA, deconv_filters=(), deconv_kernels=()),
        [(8, 12, 6)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "movenet_head": (
        lambda: MoveNetHead(3, MoveNetCodec((48, 32), (12, 8)), hidden=4),
        [(8, 12, 6)],
        {
            "center": (8, 12, 1),
            "heatmaps": (8, 12, 3),
            "displacements": (8, 12, 6),
            "offsets": (8, 12, 6),
        },
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "centernet_head": (
        lambda: CenterNetHead(5, CenterNetCodec(4, max_detections=7)),
        [(8, 12, 6)],
        {"heatmaps": (8, 12, 5), "sides": (8, 12, 4)},
        {"boxes": (7, 4), "scores": (7,), "classes": (7,)},
    ),
}
every_head = pytest.mark.parametrize("name", HEADS)


@every_head
def test_values(parts, name):
    make, inputs, outputs, _ = HEADS[name]
    parts.check_values(make(), inputs, outputs)


@every_head
def test_storing(parts, name, tmp_path):
    parts.check_storing(HEADS[name][0](), HEADS[name][1], tmp_path / "a.weights.h5")


@every_head
def test_half_precision(parts, name):
    """Outputs are float32: targets, softmax and decoding need the digits."""
    parts.check_half_precision(HEADS[name][0], HEADS[name][1], "float32")


@every_head
def test_training(parts, name):
    parts.check_training(HEADS[name][0](), HEADS[name][1])


@every_head
def test_the_codec_decodes_the_outputs(parts, compiled, name):
    make, _, outputs, decoded = HEADS[name]
    values = compiled(make().codec.decode)(parts.random_inputs(outputs))
    assert {key: value.shape for key, value in values.items()} == {
        key: (2, *shape) for key, shape in decoded.items()
    }
    assert all(value.dtype == np.float32 for value in values.values())


def test_heads_bring_their_own_loss():
    assert isinstance(HeatmapHead(3, MSRA).loss_module, KeypointMSELoss)
    assert isinstance(MoveNetHead(3).loss_module, MoveNetLoss)
    assert CenterNetHead().loss_module is None


def test_a_head_keeps_the_settings_of_its_loss_and_codec():
    head = HeatmapHead(3, MSRAHeatmap((48, 32), (12, 8), 1.5, False), KeypointMSELoss(0.25))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert copy.loss_module.loss_weight == 0.25
    assert copy.codec.get_config() == head.codec.get_config()


def test_deconvolutions_need_a_kernel_each():
    with pytest.raises(ValueError, match="must be equally long"):
        HeatmapHead(3, MSRA, deconv_filters=(4, 4), deconv_kernels=(4,))


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_every_deconvolution_doubles(kernel):
    head = HeatmapHead(3, MSRA, deconv_filters=(4, 4), deconv_kernels=(kernel, kernel))
    outputs = head([keras.KerasTensor((None, 2, 3, 6))])
    assert outputs["heatmaps"].shape == (None, 8, 12, 3)
