"""Every loss against the reference's values and gradients, case by case.

A test a file of golden/losses; the losses are made from the reference's settings.
"""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.layers.naming import load_state_dict
from keras_pose.losses import RLELoss

FILES = [
    "adaptive_wing_loss",
    "bce_loss",
    "bone_loss",
    "combined_target_mse_loss",
    "detector_losses",
    "fea_loss",
    "focal_heatmap_loss",
    "info_nce_loss",
    "iou_loss",
    "js_discret_loss",
    "kd_loss",
    "keypoint_mse_loss",
    "keypoint_ohkm_mse_loss",
    "kl_discret_loss",
    "kl_discret_loss_with_weight",
    "l1_loss",
    "mlecc_loss",
    "mpjpe_loss",
    "mpjpe_velocity_joint_loss",
    "mse_loss",
    "multiple_loss_wrapper",
    "oks_loss",
    "rle_loss",
    "smooth_l1_loss",
    "soft_weight_smooth_l1_loss",
    "soft_wing_loss",
    "vari_focal_loss",
    "wing_loss",
    "yolox_pose_oks_loss",
]
# Files with tests of their own, below.
SEVERAL_VALUES = ["semi_supervision_loss", "associative_embedding_loss"]
# What has no counterpart yet: whole files, and classes of a file.
LEFT_OUT = {}
LEFT_OUT_CLASSES = {
    "CrossEntropyLoss": "detectors",
    "DistributionFocalLoss": "detectors",
    "FocalLoss": "detectors",
    "QualityFocalLoss": "detectors",
}
# Arrays of four axes that are no maps: poses over frames.
POSES = ("s141_", "s142_")
# The reference's names of what `value` takes.
OUTPUTS = ("output", "outputs", "pred", "pred_hm", "pred_simcc", "features", "input_list")
TARGETS = ("target", "targets", "gt_hm", "gt_simcc", "pred_t", "target_list")
WEIGHTS = ("target_weights", "target_weight", "keypoint_weights", "weight")
GIVEN = {"mask": "mask", "areas": "areas", "bboxes": "boxes", "avg_factor": "count"}


@pytest.fixture(scope="module")
def cases(golden, backend):
    """The cases of a file, each with its arrays.

    Under JAX, which compiles every step for every shape, the first case of each kind, on any of
    the two or three inputs that the others repeat it with.
    """

    def cases(name):
        path = golden / "losses" / name
        arrays = np.load(path.with_suffix(".npz"))
        kinds = set()
        for case in json.loads(path.with_suffix(".json").read_text("utf-8"))["cases"]:
            kind = case["case"].partition("_")[2]
            known = backend == "jax" and kind in kinds
            kinds.add(kind)
            if case.get("cls") not in LEFT_OUT_CLASSES and not known:
                yield case, arrays

    return cases


def _array(arrays, value):
    """An array in our layout, maps channels last; plain numbers as they are."""
    if not isinstance(value, str):
        return value
    poses = value.startswith(POSES)
    value = arrays[value].astype("f4")
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 and not poses else value


def _loss(case, arrays):
    settings = dict(case["args"])
    # Which the reference reads from a file.
    sigmas = settings.pop("sigmas", None)
    loss = keras.saving.deserialize_keras_object(
        translate_part({"type": case["cls"], **settings}, "loss")
    )
    for name, value in {"sigmas": sigmas, "beta": case["in"].get("beta")}.items():
        if value is not None:
            setattr(loss, name, value)
    if "params" in case:
        prefix = case["params"] + "."
        stored = {k.removeprefix(prefix): arrays[k] for k in arrays.files if k.startswith(prefix)}
        load_state_dict(loss, stored)
    return loss


def _named(inputs, names):
    """The input of one of these names; lists are stored by number."""
    for name in names:
        if name in inputs:
            return inputs[name]
        items = [inputs[key] for key in sorted(inputs) if key.rpartition(".")[0] == name]
        if items:
            return items
    return None


def _problems(case, arrays, value_and_gradients):
    """What of a case differs from the reference, as text."""
    loss = _loss(case, arrays)
    tensors = keras.tree.map_structure(ops.convert_to_tensor, _inputs(case, arrays))
    target, weights = _named(tensors, TARGETS), _named(tensors, WEIGHTS)
    extra = {**tensors, **case.get("call", {})}
    given = {ours: extra[theirs] for theirs, ours in GIVEN.items() if theirs in extra}
    learnt = [*OUTPUTS, "sigma", "preds_S"]
    predicted = {k: v for k, v in _inputs(case, arrays).items() if k.partition(".")[0] in learnt}

    def compare(value, name, prefix):
        actual = ops.convert_to_numpy(value(_tensors(predicted)))
        yield from _differences(name, actual, _array(arrays, case["out"][name]))
        _, gradients = value_and_gradients(
            lambda outputs: ops.sum(value(outputs)), predicted, compiled=False
        )
        for name, gradient in gradients.items():
            stored = case["out"].get(prefix + name)
            expected = np.zeros_like(gradient) if stored is None else _array(arrays, stored)
            yield from _differences(prefix + name, gradient, expected)

    def value(outputs):
        if case["cls"] == "FeaLoss":
            return loss.value(outputs["preds_S"], tensors["preds_T"])
        sigma = [outputs["sigma"]] if "sigma" in outputs else []
        return loss.value(_named(outputs, OUTPUTS), *sigma, target, weights, **given)

    if "value.0" not in case["out"]:
        yield from compare(value, "value", "grad.")
    for i in range(2 if "value.0" in case["out"] else 0):
        yield from compare(lambda outputs, i=i: value(outputs)[i], f"value.{i}", f"grad_{i}.")


