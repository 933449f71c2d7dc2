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
