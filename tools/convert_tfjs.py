"""Makes the presets of the package from TensorFlow.js graph models.

    python tools/convert_tfjs.py MODEL.json OUT

MODEL.json is `movenet-lightning.json`, `centernet.json` or `handlandmark-lite.json` of the npm
package `@vladmandic/human` (3.3.6, folder `models/`); OUT is the preset's folder. Weights are
stored as float16, as they are there, so nothing is lost.
"""

import argparse
import re
import sys
from pathlib import Path

from keras_pose import PersonDetector, TopdownEstimator
from keras_pose.backbones import HandLandmarkBackbone, MobileNetV2, MobileNetV3
from keras_pose.backbones.hand_landmark_backbone import LITE
from keras_pose.checkpoints.tfjs import read_tfjs
from keras_pose.codecs import CenterNetCodec, HandLandmarkLabel, MoveNetCodec
from keras_pose.heads import CenterNetHead, HandLandmarkHead, MoveNetHead
from keras_pose.layers import PixelNormalization, skip_initialization
from keras_pose.layers.naming import load_variables
from keras_pose.necks import CenterNetNeck, GlobalAveragePooling, SeparableFPN
from keras_pose.preset import file_hash

# Where a tensor sits in a layer, by the last part of its graph node's name.
_LEAVES = [
    (r"/(Conv2D_weights|Conv2D/ReadVariableOp|weights)$", "conv.kernel"),
    (r"/(Conv2D_bn_offset|biases|BiasAdd/ReadVariableOp|depthwise_bn_offset)$", "conv.bias"),
    (r"/(depthwise_weights|separable_conv2d/ReadVariableOp)$", "depthwise_conv.conv.kernel"),
    (
        r"/(separable_conv2d_weights|pointwise_weights|separable_conv2d/ReadVariableOp_1)$",
        "pointwise_conv.conv.kernel",
    ),
    (r"/separable_conv2d_bn_offset$", "pointwise_conv.conv.bias"),
]

# MobileNetV2's 17 blocks by stage and place.
_BLOCKS = [
    f"layer{stage}.{i}"
    for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1), start=1)
    for i in range(count)
]
_PLACES = {"expand": "conv.0.", "depthwise": "conv.1.", "project": "conv.2."}


def _block(match) -> str:
    return f"backbone.{_BLOCKS[int(match[1])]}.{_PLACES[match[2]]}"


def _movenet_name(node: str) -> str | None:
    rules = [
        (r".*model/Conv1", "backbone.conv1."),
        (r".*model/Conv_1", "backbone.conv2."),
        (r".*model/expanded_conv_depthwise", "backbone.layer1.0.conv.0."),
        (r".*model/expanded_conv_project", "backbone.layer1.0.conv.1."),
        (r".*model/block_(\d+)_(expand|depthwise|project)", _block),
        (r".*model_1/conv2d", "neck.lateral_convs.3."),
        (r".*model_1/conv2d_(\d)", lambda m: f"neck.lateral_convs.{3 - int(m[1])}."),
        (r".*model_1/separable_conv2d", "neck.smooth_convs.2."),
        (r".*model_1/separable_conv2d_(\d)", lambda m: f"neck.smooth_convs.{2 - int(m[1])}."),
        (r"\w+/(center|kpt_\w+)_0/separable_conv2d_\d", r"head.\1.sep."),
        (r"\w+/(center|kpt_\w+)_0/conv2d_\d", r"head.\1.out."),
    ]
    name = _translated(node, rules)
    if name is None:
        return None
    # Depthwise blocks of the backbone are plain modules, and heads end in a plain convolution.
    name = re.sub(r"(backbone\..*)depthwise_conv\.conv", r"\1conv", name)
    name = re.sub(r"(head\.\w+\.out\.)conv\.", r"\1", name)
    return re.sub(r"(\.sep\.)conv\.bias", r"\1pointwise_conv.conv.bias", name)


def _centernet_name(node: str) -> str | None:
    place = {
        "": "",
        "expand": "expand_conv.",
        "depthwise": "depthwise_conv.",
        "project": "linear_conv.",
        "squeeze_excite/Conv": "se.conv1.",
        "squeeze_excite/Conv_1": "se.conv2.",
    }

    def block(match):
        return f"backbone.layer{int(match[1] or 0) + 1}.{place[match[2]]}"

    rules = [
        (r".*MobilenetV3/Conv", "backbone.conv1."),
        (r".*extern1", "backbone.conv2."),
        (r".*MobilenetV3/expanded_conv(?:_(\d+))?/(\w+(?:/Conv(?:_1)?)?)", block),
        (r".*CenternetHead/c(\d)_reverse/1x1", lambda m: f"neck.laterals.{int(m[1]) - 2}.reduce."),
        (r".*CenternetHead/c(\d)_reverse/3x3", lambda m: f"neck.laterals.{int(m[1]) - 2}.conv."),
        (
            r".*CenternetHead/c(\d)_upsample/(branch_[xy])_upsample_resize",
            lambda m: f"neck.upsamples.{int(m[1]) - 3}.{m[2]}.",
        ),
        (r".*CenternetHead/conv1x1_se_a", "neck.se.conv1."),
        (r".*CenternetHead/conv1x1_se_b", "neck.se.conv2."),
        (r".*CenternetHead/centernet_cls_output", "head.heatmap."),
        (r".*CenternetHead/centernet_wh_output", "head.ltrb."),
    ]
    name = _translated(node, rules)
    if name is None:
        return None
    name = re.sub(r"(backbone\..*depthwise_conv\.)depthwise_conv\.conv", r"\1conv", name)
    return re.sub(r"(head\.\w+\.)conv\.bias", r"\1pointwise_conv.conv.bias", name)


