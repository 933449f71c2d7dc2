"""Published lifters against the reference's arrays.

The small ones always; all of them where `KERAS_POSE_ALL_LIFTERS` is set.
"""

import gzip
import importlib.util
import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.losses import MPJPELoss

GOLDEN = Path(__file__).resolve().parents[3] / "shared/golden"
# Parameters of the networks that are compared in every run of the tests.
SMALL = 9e6


def _entries():
    index = GOLDEN / "models_3d/index.json"
    if not index.is_file():
        skip = pytest.mark.skip(reason="golden/models_3d is not beside this checkout")
        return [pytest.param(None, id="models_3d", marks=skip)]
    entries = json.loads(index.read_text("utf-8"))["models"]
    rows = []
    for entry in entries:
        if entry["model"]["type"] != "PoseLifter":
            continue
        marks = [pytest.mark.parity]
        if entry["params"] > SMALL and not os.environ.get("KERAS_POSE_ALL_LIFTERS"):
            marks.append(pytest.mark.skip(reason="large; set KERAS_POSE_ALL_LIFTERS to compare it"))
        rows.append(pytest.param(entry, id=f"models_3d/{entry['config']}", marks=marks))
    return rows


class Case:
    """One model of the reference with its weights and arrays."""

    def __init__(self, entry, goldens):
        self.entry, self.goldens = entry, goldens
        sys.path.insert(0, str(GOLDEN))
        try:
            spec = importlib.util.spec_from_file_location("extra", GOLDEN / "weights_extra.py")
            weights = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(weights)
        finally:
            sys.path.remove(str(GOLDEN))
        folder = GOLDEN / "models_3d"
        with gzip.open(folder / entry["keys"]) as file:
            keys = json.load(file)
        self.state = weights.golden_state(keys, entry["salt"], None, entry["adjust"])
        self.arrays = np.load(folder / entry["file"])
        points = np.stack([self.arrays[f"keypoints_2d.{b}"] for b in range(2)])
        shown = np.ones((*points.shape[:3], 1), "f4")
        shown[:, 0, 3] = 0
        self.inputs = np.concatenate([points, shown], -1).astype("f4")
        self.lifter = self.made(entry.get("val_codec"))

    def made(self, codec):
        return keras_pose.from_mmpose(self.entry["model"], self.state, "h36m", codec)

    def check(self, name, value):
        found = self.goldens.compare(self.arrays, name, value)["relative"]
        limit = max(1e-4, 20 * self.entry["f32_err"].get(name.partition(".")[0], 0))
        assert found <= limit, (name, found, limit)

    def labels(self):
        camera = self.entry["camera_param"]
        target = np.stack([self.arrays[f"lifting_target.{b}"] for b in range(2)])
        visible = np.ones(target.shape[:3], "f4")
        visible[:, 0, 5] = 0
        rows = {"focal": camera["f"], "center": camera["c"]}
        rows["image_size"] = [camera["w"], camera["h"]]
        return {
            "keypoints_3d": target.astype("f4"),
            "visible_3d": visible,
            **{name: np.float32([np.ravel(v)] * 2) for name, v in rows.items()},
        }


@pytest.fixture(scope="module", params=_entries())
def case(request, goldens):
    keras.backend.clear_session()
    return Case(request.param, goldens)


@pytest.fixture(scope="module")
def outputs(case):
    """Everything between keypoints and raw outputs, as one program."""

    class Stages(keras.Model):
        def call(self, keypoints):
            x = lifter.preprocess(keypoints)
            found = {"inputs": x, "backbone": lifter.backbone(x, training=False)}
            if lifter.traj_backbone is not None:
                found["traj_backbone"] = lifter.traj_backbone(x, training=False)
            return {**found, "head": lifter(keypoints, training=False)}

    lifter = case.lifter
    stages = Stages()
    stages.__dict__["held"] = lifter
    stages.built = True
    if keras.backend.backend() != "jax":
        return keras.tree.map_structure(
            ops.convert_to_numpy, stages(ops.convert_to_tensor(case.inputs))
        )
    import jax

    return keras.tree.map_structure(np.asarray, jax.jit(stages.call)(case.inputs))


def _channels_first(value):
    return value.transpose(0, 2, 1) if value.ndim == 3 else value


def test_parameters_are_as_many_as_published(case):
    count = sum(int(np.prod(v.shape)) for v in case.lifter.trainable_variables)
    assert count == case.entry["params"]


