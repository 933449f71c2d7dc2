"""Models that see poses in space in single images."""

from collections.abc import Iterator

import numpy as np
from keras import ops

import keras_pose
from keras_pose.geometry import Camera
from reference.case import Difference, tensors
from reference.images import ImageCase, Stages

# The camera of RTMW3D's reference: for photos of 1000 rows and 900 columns it takes half of the
# rows for the middle of x and half of the columns for that of y.
_CAMERA = Camera((1145.04940459, 1143.78109572), (500.0, 450.0))
_ROOT_DEPTH = 5.14388


class SpatialCase(ImageCase):
    """A model that reads crops and puts out x, y and a depth."""

    skeleton: str

    def estimator(self) -> keras_pose.TopdownEstimator:
        """The model with the reference's weights."""
        return keras_pose.from_mmpose(self.entry["model"], self.state, self.skeleton)

    def differences(self, estimator) -> Iterator[Difference]:
        stages = Stages(estimator)
        plain = stages.predict_on_batch(self.images)
        yield from self.features(plain)
        yield from self._head(plain["head"])
        outputs = tensors(plain["head"])
        yield from self._poses(estimator.head.codec, outputs)
        if "flip_pred.0.keypoints" in self.arrays:
            mirrored = stages.predict_on_batch(self.images[:, :, ::-1])["head"]
            yield from self._flip_test(estimator, outputs, tensors(mirrored))
        targets = estimator.head.codec.encode(tensors(self._labels()))
        yield from self._targets({k: ops.convert_to_numpy(v) for k, v in targets.items()})
        terms = estimator.head.compare(targets, outputs)
        yield from self.loss(terms, self.entry["loss"], "loss", 1e-5)
        if self.entry.get("gradients"):
            keys = self.entry["gradients"]
            yield from self.gradients(estimator, self.images, targets, keys, 1e-3)

    def stored(self, name) -> np.ndarray:
        """An array of each sample; "{}" in the name is the sample."""
        return np.stack([self.arrays[name.format(b)] for b in range(self.entry["batch"])])

    def each(self, name, values, tolerance, unit) -> Iterator[Difference]:
        """An array of each sample, which may be stored in part, by the largest difference."""
        names = [name.format(b) for b in range(self.entry["batch"])]
        worst = [
            self.goldens.compare(self.arrays, key, value)["max_abs"]
            for key, value in zip(names, values, strict=True)
        ]
        yield Difference(name.replace("encode.{}", "target"), max(worst), tolerance, unit)

    def in_image(self, points: np.ndarray) -> np.ndarray:
        """x, y in image pixels of keypoints `(B, 1, K, 3)`, and their depth."""
        center, scale = (self.stored(f"input_{n}.{{}}")[:, None, None] for n in ("center", "scale"))
        flat = points[..., :2] / np.float32(self.entry["input_size"]) * scale + center - scale / 2
        return np.concatenate([flat, points[..., 2:]], axis=-1)


class RTMW3DCase(SpatialCase):
    """RTMW3D: bins of three axes."""

    skeleton = "coco_wholebody"

    def _head(self, outputs):
        for i, axis in enumerate("xyz"):
            yield self.compare(f"head.{i}", outputs[axis], self.limit(f"head.{i}"))

    def _poses(self, codec, outputs):
        decoded = {k: ops.convert_to_numpy(v) for k, v in codec.decode(outputs).items()}
        stable, points = ~self.arrays["unstable"][:, None], decoded["keypoints"]
        found = {
            "pred_2d.{}.keypoints": self.in_image(points)[..., :2],
            "pred_3d.{}.transformed_keypoints": self.in_image(points)[..., :2],
            "pred_vis.{}.keypoints": np.concatenate(
                [points[..., :2], (points[..., 2:] / codec.depth_range + 1) * codec.depth_size / 2],
                axis=-1,
            ),
            "pred_3d.{}.keypoints": _CAMERA.unproject(
                self.in_image(points)[..., :2], points[..., 2] + _ROOT_DEPTH
            ),
        }
        for name, value in found.items():
            expected = self.stored(name)
            unit = "m" if name == "pred_3d.{}.keypoints" else "px"
            worst = np.abs(value - expected)[stable].max()
            limit = 2e-5 if unit == "m" else 1e-3
            yield Difference(f"keypoints {name.replace('.{}', '')}", worst, limit, unit)
        worst = np.abs(decoded["scores"] - self.stored("pred_3d.{}.keypoint_scores")).max()
        yield Difference("scores", worst, 1e-3, "")

    def _labels(self):
        depths = self.stored("target.{}.keypoints_3d")[..., 2:]
        return {
            "keypoints": np.concatenate([self.stored("target.{}.keypoints"), depths], axis=-1),
            "visible": self.stored("target.{}.keypoints_visible"),
        }

    def _targets(self, targets):
        for axis in "xyz":
            name = f"encode.{{}}.keypoint_{axis}_labels"
            yield from self.each(name, targets[axis][:, None], 2e-6, "")
        names = {"weights": "keypoint_weights", "z_weights": "weight_z", "root_depth": "root_z"}
        for ours, theirs in names.items():
            expected = self.stored(f"encode.{{}}.{theirs}")
            worst = np.abs(targets[ours].reshape(expected.shape) - expected).max()
            yield Difference(f"target.{theirs}", worst, 1e-6, "")


