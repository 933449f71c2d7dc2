"""Compares estimators with the reference values of golden/models, array by array.

    python tools/parity.py [CONFIG ...] [--golden ../shared/golden]

Prints one row per array with the difference and what it may be; the exit code is 1 if one is too
large. `KERAS_BACKEND` chooses the backend. The tests marked `parity` check the same numbers.
"""

import argparse
import gzip
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

import keras_pose
from keras_pose.layers.naming import named_variables, state_dict

GOLDEN = Path(__file__).resolve().parent.parent.parent / "shared/golden"
# Those that `from_mmpose` can build.
CONFIGS = (
    "td-hm_res50_8xb64-210e_coco-256x192",
    "td-hm_res101_8xb64-210e_coco-256x192",
    "td-hm_res101_8xb64-210e_crowdpose-320x256",
    "td-hm_res152_8xb32-210e_coco-256x192",
    "td-hm_res50-2deconv_8xb64-40e_jhmdb-sub1-256x256",
    "td-hm_res50_8xb64-100e_freihand2d-224x224",
    "td-hm_res50_8xb64-210e_locust-160x160",
    "td-hm_res50_8xb64-210e_mpii-256x256",
    "td-hm_mobilenetv2_8xb64-210e_coco-256x192",
)


@dataclass
class Difference:
    """How far one array is from the reference, in the unit that `unit` names."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def small(self) -> bool:
        return bool(self.value <= self.limit)


class Case:
    """One model of the reference values: its settings, weights, images and expected arrays."""

    def __init__(self, golden: Path, config: str):
        self.goldens = _module(golden / "goldens.py")
        weights = _module(golden / "weights.py")
        models = golden / "models"
        entries = json.loads((models / "index.json").read_text("utf-8"))["models"]
        self.entry = next(entry for entry in entries if entry["config"] == config)
        with gzip.open(models / self.entry["keys"]) as file:
            self.state = weights.golden_state(json.load(file), self.entry["salt"])
        self.arrays = np.load(models / self.entry["file"])
        width, height = self.entry["input_size"]
        images = weights.golden_images(self.entry["image_seed"], 2, height, width)
        # The reference reads BGR.
        self.images = np.ascontiguousarray(images[: self.entry["batch"], ..., ::-1])

    def estimator(self) -> keras_pose.TopdownEstimator:
        """The model with the reference's weights."""
        flips = self.entry["flip_indices"]
        skeleton = keras_pose.Skeleton(
            self.entry["dataset"],
            [f"keypoint{i}" for i in range(len(flips))],
            swaps=[(i, flip) for i, flip in enumerate(flips) if i < flip],
        )
        return keras_pose.from_mmpose(self.entry["model"], self.state, skeleton)

    def differences(self, estimator) -> Iterator[Difference]:
        """Every check of one model; the last ones train it for a step."""
        yield from self._inference(estimator)
        yield from self._keypoints(estimator)
        yield from self._targets(estimator)
        if self.entry.get("train_mode"):
            yield from self._training(estimator)

    def _compare(self, name, actual, limit) -> Difference:
        found = self.goldens.compare(self.arrays, name, actual)
        return Difference(name, found["relative"], limit, "std")

    def _limit(self, name) -> float:
        return max(1e-4, 20 * self.entry["f32_err"].get(name, 0.0))

    def _inference(self, estimator):
        stages = Stages(estimator)
        plain = stages.predict_on_batch(self.images)
        yield self._compare("inputs", channels_first(plain["inputs"]), 1e-6)
        for i, features in enumerate(plain["backbone"]):
            name = f"backbone.{i}"
            yield self._compare(name, channels_first(features), self._limit(name))
        yield from self._head(plain["head"], "head", self._limit)
        labels, outputs = _tensors(self._labels()), _tensors(plain["head"])
        yield from self._loss(estimator, labels, outputs, self.entry["loss"], "loss", 1e-4)
        if "flip_heatmaps" in self.arrays:
            mirrored = stages.predict_on_batch(self.images[:, :, ::-1])["head"]
            flipped = estimator.head.codec.flip(_tensors(mirrored), estimator.skeleton.flip_indices)
            merged = (outputs["heatmaps"] + flipped["heatmaps"]) / 2
            merged = channels_first(ops.convert_to_numpy(merged))
            yield self._compare("flip_heatmaps", merged, self._limit("flip_heatmaps"))

    def _head(self, outputs, prefix, limit):
        values = list(outputs.values())
        names = [prefix] if len(values) == 1 else [f"{prefix}.{i}" for i in range(len(values))]
        for name, value in zip(names, values, strict=True):
            yield self._compare(name, channels_first(value), limit(name))

    def _keypoints(self, estimator):
        size = np.float32(self.entry["input_size"])
        scale = self.arrays["input_scale"][:, None, None] / size
        corner = (self.arrays["input_center"] - self.arrays["input_scale"] / 2)[:, None, None]
        for prefix, flip_test in (("", False), ("flip_", True)):
            decoded = estimator.predict_on_batch(self.images, flip_test=flip_test)
            in_image = decoded["keypoints"] * scale + corner
            distance = np.abs(in_image - self.arrays[f"{prefix}keypoints"]) / scale
            stable = ~self.arrays[f"{prefix}unstable"]
            yield Difference(f"{prefix}keypoints", distance[stable].max(), 0.05, "px")
            name = f"{prefix}scores"
            scores = np.abs(decoded["scores"] - self.arrays[name])
            yield Difference(name, scores.max(), self._limit(name), "")

    def _labels(self) -> dict:
        return {
            "keypoints": self.arrays["target.keypoints"][:, None],
            "visible": self.arrays["target.keypoints_visible"][:, None],
        }

    def _targets(self, estimator):
        labels = _tensors(self._labels())
        targets = estimator.head.codec.encode(labels)
        heatmaps = channels_first(ops.convert_to_numpy(targets["heatmaps"]))
        worst = np.abs(heatmaps - self.arrays["target.heatmaps"]).max()
        yield Difference("target.heatmaps", worst, 2e-6, "")
        weights = ops.convert_to_numpy(targets["weights"])[:, None]
        worst = np.abs(weights - self.arrays["target.keypoint_weights"]).max()
        yield Difference("target.keypoint_weights", worst, 0.0, "")

    def _loss(self, estimator, labels, outputs, expected, prefix, limit):
        terms = estimator.head.loss_module(estimator.head.codec.encode(labels), outputs)
        for name, value in terms.items():
            value = float(ops.convert_to_numpy(value))
            relative = abs(value - expected[name]) / abs(expected[name])
            yield Difference(f"{prefix}.{name}", relative, limit, "relative")

    def _training(self, estimator):
        """One forward pass with batch statistics, and what it leaves in the running ones."""
        before = state_dict(estimator)
        outputs = Stages(estimator).train_pass(self.images)["head"]
        arrays = {key: ops.convert_to_numpy(value) for key, value in outputs.items()}
        yield from self._head(arrays, "train.head", lambda _: 2e-3)
        labels = _tensors(self._labels())
        expected = self.entry["train_mode"]
        yield from self._loss(estimator, labels, outputs, expected["loss"], "train.loss", 1e-5)
        after, owners = state_dict(estimator), named_variables(estimator)
        for key in expected["running"]:
            value = after[key]
            if key.endswith("running_var"):
                path = key.replace("running_var", "moving_variance")
                _, height, width, _ = owners[path][0].get_build_config()["input_shape"]
                count = len(self.images) * height * width
                # Keras keeps the biased variance, PyTorch the unbiased one.
                batch_part = value - 0.9 * before[key]
                value = 0.9 * before[key] + batch_part * count / (count - 1)
            yield self._compare(f"train.{key}", value, 1e-5)


