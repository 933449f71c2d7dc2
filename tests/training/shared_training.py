"""Short trainings on one device or several; TensorFlow is imported under itself only."""

import random

import keras
import numpy as np

from keras_pose import TopdownEstimator
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.datasets.shares import present_share
from keras_pose.heads import HeatmapHead
from keras_pose.losses.comparison import HeatmapLoss
from keras_pose.skeleton import Skeleton
from keras_pose.training.distribution import distribute
from keras_pose.training.recipe import Recipe

SIZE, BATCH, SAMPLES = 32, 8, 24


@keras.saving.register_keras_serializable(package="keras_pose_tests")
class LabelledMean(HeatmapLoss):
    """The mean over labelled keypoints, which halves of a batch have different numbers of."""

    def compare(self, output, target, weights):
        error = keras.ops.mean(keras.ops.square(output - target) * weights, axis=(1, 2))
        return keras.ops.sum(error) / keras.ops.sum(weights)


def make_estimator():
    random.seed(0)  # what seeds of initializers follow from; Keras' own function needs TensorFlow
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


class Batches(keras.utils.PyDataset):
    """Batches of arrays, of which each process takes its share."""

    def __init__(self, images, labels):
        super().__init__()
        self.arrays, self.share = (images, labels), present_share()

    def __len__(self):
        return -(-len(self.arrays[0]) // BATCH)

    def __getitem__(self, batch):
        start, (index, count) = batch * BATCH, self.share
        size = min(BATCH, len(self.arrays[0]) - start)
        rows = slice(start + size * index // count, start + size * (index + 1) // count)
        return keras.tree.map_structure(lambda array: array[rows], self.arrays)


def make_batches(samples):
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (samples, SIZE, SIZE, 3), np.uint8)
    points = random.uniform(4, SIZE - 4, (samples, 1, 2, 2)).astype("float32")
    visible = np.ones((samples, 1, 2), "float32")
    # The first half of every batch shows nearly nothing.
    visible[np.arange(samples) % BATCH < BATCH // 2, :, 1] = 0
    visible[np.arange(samples) % BATCH < BATCH // 2 - 1] = 0
    labels = {"keypoints": points, "visible": visible}
    if keras.backend.backend() != "tensorflow":
        return Batches(images, labels)
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)


class Steps(keras.callbacks.Callback):
    """The logs, which are means since the epoch's start, of every step."""

    def on_train_begin(self, logs=None):
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append([float(logs[name]) for name in sorted(logs)])


def train(out, devices, *scenarios):
    """Writes what trainings logged and their final weights.

    Args:
        out: folder.
        devices: int.
        scenarios: of "plain"; "ragged": the last batch is not full, and there is validation;
            "local": batch normalisation over the part of each device; "accumulate".
    """
    for scenario in scenarios:
        _train(out, devices, scenario)


def _train(out, devices, scenario):
    recipe = {
        "optimizer": {"type": "AdamW", "learning_rate": 1e-2, "global_clipnorm": 1e-2},
        "epochs": 2,
        "batch_size": BATCH,
        "average": {"kind": "constant", "momentum": 0.1},
        "accumulate": 2 if scenario == "accumulate" else 1,
    }
    ragged = scenario == "ragged"
    with distribute(devices, sync_batch_norm=scenario != "local") as group:
        assert group.devices == devices
        estimator = make_estimator()
        samples = SAMPLES + 4 if ragged else SAMPLES
        with group.sharing():
            batches = make_batches(samples)
        plan = Recipe.from_dict(recipe).compile(estimator, len(batches), verbose=0)
        group.prepare(estimator)
        steps = Steps()
        history = estimator.fit(
            batches,
            epochs=2,
            callbacks=[*plan.callbacks, steps],
            validation_data=batches if ragged else None,
            shuffle=False,
            verbose=0,
        )
        images = np.random.default_rng(0).integers(0, 255, (BATCH, SIZE, SIZE, 3), np.uint8)
        predicted = estimator.predict_on_batch(images)["keypoints"]
        last = {name: values[-1] for name, values in history.history.items()}
        weights = {f"weight {i}": value for i, value in enumerate(estimator.get_weights())}
        name = f"{out}/{scenario}{devices}.{group.index}.npz"
        np.savez(name, logs=steps.logs, predicted=predicted, **last, **weights)