class InterNetCase(SpatialCase):
    """InterNet: volumes of two hands."""

    skeleton = "interhand3d"

    def _head(self, outputs):
        volumes = outputs["heatmaps"].transpose(0, 3, 4, 1, 2)
        for i, value in enumerate((volumes, outputs["root"], outputs["hand_type"])):
            yield self.compare(f"head.{i}", value, self.limit(f"head.{i}"))

    def _poses(self, codec, outputs, prefix=""):
        decoded = {k: ops.convert_to_numpy(v) for k, v in codec.decode(outputs).items()}
        points = decoded["keypoints"]
        found = {
            "keypoints_net": (points, 1e-3, "px, mm"),
            "keypoints": (self.in_image(points), 1e-3, "px, mm"),
            # The reference's scores are the maxima themselves.
            "keypoint_scores": (decoded["scores"] * codec.peak, 1e-5 * codec.peak, ""),
        }
        if not prefix:
            found["rel_root_depth"] = (decoded["root_depth"], 2e-3, "mm")
            found["hand_type"] = (decoded["hand_type"], 0.0, "")
        for name, (value, limit, unit) in found.items():
            expected = self.stored(f"{prefix}pred.{{}}.{name}")
            worst = np.abs(value.reshape(expected.shape) - expected).max()
            name = name if name.startswith("keypoints") else f"scores {name}"
            yield Difference(f"{prefix}{name}", worst, limit, unit)

    def _flip_test(self, estimator, outputs, mirrored):
        codec = estimator.head.codec
        flipped = codec.flip(mirrored, np.array(self.entry["flip_indices"], "int32"))
        yield from self._poses(codec, codec.merge(outputs, flipped), "flip_")
        # The reference's slips: it takes the mirrored depth from the other one without regard to
        # where the middle of the bins lies, and mirrors the plain hand type.
        plain_type = outputs["hand_type"]
        slips = {
            **outputs,
            "root": (outputs["root"] - mirrored["root"]) / 2,
            "hand_type": (plain_type + ops.flip(plain_type, axis=-1)) / 2,
        }
        decoded = codec.decode(slips)
        for ours, theirs, limit in (
            ("root_depth", "rel_root_depth", 2e-3),
            ("hand_type", "hand_type", 0.0),
        ):
            expected = self.stored(f"flip_pred.{{}}.{theirs}")
            value = ops.convert_to_numpy(decoded[ours]).reshape(expected.shape)
            yield Difference(f"flip_scores {theirs}", np.abs(value - expected).max(), limit, "")

    def _labels(self):
        return {
            "keypoints": self.stored("target.{}.keypoints"),
            "visible": self.stored("target.{}.keypoints_visible"),
            "hand_type": self.stored("target.{}.hand_type"),
            "hand_type_valid": self.stored("target.{}.hand_type_valid"),
            "root_depth": self.stored("target.{}.rel_root_depth").astype("f4"),
        }

    def _targets(self, targets):
        volumes = targets["heatmaps"].transpose(0, 3, 4, 1, 2)
        volumes = volumes.reshape(len(volumes), -1, *volumes.shape[3:])
        yield from self.each("encode.{}.heatmaps", volumes, 2e-6 * 255, "")
        names = {
            "weights": "keypoint_weights",
            "root": "root_depth",
            "root_weights": "root_depth_weight",
            "hand_type": "type",
            "hand_type_weights": "type_weight",
        }
        for ours, theirs in names.items():
            expected = self.stored(f"encode.{{}}.{theirs}")
            worst = np.abs(targets[ours].reshape(expected.shape) - expected).max()
            yield Difference(f"target.{theirs}", worst, 1e-5, "")
