"""Training on several devices gives what one device gives."""

import os
import subprocess
import sys

import pytest

_ONE_STEP = """
import os, sys
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import contextlib
import keras
import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead

def kernel_after_one_step(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        head = HeatmapHead(
            2, MSRAHeatmap((32, 32), (8, 8)), deconv_filters=(), deconv_kernels=()
        )
        model = keras_pose.TopdownEstimator(
            ResNet(18, out_indices=(0,), base_channels=8), head, input_size=(32, 32),
            skeleton=keras_pose.Skeleton("two", ["a", "b"]),
        )
        # The batch's own statistics would differ between one device and two halves.
        model.backbone.trainable = False
        model.compile(keras.optimizers.SGD(1.0))
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (8, 32, 32, 3)).astype("uint8")
    labels = {
        "keypoints": random.uniform(4, 28, (8, 1, 2, 2)).astype("float32"),
        "visible": np.ones((8, 1, 2), "float32"),
    }
    before = np.array(model.head.final_layer.kernel)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    loss = model.fit(data, epochs=1, verbose=0).history["loss"][0]
    return loss, np.array(model.head.final_layer.kernel) - before

one_loss, one = kernel_after_one_step(None)
two_loss, two = kernel_after_one_step(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
assert np.abs(one).max() > 1e-4, one
np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-6)
print("same update", one_loss, two_loss)
"""


def test_two_devices_make_the_same_update(backend):
    if backend != "tensorflow":
        pytest.skip("tf.distribute is TensorFlow's")
    done = subprocess.run(
        [sys.executable, "-c", _ONE_STEP],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert "same update" in done.stdout, done.stderr[-2000:]
