"""`fit` of whole estimators: the loss falls, terms and PCK are logged, precision may be mixed."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import HandLandmarkLabel, MoveNetCodec, MSRAHeatmap
from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.datasets.damaged import DamagedImagesError
from keras_pose.heads import HandLandmarkHead, HeatmapHead, MoveNetHead
from keras_pose.necks import GlobalAveragePooling
from keras_pose.skeleton import Skeleton

SIZE = (32, 32)


def _estimator(head="heatmap"):
    skeleton = Skeleton("pair", ["left_dot", "right_dot"])
    heads = {
        "heatmap": lambda: HeatmapHead(
            2, MSRAHeatmap(SIZE, (8, 8), 1.0), deconv_filters=(8,), deconv_kernels=(4,)
        ),
        "movenet": lambda: MoveNetHead(2, MoveNetCodec(SIZE, (8, 8)), hidden=8),
        "hand_landmark": lambda: HandLandmarkHead(2, HandLandmarkLabel(SIZE), unit=1),
    }
    stages = {"heatmap": (1,), "movenet": (0,), "hand_landmark": (1,)}
    neck = GlobalAveragePooling() if head == "hand_landmark" else None
    backbone = ResNet(18, stages[head], base_channels=8, zero_init_residual=False)
    return keras_pose.TopdownEstimator(
        backbone, heads[head](), neck, skeleton=skeleton, input_size=SIZE
    )


def _dots(count=16):
    """Dark images with a red and a green square; the keypoints are their centres."""
    random = np.random.default_rng(0)
    centres = random.integers(6, 26, (count, 2, 2)).astype("float32")
    images = np.zeros((count, *SIZE, 3), np.uint8)
    for image, points in zip(images, centres.astype(int), strict=True):
        for channel, (x, y) in enumerate(points):
            image[y - 3 : y + 4, x - 3 : x + 4, channel] = 255
    labels = {"keypoints": centres[:, None], "visible": np.ones((count, 1, 2), np.float32)}
    return images, labels


@pytest.mark.parametrize("head", ["heatmap", "movenet", "hand_landmark"])
def test_fit_lowers_the_loss_and_logs_every_term(head):
    estimator = _estimator(head)
    images, labels = _dots()
    estimator.compile(keras.optimizers.Adam(3e-3))
    history = estimator.fit(images, labels, batch_size=8, epochs=5, verbose=0).history
    assert set(history) == {"loss", "pck", *estimator.head.loss_module.terms}
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    terms = [history[name][-1] for name in estimator.head.loss_module.terms]
    assert sum(terms) == pytest.approx(history["loss"][-1], rel=1e-4)


def test_damaged_images_stop_the_training_with_one_sentence(tmp_path):
    """Under every backend; TensorFlow would wrap it in a report of its own."""
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for path in paths:
        path.write_bytes(b"no picture")
    data = KeypointDataset(
        Skeleton("pair", ["left_dot", "right_dot"]),
        paths,
        range(8),
        [SIZE] * 8,
        [[2, 2, 30, 30]] * 8,
        np.ones((8, 2, 2)),
        np.ones((8, 2)),
        name="dots",
    )
    sentence = r"^dots: 4 of 8 images cannot be read, more than the 3 that max_damaged allows, "
    for method in ("fit", "evaluate"):
        estimator = _estimator()
        estimator.compile(keras.optimizers.Adam(3e-3))
        batches = topdown_dataset(data, estimator, 4, training=method == "fit", workers=1)
        with pytest.raises(DamagedImagesError, match=sentence):
            getattr(estimator, method)(batches, verbose=0)


def test_labels_without_weight_do_not_count():
    estimator = _estimator()
    images, labels = _dots(4)
    estimator.compile(keras.optimizers.SGD(0.0))
    labels["visible"][:, :, 1] = 0
    moved = {**labels, "keypoints": labels["keypoints"].copy()}
    moved["keypoints"][:, :, 1] = 1e4
    first = estimator.evaluate(images, labels, verbose=0, return_dict=True)
    second = estimator.evaluate(images, moved, verbose=0, return_dict=True)
    assert first == pytest.approx(second)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains(precision):
    keras.config.set_dtype_policy(precision)
    try:
        estimator = _estimator()
        images, labels = _dots()
        estimator.compile(keras.optimizers.Adam(3e-3))
        history = estimator.fit(images, labels, batch_size=8, epochs=3, verbose=0).history
        decoded = estimator.predict(images[:2], verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert estimator.backbone.conv1.compute_dtype == precision.removeprefix("mixed_")
    assert history["loss"][-1] < history["loss"][0]
    assert decoded["keypoints"].dtype == np.float32


def test_metrics_are_right_for_data_of_unknown_length():
    """TensorFlow runs one more step at the end of such data; see `PoseEstimator.compute_loss`."""
    estimator = _estimator()
    images, labels = _dots(8)
    estimator.compile(keras.optimizers.SGD(0.0))

    def batches():
        for start in (0, 4):
            span = slice(start, start + 4)
            yield images[span], {key: value[span] for key, value in labels.items()}

    known = estimator.evaluate(images, labels, batch_size=4, verbose=0, return_dict=True)
    unknown = estimator.evaluate(batches(), verbose=0, return_dict=True)
    assert unknown["loss_kpt"] == pytest.approx(known["loss_kpt"], rel=1e-5)
    assert unknown["pck"] == pytest.approx(known["pck"], rel=1e-5)


def test_labels_must_be_a_dict():
    estimator = _estimator()
    estimator.compile("sgd")
    with pytest.raises(ValueError, match="labels as a dict with keypoints"):
        estimator.compute_loss(y=np.zeros(3), y_pred={})


def test_a_new_skeleton_keeps_every_weight_that_fits():
    estimator = _estimator("movenet")
    mouse = estimator.with_skeleton(Skeleton("mouse", ["snout", "leftear", "rightear", "tail"]))
    assert mouse.head.num_keypoints == 4
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(mouse.backbone.conv1.kernel),
        keras.ops.convert_to_numpy(estimator.backbone.conv1.kernel),
    )
    assert mouse(np.zeros((1, *SIZE, 3), np.uint8))["heatmaps"].shape == (1, 8, 8, 4)
