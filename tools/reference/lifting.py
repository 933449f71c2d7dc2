"""Models that lift 2D poses to 3D."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

import keras_pose
from keras_pose.losses import MPJPELoss
from reference.case import Case, Difference, tensors

# Targets and what is known besides the raw outputs when they are decoded, as the reference calls
# them.
TARGETS = {
    "coordinates": "lifting_target_label",
    "weights": "lifting_target_weight",
    "target_root": "target_root",
    "factor": "factor",
}


class LiftingCase(Case):
    """A lifter, with the poses of two people over some frames."""

    def __init__(self, golden: Path, folder: str, entry: dict):
        super().__init__(golden, folder, entry)
        shown = np.ones((*self._stored("keypoints_2d.{}").shape[:3], 1), "f4")
        shown[:, 0, 3] = 0
        self.inputs = np.concatenate([self._stored("keypoints_2d.{}"), shown], -1).astype("f4")

    def estimator(self) -> keras_pose.PoseLifter:
        return self._lifter(self.entry.get("val_codec"))

    def _lifter(self, codec):
        return keras_pose.from_mmpose(self.entry["model"], self.state, "h36m", codec)

    def _stored(self, name) -> np.ndarray:
        """An array of each of the two samples; "{}" in the name is the sample."""
        return np.stack([self.arrays[name.format(b)] for b in range(self.entry["batch"])])

    def differences(self, estimator) -> Iterator[Difference]:
        found = LiftingStages(estimator).predict_on_batch(self.inputs)
        yield from self._features(found)
        targets = estimator.head.codec.encode(tensors(self._labels()))
        yield from self._targets(targets)
        raw = tensors(found["head"])
        yield from self._poses(estimator, targets, raw)
        yield from self._losses(estimator, targets, raw)
        # Those of trajectories are of the reference's slip, see `_losses`.
        keys = [key for key in self.entry.get("gradients", ()) if not key.startswith("traj_")]
        if keys:
            if self.entry["gradient_targets"] == "train_codec":
                estimator = self._lifter(self.entry["train_codec"])
                targets = estimator.head.codec.encode(tensors(self._labels()))
            yield from self.gradients(estimator, self.inputs, targets, keys, 1e-3)

    def _features(self, found):
        inputs = found["inputs"]
        if inputs.shape[-1] == 2:
            inputs = _frames_last(inputs.reshape(*inputs.shape[:2], -1))
        worst = np.abs(inputs - self.arrays["inputs"]).max()
        yield Difference("inputs", worst, 1e-6, "")
        for name in ("backbone", "traj_backbone"):
            for i, value in enumerate(found.get(name, ())):
                stored = f"{name}.{i}" if value.ndim == 3 else name
                yield self.compare(stored, _frames_last(value), self.limit(stored))
        raw, shape = found["head"], tuple(self.entry["arrays"]["head"])
        yield self.compare("head", raw["coordinates"].reshape(shape), self.limit("head"))
        if "trajectory" in raw:
            trajectory = raw["trajectory"][:, 0]
            yield self.compare("traj_head", trajectory, self.limit("traj_head"))

    def _labels(self) -> dict:
        camera, points = self.entry["camera_param"], self._stored("lifting_target.{}")
        visible = np.ones(points.shape[:3], "f4")
        visible[:, 0, 5] = 0
        rows = {"focal": camera["f"], "center": camera["c"]}
        rows["image_size"] = [camera["w"], camera["h"]]
        return {
            "keypoints_3d": points.astype("f4"),
            "visible_3d": visible,
            **{name: np.float32([np.ravel(v)] * len(points)) for name, v in rows.items()},
        }

    def _targets(self, targets):
        for ours, theirs in TARGETS.items():
            if ours in targets:
                expected = self._stored(f"encode.{{}}.{theirs}")
                value = ops.convert_to_numpy(targets[ours]).reshape(expected.shape)
                worst = np.abs(value - expected).max()
                yield Difference(f"target.{theirs}", worst, 5e-6, "")

    def _poses(self, lifter, targets, raw):
        """In metres; with the flip test as well where the reference can do it."""
        codec = lifter.head.codec
        keys = ("target_root", "factor", "image_size")
        known = {name: targets[name] for name in keys if name in targets}
        results = {"": raw}
        if "flip_pred.0.keypoints" in self.arrays:
            mirrored = lifter.mirrored(ops.convert_to_tensor(self.inputs))
            mirrored = LiftingStages(lifter).predict_on_batch(ops.convert_to_numpy(mirrored))
            flipped = codec.flip(tensors(mirrored["head"]), lifter.skeleton.flip_indices)
            results["flip_"] = codec.merge(raw, flipped)
        for prefix, outputs in results.items():
            decoded = ops.convert_to_numpy(codec.decode({**outputs, **known})["keypoints"])
            expected = self._stored(f"{prefix}pred.{{}}.keypoints").reshape(decoded.shape)
            worst = np.abs(decoded - expected).max()
            yield Difference(f"{prefix}keypoints", worst, 2e-5, "m")

    def _losses(self, lifter, targets, raw):
        terms = lifter.head.compare(targets, raw)
        if "trajectory" in raw:
            # The reference compares the root's trajectory with all keypoints of the pose; here
            # training compares it with the root, as in the paper.
            slip = MPJPELoss().value(raw["trajectory"], targets["coordinates"], targets["weights"])
            terms = {**terms, "loss_traj": slip}
        yield from self.loss(terms, self.entry["loss"], "loss", 1e-5)


class LiftingStages(keras.Model):
    """Everything between keypoints and raw outputs."""

    def __init__(self, lifter):
        super().__init__()
        self.lifter = lifter
        self.built = True

    def call(self, keypoints):
        lifter = self.lifter
        x = lifter.preprocess(keypoints)
        found = {"inputs": x, "backbone": lifter.backbone(x, training=False)}
        if lifter.traj_backbone is not None:
            found["traj_backbone"] = lifter.traj_backbone(x, training=False)
        return {**found, "head": lifter(keypoints, training=False)}


def _frames_last(value):
    return value.transpose(0, 2, 1) if value.ndim == 3 else value
