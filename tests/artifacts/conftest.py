"""Models and their artifacts, made once for all tests here."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_pose

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "export.md"


@pytest.fixture(scope="session")
def in_tensorflow():
    """Skips a test under other backends, whose child process would do the very same."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends export through TensorFlow, and a test of its own looks at that")


@pytest.fixture(scope="session")
def movenet():
    return keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")


@pytest.fixture(scope="session")
def resnet():
    """A ResNet-18 of 8 channels with a heatmap head, random weights."""
    keras.utils.set_random_seed(1)
    codec = keras_pose.codecs.MSRAHeatmap((64, 96), (16, 24))
    return keras_pose.TopdownEstimator(
        keras_pose.backbones.ResNet(depth=18, base_channels=8),
        keras_pose.heads.HeatmapHead(17, codec, deconv_filters=(16, 16, 16)),
        input_size=(64, 96),
    )


@pytest.fixture(scope="session")
def make_tiny():
    """Makes an estimator of five convolutions; with another codec class if one is given."""

    def make(codec=keras_pose.codecs.MSRAHeatmap):
        keras.utils.set_random_seed(1)
        head = keras_pose.heads.HeatmapHead(
            17, codec((64, 96), (16, 24)), deconv_filters=(), deconv_kernels=()
        )
        backbone = keras_pose.backbones.ResNet(depth=18, base_channels=8, out_indices=(0,))
        return keras_pose.TopdownEstimator(backbone, head, input_size=(64, 96))

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny):
    return make_tiny()


@pytest.fixture(scope="session")
def photos():
    """Makes whole sample photos in a model's input size."""

    def make(size):
        from keras_pose.geometry import crop_affine, warp
        from keras_pose.images import read_image
        from keras_pose.paths import PRESETS

        paths = sorted((PRESETS / "samples").glob("*.jpg"))[:3]
        images = [read_image(path) for path in paths]
        boxes = [[[0, 0, image.shape[1], image.shape[0]]] for image in images]
        affines = [crop_affine(box, size, padding=1.0)[0] for box in boxes]
        return np.stack([warp(i, a, size) for i, a in zip(images, affines, strict=True)])

    return make


@pytest.fixture(scope="session")
def guide(tmp_path_factory):
    """A folder in which every block of the guide has run, and the names that they have made."""
    folder = tmp_path_factory.mktemp("guide")
    blocks = GUIDE.read_text("utf-8").split("```python\n")[1:]
    names = {}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for block in blocks:
            exec(compile(block.split("```")[0], str(GUIDE), "exec"), names)
    finally:
        os.chdir(before)
    return folder, names


@pytest.fixture(scope="session")
def litert(guide):
    """MoveNet as a LiteRT file."""
    return guide[0] / "movenet.tflite"