def _tensors(arrays):
    return {name: ops.convert_to_tensor(array) for name, array in arrays.items()}


def _inputs(case, arrays):
    return {name: _array(arrays, value) for name, value in case["in"].items()}


def _differences(name, actual, expected):
    expected = np.asarray(expected, "f4")
    assert np.shape(actual) == expected.shape, name
    tolerance = 1e-6 + 1e-5 * np.abs(expected).max()
    worst = np.abs(actual - expected).max()
    if not worst <= tolerance:
        yield f"{name} differs by {worst:.2e}, more than {tolerance:.2e}"


@pytest.mark.parity
def test_every_file_is_in_a_list(golden):
    found = {path.stem for path in (golden / "losses").glob("*.npz")}
    assert found == {*FILES, *SEVERAL_VALUES, *LEFT_OUT}


@pytest.mark.parity
@pytest.mark.parametrize("name", FILES)
def test_values_and_gradients_equal_the_reference(cases, value_and_gradients, name):
    problems = [
        f"{case['case']}: {problem}"
        for case, arrays in cases(name)
        if case["case"] != "flow_log_prob"
        for problem in _problems(case, arrays, value_and_gradients)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parity
@pytest.mark.parametrize("term", ["proj_loss", "bone_loss"])
def test_poses_without_labels_are_judged_as_in_the_reference(cases, value_and_gradients, term):
    for case, arrays in cases("semi_supervision_loss"):
        loss = _loss(case, arrays)
        stored = {name.partition(".")[2]: value for name, value in _inputs(case, arrays).items()}
        targets = {"keypoints": "unlabeled_target_2d", "intrinsics": "intrinsics"}
        targets = {ours: ops.convert_to_tensor(stored[name]) for ours, name in targets.items()}
        names = {"labeled_pose": "labeled_pose", "unlabeled_pose": "unlabeled_pose"}
        names["trajectory"] = "unlabeled_traj"
        outputs = {ours: stored[theirs] for ours, theirs in names.items()}
        value, gradients = value_and_gradients(
            lambda outputs, loss=loss, targets=targets: loss(targets, outputs)[term], outputs
        )
        problems = list(_differences(term, value, case["out"][f"value.{term}"]))
        for ours, theirs in names.items():
            expected = _array(arrays, case["out"][f"grad_{term}.output.{theirs}"])
            problems += _differences(f"{term} {ours}", gradients[ours], expected)
        assert not problems, (case["case"], problems)


@pytest.mark.parity
@pytest.mark.parametrize("term", [0, 1])
def test_tags_are_judged_as_in_the_reference(cases, value_and_gradients, term):
    for case, arrays in cases("associative_embedding_loss"):
        loss, inputs = _loss(case, arrays), _inputs(case, arrays)
        tags, keypoints = inputs.pop("tags"), list(inputs.values())
        # Of images with fewer people than others the rest is empty.
        padded = np.zeros((len(keypoints), max(map(len, keypoints)), *keypoints[0].shape[1:]), "f4")
        for image, each in enumerate(keypoints):
            padded[image, : len(each)] = each
        indices, weights = map(ops.convert_to_tensor, np.moveaxis(padded, -1, 0).copy())
        given = {"indices": indices, "weights": weights}
        value, gradients = value_and_gradients(
            lambda outputs, loss=loss, given=given: loss.value(outputs["tags"], **given)[term],
            {"tags": tags.copy()},
        )
        problems = list(_differences("value", value, case["out"][f"value.{term}"]))
        expected = _array(arrays, case["out"][f"grad_{term}.tags"])
        problems += _differences("gradient", gradients["tags"], expected)
        assert not problems, (case["case"], problems)


@pytest.fixture(scope="module")
def flow(golden):
    """A flow with the reference's weights."""
    arrays = np.load(golden / "losses/rle_loss.npz")
    prefix = "param.flow_model."
    stored = {k.removeprefix(prefix): arrays[k] for k in arrays.files if k.startswith(prefix)}
    loss = RLELoss()
    load_state_dict(loss.flow_model, stored)
    return loss, arrays


@pytest.mark.parity
def test_the_flows_density_equals_the_reference(flow):
    loss, arrays = flow
    points = ops.convert_to_tensor(arrays["flow_log_prob.in.x"].astype("f4"))
    actual = ops.convert_to_numpy(loss.flow_model(points))
    problems = list(_differences("log_prob", actual, arrays["flow_log_prob.out.log_prob"]))
    assert not problems, problems


@pytest.mark.parity
def test_the_flow_is_trained_as_in_the_reference(flow, gradients_of):
    loss, arrays = flow
    case = "s171_laplace_res1_utw1_avg1"
    inputs = [f"{case}.in.{name}" for name in ("pred", "sigma", "target", "target_weight")]
    tensors = [ops.convert_to_tensor(arrays[name].astype("f4")) for name in inputs]
    gradients = gradients_of(loss, lambda: loss.value(*tensors))
    for name in ("s.0.0.weight", "s.3.2.bias", "t.5.4.bias"):
        expected = arrays[f"{case}.out.grad.param.flow_model.{name}"]
        actual = gradients[f"flow_model.{name}"]
        tolerance = 1e-6 + 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)
