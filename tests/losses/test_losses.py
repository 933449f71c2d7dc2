"""What holds for every loss; each is a row."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.codecs import (
    IntegralRegressionLabel,
    MoveNetCodec,
    MSRAHeatmap,
    MultilevelHeatmap,
    RegressionLabel,
    SimCCLabel,
    SKPSHeatmap,
)
from keras_pose.layers import serialized
from keras_pose.layers.naming import state_dict
from keras_pose.losses import (
    AdaptiveWingLoss,
    BCELoss,
    BoneLoss,
    FeaLoss,
    FocalHeatmapLoss,
    IoULoss,
    JSDiscretLoss,
    KeypointMSELoss,
    KeypointOHKMMSELoss,
    KLDiscretLoss,
    L1Loss,
    MLECCLoss,
    MoveNetLoss,
    MSELoss,
    MultilevelLoss,
    MultipleLossWrapper,
    OKSLoss,
    RLELoss,
    SKPSLoss,
    SmoothL1Loss,
    SoftWeightSmoothL1Loss,
    SoftWingLoss,
    WingLoss,
)

SIZE, CELLS, COUNT = (32, 24), (8, 6), 3
MAP = (CELLS[1], CELLS[0])
SHAPES = {
    "center": (*MAP, 1),
    "heatmaps": (*MAP, COUNT),
    "intermediate_heatmaps": (2, *MAP, COUNT),
    "displacements": (*MAP, 2 * COUNT),
    "offsets": (*MAP, 2 * COUNT),
    "coordinates": (COUNT, 2),
    "sigmas": (COUNT, 2),
    "x": (COUNT, 2 * SIZE[0]),
    "y": (COUNT, 2 * SIZE[1]),
}
MSRA, REGRESSION = MSRAHeatmap(SIZE, CELLS), RegressionLabel(SIZE)
SIMCC = SimCCLabel(SIZE)
INTEGRAL = IntegralRegressionLabel(SIZE, CELLS)

# The loss, the codec that makes its targets, and the outputs it reads.
LOSSES = {
    "keypoint_mse": (KeypointMSELoss(0.5, skip_empty_channel=True), MSRA, ["heatmaps"]),
    "keypoint_ohkm_mse": (KeypointOHKMMSELoss(0.5, topk=2), MSRA, ["heatmaps"]),
    "adaptive_wing": (AdaptiveWingLoss(0.5, theta=0.4), MSRA, ["heatmaps"]),
    "smooth_l1": (SmoothL1Loss(0.5), REGRESSION, ["coordinates"]),
    "soft_weight_smooth_l1": (
        SoftWeightSmoothL1Loss(beta=0.1, supervise_empty=False),
        REGRESSION,
        ["coordinates"],
    ),
    "l1": (L1Loss(reduction="none"), REGRESSION, ["coordinates"]),
    "mse": (MSELoss(term="loss_xy"), REGRESSION, ["coordinates"]),
    "wing": (WingLoss(omega=0.3, epsilon=0.1), REGRESSION, ["coordinates"]),
    "soft_wing": (SoftWingLoss(omega1=0.2), REGRESSION, ["coordinates"]),
    "oks": (OKSLoss(sigmas=[0.1, 0.2, 0.3]), REGRESSION, ["coordinates"]),
    "rle": (RLELoss(hidden=4), REGRESSION, ["coordinates", "sigmas"]),
    "js_discret": (JSDiscretLoss(0.5), INTEGRAL, ["heatmaps"]),
    "kl_discret": (KLDiscretLoss(beta=2.0, mask=[1], mask_weight=0.5), SIMCC, ["x", "y"]),
    "skps": (
        SKPSLoss(AdaptiveWingLoss(0.5), AdaptiveWingLoss(2.0)),
        SKPSHeatmap(SIZE, CELLS),
        ["heatmaps", "offsets"],
    ),
    "multiple": (
        MultipleLossWrapper([SmoothL1Loss(), KeypointMSELoss(2.0)]),
        INTEGRAL,
        ["coordinates", "heatmaps"],
    ),
    "multilevel": (
        MultilevelLoss([KeypointMSELoss(0.5), AdaptiveWingLoss(), KeypointMSELoss()], [0, 0, 1]),
        MultilevelHeatmap([MSRA, MSRAHeatmap(SIZE, CELLS, 1.0)]),
        ["heatmaps", "intermediate_heatmaps"],
    ),
    "movenet": (
        MoveNetLoss(1.0, 2.0, 0.5, 0.25),
        MoveNetCodec(SIZE, CELLS),
        ["center", "heatmaps", "displacements", "offsets"],
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def _labels(visible=1.0):
    keypoints = np.random.default_rng(0).uniform(2, 20, (2, 1, COUNT, 2)).astype("f4")
    return {"keypoints": keypoints, "visible": np.full((2, 1, COUNT), visible, "f4")}


def _outputs(names, seed=1):
    random = np.random.default_rng(seed)
    outputs = {name: random.standard_normal((2, *SHAPES[name])).astype("f4") for name in names}
    if "sigmas" in outputs:
        outputs["sigmas"] = np.abs(outputs["sigmas"]) + 0.01
    return outputs


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


def test_terms_of_one_name_are_added():
    outputs = {key: ops.convert_to_tensor(a) for key, a in _outputs(["coordinates"]).items()}
    targets = _targets(REGRESSION, _labels())
    parts = [SmoothL1Loss(), L1Loss(0.5), MSELoss(term="loss_square")]
    both = MultipleLossWrapper(parts)(targets, outputs)
    assert list(both) == ["loss_kpt", "loss_square"]
    values = [ops.convert_to_numpy(part(targets, outputs)[part.term]) for part in parts]
    assert float(ops.convert_to_numpy(both["loss_kpt"])) == pytest.approx(values[0] + values[1])


def test_weights_may_be_left_out():
    outputs = {key: ops.convert_to_tensor(a) for key, a in _outputs(["coordinates"]).items()}
    targets = _targets(REGRESSION, _labels())
    halved = {**targets, "weights": 0.5 * targets["weights"]}
    with_weights, without = L1Loss(), L1Loss(weighted=False)
    assert without(halved, outputs) == without(targets, outputs) == with_weights(targets, outputs)
    assert with_weights(halved, outputs) != with_weights(targets, outputs)


def test_each_axis_may_have_weights_of_its_own():
    outputs = {key: ops.convert_to_tensor(a) for key, a in _outputs(["x", "y"]).items()}
    targets = _targets(SIMCC, _labels())
    zeros, ones = ops.zeros_like(targets["weights"]), ops.ones_like(targets["weights"])
    loss = KLDiscretLoss(weights_per_axis=True)
    only = [
        loss({**targets, "x_weights": x, "y_weights": y}, outputs)["loss_kpt"]
        for x, y in ((ones, zeros), (zeros, ones))
    ]
    both = KLDiscretLoss()({**targets, "weights": ones}, outputs)["loss_kpt"]
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (sum(only), both)), rtol=1e-5)


def test_weights_of_a_loss_are_stored_under_the_checkpoints_names(tmp_path):
    names = list(state_dict(RLELoss(hidden=4)))
    assert len(names) == 72
    assert names[:2] == ["flow_model.s.0.0.weight", "flow_model.s.0.0.bias"]
    assert list(state_dict(FeaLoss(2, 3))) == ["align.weight", "align.bias"]
    assert not list(state_dict(FeaLoss(2, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1Loss(reduction="max"), 'reduction must be one of "mean", "sum", "none", got'),
        (lambda: BCELoss(reduction="max"), "reduction must be one of"),
        (lambda: OKSLoss(mode="cubic"), 'mode must be one of "linear", "square", "log", got'),
        (lambda: IoULoss(mode="cubic"), "mode must be one of"),
        (lambda: MLECCLoss(mode="cubic"), "mode must be one of"),
        (lambda: RLELoss(q_distribution="cauchy"), "q_distribution must be one of"),
        (lambda: BoneLoss(joint_parents=[0]), "joint_parents must name the parent of each"),
        (lambda: MultipleLossWrapper([RLELoss(hidden=4)]), "a RLELoss has weights and must be"),
        (
            lambda: KeypointOHKMMSELoss(topk=8).value(*[ops.zeros((1, 2, 2, 3))] * 2),
            "topk is 8, but there are 3 keypoints",
        ),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_certain_probabilities_have_finite_gradients(value_and_gradients):
    """Where the reference's are infinite or no numbers."""
    certain = ops.convert_to_tensor(np.array([[0.0, 1.0, 0.0, 1.0]], "f4"))
    target = ops.convert_to_tensor(np.array([[0.0, 0.0, 1.0, 1.0]], "f4"))
    loss = BCELoss(from_logits=False)
    value, gradients = value_and_gradients(
        lambda outputs: loss.value(outputs["p"], target), {"p": ops.convert_to_numpy(certain)}
    )
    assert value == pytest.approx(50.0)
    assert np.isfinite(gradients["p"]).all()


def test_focal_loss_without_peaks_is_finite():
    maps = ops.full((1, 2, 2, 1), 0.5)
    value = FocalHeatmapLoss().value(maps, ops.zeros((1, 2, 2, 1)))
    assert float(ops.convert_to_numpy(value)) == pytest.approx(np.log(2.0))