def _hand_name(node: str) -> str | None:
    heads = {
        "Identity": "landmarks",
        "Identity_3": "world",
        "model_1/model/conv_handflag/MatMul_model_1/model/conv_handflag/BiasAdd": "presence",
        "model_1/model/conv_handedness/MatMul_model_1/model/conv_handedness/BiasAdd": "handedness",
    }
    if match := re.fullmatch(r"(.*)_dense/(kernel|bias)", node):
        return f"head.{heads[match[1]]}.{match[2]}"
    # Kernels and biases are numbered as they are computed: an expansion and a depthwise or linear
    # convolution a block; but the biases of linear ones bear the number of their normalisation.
    numbered = (
        r"(Conv2D|depthwise|Add|.*/batch_normalization)(?:_(\d+))?/(filter|filter_in|y|F.*/y)"
    )
    if not (match := re.fullmatch(numbered, node)):
        return None
    kind, number = match[1], int(match[2] or 0)
    if kind == "depthwise":
        return f"backbone.{_hand_block(number, 'depthwise_conv')}.conv.kernel"
    if kind.endswith("batch_normalization"):
        return f"backbone.{_hand_block(number // 3, 'linear_conv')}.conv.bias"
    second = "depthwise_conv" if kind == "Add" else "linear_conv"
    place = second if number % 2 else "expand_conv"
    leaf = "bias" if kind == "Add" else "kernel"
    return f"backbone.{_hand_block(number // 2, place)}.conv.{leaf}"


def _hand_block(block: int, place: str) -> str:
    """The path of a convolution; the stem counts as the first block's expansion."""
    if (block, place) == (0, "expand_conv"):
        return "conv1"
    if block == len(LITE):
        return {"expand_conv": "conv2", "depthwise_conv": "conv3"}[place]
    return f"layer{block + 1}.{place}"


def _translated(node: str, rules) -> str | None:
    for ending, leaf in _LEAVES:
        if match := re.search(ending, node):
            stem = node[: match.start()]
            for pattern, replacement in rules:
                if found := re.fullmatch(pattern, stem):
                    prefix = (
                        replacement(found) if callable(replacement) else found.expand(replacement)
                    )
                    return prefix + leaf
            raise ValueError(f"no rule for the weight {node}")
    return None


def movenet() -> TopdownEstimator:
    """MoveNet SinglePose Lightning."""
    # The graph holds 1/127.5 and 1/48 in half precision.
    half_range = 1 / 0.007843017578125
    cell = 192 * 0.0208282470703125
    return TopdownEstimator(
        preprocess=PixelNormalization(half_range, half_range),
        backbone=MobileNetV2(out_indices=(1, 2, 3, 7), norm=None, padding="same"),
        neck=SeparableFPN(lateral_channels=(24, 32, 64, 64), smooth_channels=(24, 24, 32)),
        head=MoveNetHead(17, MoveNetCodec((192, 192), (48, 48), cell_size=cell)),
        skeleton="coco",
        input_size=(192, 192),
    )


# Kernel, middle and output channels, squeeze channels, activation, stride of each block.
_SWISH = "hard_swish_float16"
_CENTERNET_BLOCKS = [
    (3, 16, 16, 0, "relu", 1),
    (3, 64, 24, 0, "relu", 2),
    (3, 72, 24, 0, "relu", 1),
    (5, 72, 32, 24, "relu", 2),
    (5, 96, 32, 24, "relu", 1),
    (5, 96, 32, 24, "relu", 1),
    (3, 192, 64, 0, _SWISH, 2),
    (3, 160, 64, 0, _SWISH, 1),
    (3, 144, 64, 0, _SWISH, 1),
    (3, 144, 64, 0, _SWISH, 1),
    (3, 384, 88, 96, _SWISH, 1),
    (3, 528, 88, 136, _SWISH, 1),
    (5, 528, 120, 136, _SWISH, 2),
    (5, 720, 120, 184, _SWISH, 1),
    (5, 720, 120, 184, _SWISH, 1),
]