def test_features_and_raw_outputs(case, outputs):
    inputs = outputs["inputs"]
    if inputs.shape[-1] == 2:
        inputs = _channels_first(inputs.reshape(*inputs.shape[:2], -1))
    np.testing.assert_allclose(inputs, case.arrays["inputs"], rtol=0, atol=1e-6)
    for name in ("backbone", "traj_backbone"):
        for i, value in enumerate(outputs.get(name, ())):
            stored = f"{name}.{i}" if value.ndim == 3 else name
            case.check(stored, _channels_first(value))
    raw = outputs["head"]
    shape = tuple(case.entry["arrays"]["head"])
    case.check("head", raw["coordinates"].reshape(shape))
    if "trajectory" in raw:
        case.check("traj_head", raw["trajectory"][:, 0])


def _targets(case):
    labels = keras.tree.map_structure(ops.convert_to_tensor, case.labels())
    return case.lifter.head.codec.encode(labels)


def test_targets(case):
    targets = keras.tree.map_structure(ops.convert_to_numpy, _targets(case))
    for b in range(2):
        for ours, theirs in (("coordinates", "label"), ("weights", "weight")):
            expected = case.arrays[f"encode.{b}.lifting_target_{theirs}"]
            np.testing.assert_allclose(targets[ours][b], expected, rtol=0, atol=5e-6)
        for ours in {"target_root", "factor"} & targets.keys():
            expected = case.arrays[f"encode.{b}.{ours}"]
            value = targets[ours][b].reshape(expected.shape)
            np.testing.assert_allclose(value, expected, rtol=0, atol=5e-6)


def test_decoded_poses(case, outputs):
    """In metres; with the flip test as well where the reference can do it."""
    lifter = case.lifter
    codec, targets = lifter.head.codec, _targets(case)
    known = {
        name: targets[name] for name in ("target_root", "factor", "image_size") if name in targets
    }
    raw = keras.tree.map_structure(ops.convert_to_tensor, outputs["head"])
    results = {"pred": raw}
    if "flip_pred.0.keypoints" in case.arrays:
        mirrored = lifter(lifter.mirrored(ops.convert_to_tensor(case.inputs)), training=False)
        mirrored = codec.flip(mirrored, lifter.skeleton.flip_indices)
        results["flip_pred"] = {name: (raw[name] + mirrored[name]) / 2 for name in raw}
    for name, found in results.items():
        decoded = ops.convert_to_numpy(codec.decode({**found, **known})["keypoints"])
        for b in range(2):
            expected = case.arrays[f"{name}.{b}.keypoints"].reshape(decoded[b].shape)
            np.testing.assert_allclose(decoded[b], expected, rtol=0, atol=2e-5)


def test_losses(case, outputs):
    targets = _targets(case)
    raw = keras.tree.map_structure(ops.convert_to_tensor, outputs["head"])
    terms = case.lifter._compare(targets, raw)
    expected = {k: v for k, v in case.entry["loss"].items() if k.startswith("loss")}
    assert set(terms) == set(expected)
    value = float(ops.convert_to_numpy(terms["loss_pose3d"]))
    assert value == pytest.approx(expected["loss_pose3d"], rel=1e-5)
    if "loss_traj" in terms:
        # The reference compares the root's trajectory with all keypoints of the pose; here it is
        # compared with the root, as in the paper.
        slip = MPJPELoss().value(raw["trajectory"], targets["coordinates"], targets["weights"])
        assert float(ops.convert_to_numpy(slip)) == pytest.approx(expected["loss_traj"], rel=1e-5)


def test_gradients(case, parity):
    """Of the poses' loss with the targets of training; see `test_losses` for trajectories."""
    keys = [key for key in case.entry.get("gradients", ()) if not key.startswith("traj_")]
    if not keys:
        pytest.skip("no gradients are stored for this model")
    lifter = case.lifter
    if case.entry["gradient_targets"] == "train_codec":
        lifter = case.made(case.entry["train_codec"])
    labels = keras.tree.map_structure(ops.convert_to_tensor, case.labels())
    names = parity.state_dict_names(lifter)
    variables = [names[key][0] for key in keys]
    found = parity.gradients_of(lifter, case.inputs, labels, variables)
    for key, gradient in zip(keys, found, strict=True):
        axes = names[key][1]
        gradient = gradient.transpose(axes) if axes else gradient
        relative = case.goldens.compare(case.arrays, f"grad.{key}", gradient)["relative"]
        assert relative <= 1e-3, (key, relative)