class Stages(keras.Model):
    """Everything on an estimator's way from pixels to raw outputs."""

    def __init__(self, estimator):
        super().__init__()
        self.estimator = estimator
        self.built = True

    def call(self, images, training=False):
        inputs = self.estimator.preprocess(images)
        features = self.estimator.backbone(inputs, training=training)
        neck = self.estimator.neck
        fused = features if neck is None else neck(features, training=training)
        head = self.estimator.head(fused, training=training)
        return {"inputs": inputs, "backbone": features, "head": head}

    def train_pass(self, images):
        """Outputs with batch statistics; the running statistics are moved."""
        if keras.backend.backend() != "jax":
            return self(ops.convert_to_tensor(images), training=True)
        import jax

        # As one program: one operation at a time JAX compiles for each shape.
        trained = [v.value for v in self.trainable_variables]
        fixed = [v.value for v in self.non_trainable_variables]
        run = jax.jit(lambda *state: self.stateless_call(*state, training=True))
        outputs, fixed = run(trained, fixed, images)
        for variable, value in zip(self.non_trainable_variables, fixed, strict=True):
            variable.assign(value)
        return outputs


def _tensors(arrays: dict) -> dict:
    return {key: ops.convert_to_tensor(value) for key, value in arrays.items()}


def channels_first(value) -> np.ndarray:
    """Maps `(B, h, w, C)` in the reference's layout; other arrays as they are."""
    value = np.asarray(value)
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="default: all known here")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="folder of reference values")
    arguments = parser.parse_args()
    if not arguments.golden.is_dir():
        parser.error(f"there is no folder {arguments.golden}")
    passed = True
    for config in arguments.configs or CONFIGS:
        case = Case(arguments.golden, config)
        print(f"{config} ({keras.backend.backend()})")
        for found in case.differences(case.estimator()):
            passed &= found.small
            mark = "ok" if found.small else "TOO LARGE"
            row = (
                f"  {found.name:40} {found.value:9.2e} <= {found.limit:7.1e} {found.unit:8} {mark}"
            )
            print(row)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
