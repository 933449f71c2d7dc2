"""A short training on one device or several, for processes of its own.

python shared_training.py OUT DEVICES [SETTING ...] trains on one device and on several, and writes
what each logged and its final weights.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from keras_pose import TopdownEstimator
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead
from keras_pose.losses.comparison import HeatmapLoss
from keras_pose.skeleton import Skeleton
from keras_pose.training.distribution import distribute, launch
from keras_pose.training.recipe import Recipe

SIZE, BATCH, SAMPLES = 32, 8, 24


@keras.saving.register_keras_serializable(package="keras_pose_tests")
class LabelledMean(HeatmapLoss):
    """The mean over labelled keypoints, which halves of a batch have different numbers of."""

    def compare(self, output, target, weights):
        error = keras.ops.mean(keras.ops.square(output - target) * weights, axis=(1, 2))
        return keras.ops.sum(error) / keras.ops.sum(weights)


def make_estimator():
    keras.utils.set_random_seed(0)
    head = HeatmapHead(
        2,
        MSRAHeatmap((SIZE, SIZE), (8, 8), 1.0),
        deconv_filters=(8,),
        deconv_kernels=(4,),
        loss_module=LabelledMean(loss_weight=100.0),
    )
    backbone = ResNet(18, (1,), base_channels=8, zero_init_residual=False)
    skeleton = Skeleton("pair", ["left_dot", "right_dot"])
    return TopdownEstimator(backbone, head, skeleton=skeleton, input_size=(SIZE, SIZE))


def make_batches(samples=SAMPLES):
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (samples, SIZE, SIZE, 3), np.uint8)
    points = random.uniform(4, SIZE - 4, (samples, 1, 2, 2)).astype("float32")
    visible = np.ones((samples, 1, 2), "float32")
    # The first half of every batch shows nearly nothing.
    visible[np.arange(samples) % BATCH < BATCH // 2, :, 1] = 0
    visible[np.arange(samples) % BATCH < BATCH // 2 - 1] = 0
    labels = {"keypoints": points, "visible": visible}
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)


class Steps(keras.callbacks.Callback):
    """The logs, which are means since the epoch's start, of every step."""

    def on_train_begin(self, logs=None):
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append([float(logs[name]) for name in sorted(logs)])


def train(out, devices, *settings):
    recipe = {
        "optimizer": {"type": "AdamW", "learning_rate": 1e-2, "global_clipnorm": 1e-2},
        "epochs": 2,
        "batch_size": BATCH,
        "average": {"kind": "constant", "momentum": 0.1},
    }
    if "accumulate" in settings:
        recipe["accumulate"] = 2
    if "half" in settings:
        keras.config.set_dtype_policy("mixed_float16")
    batches = make_batches(SAMPLES + 4 if "ragged" in settings else SAMPLES)
    with distribute(devices, sync_batch_norm="local" not in settings) as group:
        assert group.devices == devices
        estimator = make_estimator()
        plan = Recipe.from_dict(recipe).compile(estimator, len(batches), verbose=0)
        group.prepare(estimator)
        steps, shared = Steps(), group.share(batches)
        history = estimator.fit(
            shared,
            epochs=2,
            callbacks=[*plan.callbacks, steps],
            validation_data=shared if "ragged" in settings else None,
            verbose=0,
        )
        images = next(iter(batches.as_numpy_iterator()))[0]
        predicted = estimator.predict_on_batch(images)["keypoints"]
        last = {name: values[-1] for name, values in history.history.items()}
        weights = {f"weight {i}": value for i, value in enumerate(estimator.get_weights())}
        name = out if group.processes == 1 else f"{out}.{group.index}"
        np.savez(f"{name}.npz", logs=steps.logs, predicted=predicted, **last, **weights)


if __name__ == "__main__":
    out, devices, *settings = sys.argv[1:]
    devices = int(devices)
    if keras.backend.backend() == "tensorflow":
        cpu = tf.config.list_physical_devices("CPU")[0]
        split = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(cpu, split)
    train(f"{out}1", 1, *settings)
    if keras.backend.backend() == "torch":
        launch(train, devices, f"{out}{devices}", devices, *settings)
    else:
        train(f"{out}{devices}", devices, *settings)
