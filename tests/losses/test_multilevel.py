import numpy as np
import pytest
from keras import ops

from keras_pose.losses import KeypointMSELoss, KeypointOHKMMSELoss, MultilevelLoss

RANDOM = np.random.default_rng(0)
OUTPUTS = RANDOM.standard_normal((3, 2, 4, 5, 3)).astype("f4")
TARGETS = RANDOM.uniform(0, 1, (2, 2, 4, 5, 3)).astype("f4")
WEIGHTS = RANDOM.uniform(0, 1, (2, 2, 3)).astype("f4")


def _entries(levels, weights):
    entries = {"heatmaps": levels[-1], "weights": weights[-1]}
    if len(levels) > 1:
        entries["intermediate_heatmaps"] = np.stack(levels[:-1], axis=1)
    if len(weights) > 1:
        entries["intermediate_weights"] = np.stack(weights[:-1], axis=1)
    return {key: ops.convert_to_tensor(value) for key, value in entries.items()}


def _value(loss, levels, weights):
    outputs = _entries(OUTPUTS, WEIGHTS[-1:])
    outputs.pop("weights")
    return float(ops.convert_to_numpy(loss(_entries(levels, weights), outputs)["loss_kpt"]))


def _expected(losses, levels, weights):
    values = [
        loss.value(*(ops.convert_to_tensor(x) for x in each))
        for loss, *each in zip(losses, OUTPUTS, levels, weights, strict=True)
    ]
    return sum(float(ops.convert_to_numpy(value)) for value in values)


def test_each_output_has_its_loss_and_its_level():
    losses = [KeypointMSELoss(0.25), KeypointOHKMMSELoss(topk=2), KeypointMSELoss()]
    value = _value(MultilevelLoss(losses, [0, 1, 0]), TARGETS, WEIGHTS)
    expected = _expected(losses, TARGETS[[0, 1, 0]], WEIGHTS[[0, 1, 0]])
    assert value == pytest.approx(expected, rel=1e-5)


def test_weights_may_be_the_same_for_all_levels():
    losses = [KeypointMSELoss()] * 3
    value = _value(MultilevelLoss(losses[0], [0, 1, 0]), TARGETS, WEIGHTS[1:])
    assert value == pytest.approx(
        _expected(losses, TARGETS[[0, 1, 0]], WEIGHTS[[1, 1, 1]]), rel=1e-5
    )


@pytest.mark.parametrize("levels", [None, [0, 1, 0]])
def test_one_target_serves_all_outputs(levels):
    losses = [KeypointMSELoss()] * 3
    value = _value(MultilevelLoss(losses, levels), TARGETS[:1], WEIGHTS[:1])
    assert value == pytest.approx(_expected(losses, TARGETS[[0] * 3], WEIGHTS[[0] * 3]), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (MultilevelLoss([KeypointMSELoss()]), "3 outputs do not fit 1 losses"),
        (MultilevelLoss(KeypointMSELoss(), [0, 1]), r"the targets \[0, 1\] of 2"),
        (MultilevelLoss(KeypointMSELoss(), [0, 1, 2]), r"the targets \[0, 1, 2\] of 2"),
        (MultilevelLoss(KeypointMSELoss()), r"the targets \[0, 1, 2\] of 2"),
    ],
)
def test_what_does_not_fit_is_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        _value(loss, TARGETS, WEIGHTS)


def test_losses_need_a_level_each():
    with pytest.raises(ValueError, match="losses and levels must be equally long, got 1 and 2"):
        MultilevelLoss([KeypointMSELoss()], [0, 1])
