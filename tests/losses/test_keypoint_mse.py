"""KeypointMSELoss against the reference's values and gradients."""

import json

import numpy as np
import pytest
from keras import ops

from keras_pose.losses import KeypointMSELoss

# By kind of case: those with a mask, with weights per pixel, and with `skip_empty_channel` have no
# counterpart here.
LEFT_OUT = ("_wmask", "_mask", "_pixel", "_skip1_")
CASES = [
    *[f"s1_utw{use}_lw{weight}_skip0_w" for use in (0, 1) for weight in (1.0, 0.25)],
    *[f"s2_utw{use}_lw{weight}_skip0_w" for use in (0, 1) for weight in (1.0, 0.25)],
    "s1_utw0_lw1.0_skip0_none",
    "s1_utw1_lw1.0_skip0_none",
]


@pytest.fixture(scope="module")
def golden_loss(golden):
    path = golden / "losses/keypoint_mse_loss"
    cases = json.loads(path.with_suffix(".json").read_text("utf-8"))["cases"]
    arrays = np.load(path.with_suffix(".npz"))
    return {case["case"]: case for case in cases}, arrays


def _maps(arrays, name):
    return arrays[name].astype("f4").transpose(0, 2, 3, 1)


@pytest.mark.parity
def test_every_case_is_in_a_list(golden_loss):
    cases, _ = golden_loss
    assert {n for n in cases if not any(part in n for part in LEFT_OUT)} == set(CASES)


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_the_reference(golden_loss, value_and_gradients, name):
    cases, arrays = golden_loss
    case = cases[name]
    output = _maps(arrays, case["in"]["output"])
    weights = case["in"].get("target_weights")
    # The reference without weights is this one with weights of 1.
    weights = np.ones((len(output), output.shape[-1]), "f4") if weights is None else arrays[weights]
    targets = {
        "heatmaps": ops.convert_to_tensor(_maps(arrays, case["in"]["target"])),
        "weights": ops.convert_to_tensor(weights.astype("f4")),
    }
    loss = KeypointMSELoss(case["args"].get("loss_weight", 1.0))
    value, gradients = value_and_gradients(
        lambda outputs: loss(targets, outputs)["loss_kpt"], {"heatmaps": output}
    )
    expected = case["out"]["value"]
    assert value == pytest.approx(expected, abs=1e-6 + 1e-5 * expected, rel=0)
    expected = _maps(arrays, case["out"]["grad.output"])
    tolerance = 1e-6 + 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(gradients["heatmaps"], expected, rtol=0, atol=tolerance)
    # The gradients are small beside 1e-6, so that something of them is compared too.
    np.testing.assert_allclose(gradients["heatmaps"], expected, rtol=1e-4, atol=1e-9)


def test_the_mean_counts_elements_of_weight_zero():
    targets = {"heatmaps": ops.zeros((1, 2, 2, 2)), "weights": ops.convert_to_tensor([[1.0, 0.0]])}
    loss = KeypointMSELoss()(targets, {"heatmaps": ops.ones((1, 2, 2, 2))})["loss_kpt"]
    assert float(ops.convert_to_numpy(loss)) == pytest.approx(0.5)
