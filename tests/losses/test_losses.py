"""What holds for every loss; each is a row."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.codecs import MoveNetCodec, MSRAHeatmap
from keras_pose.layers import serialized
from keras_pose.losses import KeypointMSELoss, MoveNetLoss

SIZE, CELLS, COUNT = (32, 24), (8, 6), 3
MAPS = {"center": 1, "heatmaps": COUNT, "displacements": 2 * COUNT, "offsets": 2 * COUNT}

# The loss, the codec that makes its targets, and the maps it reads.
LOSSES = {
    "keypoint_mse": (KeypointMSELoss(0.5), MSRAHeatmap(SIZE, CELLS), ["heatmaps"]),
    "movenet": (MoveNetLoss(1.0, 2.0, 0.5, 0.25), MoveNetCodec(SIZE, CELLS), list(MAPS)),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def _labels(visible=1.0):
    keypoints = np.random.default_rng(0).uniform(2, 20, (2, 1, COUNT, 2)).astype("f4")
    return {"keypoints": keypoints, "visible": np.full((2, 1, COUNT), visible, "f4")}


def _outputs(names, seed=1):
    random = np.random.default_rng(seed)
    shape = (2, CELLS[1], CELLS[0])
    return {name: random.standard_normal((*shape, MAPS[name])).astype("f4") for name in names}


def _targets(codec, labels):
    return codec.encode({key: ops.convert_to_tensor(value) for key, value in labels.items()})


@every_loss
def test_a_loss_is_restored_from_its_config(name):
    config = serialized(LOSSES[name][0])
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(copy) is type(LOSSES[name][0]) and serialized(copy) == config


@every_loss
def test_terms_are_named_before_they_are_computed(name, compiled):
    loss, codec, maps = LOSSES[name]
    terms = compiled(lambda labels, outputs: loss(codec.encode(labels), outputs))(
        _labels(), _outputs(maps)
    )
    assert set(terms) == set(loss.terms)
    assert all(term.shape == () for term in terms.values())


@every_loss
def test_gradients_are_finite_and_reach_every_map(name, value_and_gradients):
    loss, codec, maps = LOSSES[name]
    targets = _targets(codec, _labels())
    value, gradients = value_and_gradients(
        lambda outputs: sum(loss(targets, outputs).values()), _outputs(maps)
    )
    assert np.isfinite(value) and value > 0
    for gradient in gradients.values():
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@every_loss
def test_extreme_outputs_have_finite_gradients(name, value_and_gradients):
    loss, codec, maps = LOSSES[name]
    targets = _targets(codec, _labels())
    outputs = {key: 100 * value for key, value in _outputs(maps).items()}
    value, gradients = value_and_gradients(
        lambda outputs: sum(loss(targets, outputs).values()), outputs
    )
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


@every_loss
def test_keypoints_without_labels_teach_nothing(name, value_and_gradients):
    """Only MoveNet's centre learns from them: that nobody is there."""
    loss, codec, maps = LOSSES[name]
    targets = _targets(codec, _labels(visible=0.0))
    _, gradients = value_and_gradients(
        lambda outputs: sum(loss(targets, outputs).values()), _outputs(maps)
    )
    gradients.pop("center", None)
    assert all(np.abs(gradient).max() == 0 for gradient in gradients.values())


def test_the_mean_counts_elements_of_weight_zero():
    targets = {"heatmaps": ops.zeros((1, 2, 2, 2)), "weights": ops.convert_to_tensor([[1.0, 0.0]])}
    loss = KeypointMSELoss()(targets, {"heatmaps": ops.ones((1, 2, 2, 2))})["loss_kpt"]
    assert float(ops.convert_to_numpy(loss)) == pytest.approx(0.5)
