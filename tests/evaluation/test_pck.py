"""PCK and pixel error against MMPose's values."""

import json

import numpy as np
import pytest

from keras_pose.evaluation.pck import keypoint_distances, keypoint_error, pck

INPUTS = ("pred", "gt", "mask", "norm_factor")


@pytest.fixture(scope="module")
def cases(golden):
    arrays = np.load(golden / "metrics" / "functional.npz")
    by_function = {}
    for case in json.loads((golden / "metrics" / "functional.json").read_text())["cases"]:
        if case["fn"] not in ("calc_distances", "keypoint_pck_accuracy", "keypoint_epe"):
            continue
        entries = dict(
            e.split("=") if "=" in e else (e, f"{case['id']}/in/{e}") for e in case["in"]
        )
        values = [arrays[entries[name]] for name in INPUTS if name in entries]
        outputs = {name: arrays[f"{case['id']}/out/{name}"] for name in case.get("out", ())}
        by_function.setdefault(case["fn"], []).append((case, values, outputs))
    return by_function


def test_distances_equal_the_reference(cases):
    assert cases["calc_distances"]
    for case, values, outputs in cases["calc_distances"]:
        actual = keypoint_distances(*values)
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual.T, outputs["distances"], rtol=1e-6, err_msg=case["id"])


def test_pck_equals_the_reference(cases):
    assert len(cases["keypoint_pck_accuracy"]) == 36
    for case, values, outputs in cases["keypoint_pck_accuracy"]:
        mean, shares = pck(*values, threshold=case["args"]["thr"])
        np.testing.assert_allclose(shares, outputs["acc"], atol=1e-9, err_msg=case["id"])
        assert mean == pytest.approx(case["expect"]["avg_acc"], abs=1e-9)
        assert (shares >= 0).sum() == case["expect"]["cnt"]


def test_error_equals_the_reference(cases):
    assert len(cases["keypoint_epe"]) == 18
    for case, values, _ in cases["keypoint_epe"]:
        assert keypoint_error(*values) == pytest.approx(case["expect"], rel=1e-6), case["id"]


def test_inputs_are_left_alone(cases):
    for _, values, _ in cases["calc_distances"]:
        before = [value.copy() for value in values]
        keypoint_distances(*values)
        for old, new in zip(before, values, strict=True):
            np.testing.assert_array_equal(old, new)


def test_a_prediction_that_is_not_finite_is_wrong():
    truth = np.zeros((2, 1, 2))
    predictions = truth.copy()
    predictions[0] = np.nan
    assert pck(predictions, truth, np.ones((2, 1)), 10.0, 0.5)[0] == 0.5


def test_a_distance_equal_to_the_threshold_is_wrong():
    predictions, truth = np.array([[[5.0, 0.0]]]), np.zeros((1, 1, 2))
    assert pck(predictions, truth, np.ones((1, 1)), 10.0, 0.5)[0] == 0
    assert pck(predictions, truth, np.ones((1, 1)), 10.0, 0.51)[0] == 1


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3, 2), (2, 4, 2), (2, 3), (2,)), "predictions and ground_truth"),
        (((2, 3, 2), (2, 3, 2), (3, 2), (2,)), "visible must be"),
        (((2, 3, 2), (2, 3, 2), (2, 3), (3,)), "norm must be"),
    ],
)
def test_wrong_shapes_are_named(shapes, message):
    with pytest.raises(ValueError, match=message):
        keypoint_distances(*(np.ones(shape) for shape in shapes))
