"""Every backbone: a row each. What only one family has stands in its own file."""

import pytest

from keras_pose.backbones import MobileNetV2, MobileNetV3, ResNet

IMAGE = (64, 32, 3)
V3_BLOCKS = [(3, 8, 8, 4, "relu", 2), (5, 24, 8, 0, "hard_swish", 1), (3, 16, 12, 8, None, 2)]

# The layer, and the shapes it makes of IMAGE, fine to coarse.
BACKBONES = {
    "resnet18": (
        lambda: ResNet(18, out_indices=(0, 1, 2, 3), base_channels=4),
        [(16, 8, 4), (8, 4, 8), (4, 2, 16), (2, 1, 32)],
    ),
    "resnet50": (lambda: ResNet(50, out_indices=(1,), base_channels=2), [(8, 4, 16)]),
    "mobilenet_v2": (
        lambda: MobileNetV2(0.25, out_indices=(1, 3)),
        [(16, 8, 8), (4, 2, 16)],
    ),
    "mobilenet_v2_folded": (
        lambda: MobileNetV2(0.5, out_indices=(2,), norm=None, padding="same"),
        [(8, 4, 16)],
    ),
    "mobilenet_v3": (
        lambda: MobileNetV3(V3_BLOCKS, 8, outputs=("layer2.expand_conv", "layer3")),
        [(16, 8, 24), (8, 4, 12)],
    ),
    "mobilenet_v3_folded": (
        lambda: MobileNetV3(
            V3_BLOCKS,
            8,
            last_channels=16,
            outputs=("layer1", "conv2"),
            norm=None,
            padding="same",
            hard_sigmoid="hard_sigmoid_float16",
            always_expand=False,
        ),
        [(16, 8, 8), (8, 4, 16)],
    ),
}
every_backbone = pytest.mark.parametrize("name", BACKBONES)


@every_backbone
def test_values(parts, name):
    make, outputs = BACKBONES[name]
    parts.check_values(make(), IMAGE, outputs)


@every_backbone
def test_storing(parts, name, tmp_path):
    parts.check_storing(BACKBONES[name][0](), IMAGE, tmp_path / "a.weights.h5")


@every_backbone
def test_half_precision(parts, name):
    parts.check_half_precision(BACKBONES[name][0], IMAGE, "float16")


@every_backbone
def test_training(parts, name):
    parts.check_training(BACKBONES[name][0](), IMAGE)
