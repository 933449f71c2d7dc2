"""Every backbone: a row each. What only one family has stands in its own file."""

import pytest

from keras_pose.backbones import (
    CPM,
    MSPN,
    RSN,
    VGG,
    CSPDarknet,
    CSPNeXt,
    HandLandmarkBackbone,
    Hourglass,
    HourglassAE,
    HRFormer,
    HRNet,
    LiteHRNet,
    MobileNetV2,
    MobileNetV3,
    PyramidVisionTransformer,
    RegNet,
    ResNeSt,
    ResNet,
    SCNet,
    ShuffleNetV1,
    ShuffleNetV2,
    SwinTransformer,
    UniFormer,
    ViPNASMobileNetV3,
    ViPNASResNet,
    VisionTransformer,
)

IMAGE = (64, 32, 3)
V3_BLOCKS = [(3, 8, 8, 4, "relu", 2), (5, 24, 8, 0, "hard_swish", 1), (3, 16, 12, 8, None, 2)]
TINY_VIT = {"embed_dims": 8, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16}

# The layer, and the shapes it makes of IMAGE, fine to coarse.
BACKBONES = {
    "resnet18": (
        lambda: ResNet(18, out_indices=(0, 1, 2, 3), base_channels=4),
        [(16, 8, 4), (8, 4, 8), (4, 2, 16), (2, 1, 32)],
    ),
    "resnet50": (lambda: ResNet(50, out_indices=(1,), base_channels=2), [(8, 4, 16)]),
    "resnet_v1d": (
        lambda: ResNet(18, (1,), base_channels=4, deep_stem=True, avg_down=True),
        [(8, 4, 8)],
    ),
    "se_resnext": (
        lambda: ResNet(50, (1,), base_channels=4, groups=2, width_per_group=2, se_ratio=4),
        [(8, 4, 32)],
    ),
    "scnet": (lambda: SCNet(out_indices=(1,), base_channels=4), [(8, 4, 32)]),
    "resnest": (lambda: ResNeSt(out_indices=(0, 1), base_channels=4), [(16, 8, 16), (8, 4, 32)]),
    "regnet": (
        lambda: RegNet({"w0": 8, "wa": 8, "wm": 2, "depth": 6, "group_w": 4}),
        [(2, 1, 64)],
    ),
    "vgg": (lambda: VGG(11, out_indices=(0, 2), base_channels=4), [(32, 16, 4), (8, 4, 16)]),
    "vgg_bn": (lambda: VGG(13, out_indices=(1,), norm="batch", base_channels=4), [(16, 8, 8)]),
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
    "vision_transformer": (
        lambda: VisionTransformer(TINY_VIT, IMAGE[:2], out_indices=(0, -1), drop_path_rate=0.5),
        [(4, 2, 8), (4, 2, 8)],
    ),
    "vision_transformer_experts": (
        lambda: VisionTransformer(
            TINY_VIT, IMAGE[:2], num_experts=3, expert_channels=2, dataset_index=1
        ),
        [(4, 2, 8)],
    ),
    "swin_transformer": (
        lambda: SwinTransformer(4, (1, 2, 1), (1, 2, 4), 3, out_indices=(0, 2), mlp_ratio=2),
        [(16, 8, 4), (4, 2, 16)],
    ),
    "pvt": (
        lambda: PyramidVisionTransformer(
            1, 4, (1, 2, 1, 1), (1, 2, 2, 4), mlp_ratios=(2, 2, 2, 2), pretrain_image_size=96
        ),
        [(16, 8, 4), (8, 4, 8), (4, 2, 8), (2, 1, 16)],
    ),
    "pvt_v2": (
        lambda: PyramidVisionTransformer(
            2, 4, (1, 1, 1, 1), (1, 2, 2, 4), mlp_ratios=(2, 2, 2, 2), out_indices=(1, 3)
        ),
        [(8, 4, 8), (2, 1, 16)],
    ),
    "uniformer": (
        lambda: UniFormer((1, 1, 2, 1), (4, 8, 8, 16), 4, 2.0, drop_path_rate=0.5),
        [(16, 8, 4), (8, 4, 8), (4, 2, 8), (2, 1, 16)],
    ),
    "cspnext": (
        lambda: CSPNeXt("P5", 0.3, 0.0625, out_indices=(1, 4)),
        [(16, 8, 8), (2, 1, 64)],
    ),
    "cspnext_separable": (
        lambda: CSPNeXt(
            "P6",
            0.1,
            0.0625,
            out_indices=(0, 2),
            expand_ratio=0.25,
            channel_attention=False,
            separable=True,
        ),
        [(32, 16, 4), (8, 4, 16)],
    ),
    "cspdarknet": (
        lambda: CSPDarknet("P5", 0.33, 0.0625, pool_sizes=(3, 5)),
        [(8, 4, 16), (4, 2, 32), (2, 1, 64)],
    ),
    "mobilenet_v3_variant": (
        lambda: MobileNetV3("small", outputs=("layer3",), hard_sigmoid="hard_sigmoid_half"),
        [(8, 4, 24)],
    ),
    "hand_landmark": (
        lambda: HandLandmarkBackbone([(3, 8, 6, 1), (5, 12, 6, 2), (3, 12, 6, 1)], 8, 10),
        [(16, 8, 10)],
    ),
    "hand_landmark_normalised": (
        lambda: HandLandmarkBackbone([(3, 8, 8, 2), (3, 8, 6, 2)], 8, 10, norm="batch"),
        [(8, 4, 10)],
    ),
    "shufflenet_v1": (
        lambda: ShuffleNetV1(2, 0.25, out_indices=(0, 2)),
        [(8, 4, 48), (2, 1, 200)],
    ),
    "shufflenet_v2": (
        lambda: ShuffleNetV2(out_indices=(1, 3), widths=(8, 12, 16, 20)),
        [(4, 2, 12), (2, 1, 20)],
    ),
    "vipnas_resnet": (
        lambda: ViPNASResNet(
            [(8, 1, 2, 3, 2, True), (8, 2, 1, 5, 4, False), (12, 1, 1, 3, 3, True), (0,) * 6],
            stem_channels=4,
            stem_kernel=3,
            out_indices=(0, 2),
        ),
        [(16, 8, 8), (4, 2, 12)],
    ),
    "vipnas_mobilenet_v3": (
        lambda: ViPNASMobileNetV3(
            [(4, 1, 1, 3, 2, True, "relu", 1), (6, 3, 2, 5, 9, False, "hard_swish", 2)], 4
        ),
        [(16, 8, 6)],
    ),
    "cpm": (
        lambda: CPM(3, 3, feat_channels=4, middle_channels=2, stem_channels=(4, 3, 5)),
        [(8, 4, 3)] * 3,
    ),
    "hourglass": (
        lambda: Hourglass(2, 3, (4, 6, 8), (1, 2, 1), feat_channels=5, stem_channels=3),
        [(16, 8, 5)] * 3,
    ),
    "hourglass_ae": (
        lambda: HourglassAE(2, 2, 7, (6, 4, 8), feat_channels=6, stem_channels=(3, 4)),
        [(16, 8, 7)] * 2,
    ),
    "hrnet": (lambda: HRNet((4, 6, 8), (1, 2), (1, 1, 1), 4), [(16, 8, 4)]),
    "hrnet_v2": (
        lambda: HRNet((4, 6), (2,), (2, 1), 4, multiscale_output=True, interpolation="bilinear"),
        [(16, 8, 4), (8, 4, 6)],
    ),
    "hrformer": (
        lambda: HRFormer((4, 6), (2, 3), (1,), (1, 2), 3, 2, 0.5, 4),
        [(16, 8, 4)],
    ),
    "litehrnet": (
        lambda: LiteHRNet((8, 16, 24), (1, 1), 1, 4, 8, 8),
        [(16, 8, 8)],
    ),
    "litehrnet_without_head": (
        lambda: LiteHRNet((16, 8), (1,), 2, 2, 8, 16, 0.5, with_head=False),
        [(16, 8, 16)],
    ),
    "mspn": (
        lambda: MSPN(2, (1, 2), unit_channels=6, top_channels=2),
        [(8, 4, 6), (16, 8, 6), (8, 4, 6), (16, 8, 6)],
    ),
    "rsn": (
        lambda: RSN(2, (1, 2), 2, unit_channels=6, top_channels=4, expand_times=32),
        [(8, 4, 6), (16, 8, 6), (8, 4, 6), (16, 8, 6)],
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
