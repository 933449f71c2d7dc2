"""A tiny estimator and data that it learns."""

import numpy as np
import pytest

SIZE = (32, 32)


@pytest.fixture
def tiny():
    """Makes (estimator, images, labels) of images with two squares, whose centres are keypoints."""
    from keras_pose import TopdownEstimator
    from keras_pose.backbones import ResNet
    from keras_pose.codecs import MSRAHeatmap
    from keras_pose.heads import HeatmapHead
    from keras_pose.skeleton import Skeleton

    def make():
        head = HeatmapHead(
            2, MSRAHeatmap(SIZE, (8, 8), 1.0), deconv_filters=(8,), deconv_kernels=(4,)
        )
        backbone = ResNet(18, (1,), base_channels=8, zero_init_residual=False)
        skeleton = Skeleton("pair", ["left_dot", "right_dot"])
        estimator = TopdownEstimator(backbone, head, skeleton=skeleton, input_size=SIZE)
        centres = np.random.default_rng(0).integers(6, 26, (16, 2, 2))
        images = np.zeros((16, *SIZE, 3), np.uint8)
        for image, points in zip(images, centres, strict=True):
            for channel, (x, y) in enumerate(points):
                image[y - 3 : y + 4, x - 3 : x + 4, channel] = 255
        visible = np.ones((16, 1, 2), np.float32)
        return estimator, images, {"keypoints": np.float32(centres[:, None]), "visible": visible}

    return make


@pytest.fixture
def tiny_job(tmp_path):
    """Makes a job: a network with dropout and batch normalisation, and 16 drawn pictures."""
    import json

    import cv2
    import keras

    from keras_pose import Skeleton, TopdownEstimator
    from keras_pose.codecs import MSRAHeatmap
    from keras_pose.heads import HeatmapHead
    from keras_pose.training import TrainingJob

    inputs = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(8, 4, strides=4, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    backbone = keras.Model(inputs, keras.layers.Dropout(0.2)(x))
    head = HeatmapHead(2, MSRAHeatmap(SIZE, (8, 8), 1.0), deconv_filters=(), deconv_kernels=())
    names = ["left_dot", "right_dot"]
    estimator = TopdownEstimator(backbone, head, skeleton=Skeleton("pair", names), input_size=SIZE)
    estimator.save_to_preset(tmp_path / "tiny")
    random = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 17):
        picture = np.zeros((48, 48, 3), np.uint8)
        points = random.integers(10, 38, (2, 2))
        for channel, (x, y) in enumerate(points):
            picture[y - 3 : y + 4, x - 3 : x + 4, channel] = 255
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / name), picture)
        images.append({"id": number, "file_name": name, "width": 48, "height": 48})
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [4, 4, 40, 40],
                "keypoints": np.column_stack([points, [2, 2]]).ravel().tolist(),
            }
        )
    categories = [{"id": 1, "name": "pair", "keypoints": names}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file = tmp_path / "dots.json"
    file.write_text(json.dumps(content))

    def make(recipe=None, **settings):
        plain = {
            "optimizer": {"type": "Adam", "learning_rate": 3e-3},
            "epochs": 3,
            "batch_size": 4,
            "seed": 7,
        }
        return TrainingJob.from_dict(
            {
                "model": {"preset": str(tmp_path / "tiny")},
                "train": {"annotations": str(file)},
                "recipe": plain | (recipe or {}),
                **settings,
            }
        )

    return make


@pytest.fixture(scope="session")
def distributed():
    """The module that trains on one device and on two, and compares them."""
    import importlib.util
    from pathlib import Path

    path = Path(__file__).with_name("distributed.py")
    spec = importlib.util.spec_from_file_location("distributed", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