def centernet() -> PersonDetector:
    """CenterNet with MobileNetV3-Large x0.75."""
    return PersonDetector(
        # Trained on raw pixels, 0 to 255.
        preprocess=PixelNormalization(0, 1),
        backbone=MobileNetV3(
            _CENTERNET_BLOCKS,
            stem_activation=_SWISH,
            last_channels=480,
            outputs=("layer4.expand_conv", "layer6.expand_conv", "layer12", "conv2"),
            norm=None,
            padding="same",
            hard_sigmoid="hard_sigmoid_float16",
            always_expand=False,
        ),
        neck=CenterNetNeck((72, 96, 88, 480), (64, 96, 128), (64, 96, 128)),
        head=CenterNetHead(80, CenterNetCodec()),
        input_size=(512, 512),
    )


def hand() -> TopdownEstimator:
    """MediaPipe's hand landmarks, "lite"."""
    return TopdownEstimator(
        preprocess=PixelNormalization(0, 255),
        backbone=HandLandmarkBackbone(),
        neck=GlobalAveragePooling(),
        head=HandLandmarkHead(21, HandLandmarkLabel((224, 224))),
        skeleton="coco_wholebody_hand",
        input_size=(224, 224),
        # The original crops the palm and the lower joints with a factor of 2. Around all of a hand
        # the presence was highest from 1.5 to 1.75, on 46 hands in photos of COCO, and keypoints
        # moved least with the crop from 1.75 to 2.
        box_padding=1.75,
    )


_VAL = "72 images, 199 people of COCO val2017, pycocotools"
_ORIGIN = "npm package @vladmandic/human 3.3.6, models/{}; converted with tools/convert_tfjs.py"
MODELS = {
    "movenet-lightning": (
        movenet,
        _movenet_name,
        {
            "description": "MoveNet SinglePose Lightning v4, 17 body keypoints, by Google",
            "licence": "Apache-2.0 (Google); redistributed by the MIT-licensed @vladmandic/human",
            "training_data": "COCO and Google's own Active data set",
            "paper": "https://blog.tensorflow.org/2021/05/next-generation-pose-detection.html",
            "metrics": [
                {
                    "name": "COCO keypoint AP",
                    "value": 0.407,
                    "protocol": f"{_VAL}; annotated boxes, padding 1.25, no flip test, score = "
                    "mean keypoint score",
                },
                {
                    "name": "COCO keypoint AP",
                    "value": 0.382,
                    "protocol": f"{_VAL}; boxes of centernet_mobilenet_v3_coco from score 0.1, NMS "
                    "IoU 0.5, padding 1.25, no flip test, score = box score x mean keypoint score",
                },
            ],
        },
    ),
    "centernet": (
        centernet,
        _centernet_name,
        {
            "description": "CenterNet with MobileNetV3-Large x0.75, 80 COCO classes",
            "licence": "no licence file in the original repository "
            "610265158/mobilenetv3_centernet; redistributed by the MIT-licensed @vladmandic/human",
            "training_data": "COCO train2017",
            "paper": "https://arxiv.org/abs/1904.07850",
            "metrics": [
                {
                    "name": "COCO box AP of people",
                    "value": 0.358,
                    "protocol": f"{_VAL}; boxes from score 0.1, NMS IoU 0.5, photos stretched to "
                    "512x512",
                },
            ],
        },
    ),
    "handlandmark-lite": (
        hand,
        _hand_name,
        {
            "subject": "hand",
            "description": "MediaPipe hand landmarks (lite), 21 keypoints of one hand, by Google. "
            "The crop must show the hand squarely and upright, fingers up: turn the photo first. "
            "All scores of a hand are the probability that it is one, which does not replace a "
            "detector: a sleeve got 0.73. Its accuracy was not measured here",
            "licence": "Apache-2.0 (Google); redistributed by the MIT-licensed @vladmandic/human",
            "training_data": "Google's own photos and rendered hands",
            "paper": "https://arxiv.org/abs/2006.10214",
            "metrics": [],
        },
    ),
}


def convert(source: Path, out: Path) -> None:
    """Writes the preset of one of the known graphs."""
    if source.stem not in MODELS:
        raise ValueError(f"{source.name} is not one of {', '.join(f'{m}.json' for m in MODELS)}")
    make, translate, facts = MODELS[source.stem]
    arrays = read_tfjs(source)
    names = {node: translate(node) for node in arrays}
    with skip_initialization():
        model = make()
    load_variables(model, {name: arrays[node] for node, name in names.items() if name})
    weights = source.with_suffix(".bin")
    origin = {
        "origin": _ORIGIN.format(source.name),
        "source_sha256": {p.name: file_hash(p) for p in (source, weights)},
    }
    model.save_to_preset(out, {**facts, **origin}, dtype="float16")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="the graph's JSON file, see above")
    parser.add_argument("out", type=Path, help="folder of the preset")
    arguments = parser.parse_args()
    try:
        convert(arguments.source, arguments.out)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
