"""What is special in heads of coordinates."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.codecs import IntegralRegressionLabel, RegressionLabel
from keras_pose.heads import IntegralRegressionHead, RegressionHead, RLEHead
from keras_pose.layers.naming import load_state_dict, state_dict
from keras_pose.losses import JSDiscretLoss, MultipleLossWrapper, RLELoss, SmoothL1Loss

REGRESSION = RegressionLabel((48, 32))
INTEGRAL = IntegralRegressionLabel((48, 32), (12, 8))


def _built(head, shape):
    head.build([shape])
    return head


def test_maps_are_refused():
    with pytest.raises(ValueError, match=r"a RegressionHead needs features \(B, C\)"):
        RegressionHead(3, REGRESSION)([keras.KerasTensor((None, 4, 3, 5))])


def test_the_flow_is_among_the_heads_weights():
    head = _built(RLEHead(3, REGRESSION, RLELoss(hidden=4)), (None, 5))
    names = state_dict(head)
    assert len(head.trainable_variables) == len(names) == 74
    assert {"fc.weight", "loss_module.flow_model.s.0.0.weight"} <= set(names)


def test_constants_of_checkpoints_are_passed_over():
    head = _built(RLEHead(3, REGRESSION, RLELoss(hidden=4)), (None, 5))
    constants = {"loc": np.zeros(2), "cov": np.eye(2), "mask": np.zeros((6, 2))}
    flow = {f"loss_module.flow_model.{name}": value for name, value in constants.items()}
    load_state_dict(head, {**state_dict(head), **flow})
    head = _built(IntegralRegressionHead(3, INTEGRAL, None, (4,), (4,)), (None, 4, 6, 5))
    load_state_dict(head, {**state_dict(head), "linspace_x": np.zeros((1, 1, 1, 12))})


def test_names_are_those_of_checkpoints():
    with_maps = _built(IntegralRegressionHead(3, INTEGRAL, None, (4,), (4,)), (None, 4, 6, 5))
    assert {name.partition(".")[0] for name in state_dict(with_maps)} == {"simplebaseline_head"}
    without = _built(IntegralRegressionHead(3, INTEGRAL, None, (), ()), (None, 8, 12, 5))
    assert list(state_dict(without)) == ["final_layer.weight", "final_layer.bias"]


@pytest.mark.parametrize("debias", [False, True])
def test_a_peak_is_found_in_the_middle_of_its_pixel(debias):
    """The mean of the map is its only pixel; taking off the bias moves it by almost nothing."""
    head = IntegralRegressionHead(3, INTEGRAL, None, (), (), debias=debias)
    _built(head, (None, 8, 12, 3))
    load_state_dict(
        head,
        {
            "final_layer.weight": np.eye(3, dtype="f4")[:, :, None, None],
            "final_layer.bias": np.zeros(3, "f4"),
        },
    )
    maps = np.full((1, 8, 12, 3), -20.0, "f4")
    places = [(0, 0), (11, 7), (5, 2)]
    for i, (x, y) in enumerate(places):
        maps[0, y, x, i] = 60.0
    outputs = head([ops.convert_to_tensor(maps)])
    expected = np.divide(places, (12, 8))
    np.testing.assert_allclose(ops.convert_to_numpy(outputs["coordinates"])[0], expected, atol=1e-6)
    sums = ops.convert_to_numpy(outputs["heatmaps"]).sum((1, 2))
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)


def test_debiasing_takes_off_the_pull_towards_the_middle():
    """A lone peak over a flat map: the flat part draws towards its own mean, away from the peak.

    The reference takes the flat part's mean for 1/2, which is exact but for half a pixel.
    """
    maps = np.zeros((1, 8, 8, 1), "f4")
    maps[0, 1, 1] = 5.0
    distances = []
    for debias in (False, True):
        head = IntegralRegressionHead(1, INTEGRAL, None, (), (), debias=debias)
        _built(head, (None, 8, 8, 1))
        weights = {
            "final_layer.weight": np.ones((1, 1, 1, 1), "f4"),
            "final_layer.bias": np.zeros(1, "f4"),
        }
        load_state_dict(head, weights)
        coordinates = ops.convert_to_numpy(head([ops.convert_to_tensor(maps)])["coordinates"])
        distances.append(np.abs(coordinates - 1 / 8).max())
    assert distances[1] < distances[0]


SETTINGS = {
    "in_channels": 5,
    "num_joints": 3,
    "decoder": {"type": "IntegralRegressionLabel", "input_size": (48, 32), "heatmap_size": (12, 8)},
}


@pytest.mark.parametrize(
    ("name", "loss"), [("DSNTHead", MultipleLossWrapper), ("IntegralRegressionHead", SmoothL1Loss)]
)
def test_the_reference_names_one_network_twice(name, loss):
    config = translate_part({"type": name, "in_featuremap_size": (6, 4), **SETTINGS}, "head")
    head = keras.saving.deserialize_keras_object(config)
    assert type(head) is IntegralRegressionHead and type(head.loss_module) is loss
    if loss is MultipleLossWrapper:
        assert [type(each) for each in head.loss_module.losses] == [SmoothL1Loss, JSDiscretLoss]


def test_a_change_of_losses_while_training_is_refused():
    with pytest.raises(ValueError, match="DSNTHead with lambda_t=5 has no counterpart here"):
        translate_part({"type": "DSNTHead", **SETTINGS, "lambda_t": 5}, "head")
