"""Compares models with the reference values of golden/models, array by array.

    python tools/parity.py [CONFIG ...] [--only backbone] [--record FILE] [--below M]

Prints one row per array with the difference and what it may be; the exit code is 1 if one is too
large or a model could not be built. `KERAS_BACKEND` chooses the backend. `--record` keeps the
results in a file from which `tools/coverage.py` makes the coverage table, and a model that is in
the file already is not run again, so that a long run can be resumed.
"""

import argparse
import datetime
import gc
import gzip
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

import keras_pose
from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.layers.naming import (
    checkpoint_name,
    load_state_dict,
    named_variables,
    state_dict,
)

GOLDEN = Path(__file__).resolve().parent.parent.parent / "shared/golden"
# The reference's order of a head's outputs.
OUTPUTS = ("x", "y", "coordinates", "intermediate_heatmaps", "heatmaps", "offsets", "visibility")
# Targets as the reference calls them.
TARGETS = {
    "heatmaps": "heatmaps",
    "x": "keypoint_x_labels",
    "y": "keypoint_y_labels",
    "coordinates": "keypoint_labels",
    "offsets": "displacements",
}
# Gradients agree to 1e-3 of their deviation. With ReLUs and these weights many activations lie so
# near to a kink that float32 cannot tell its sides apart: plain PyTorch networks of the same layers
# miss the stored gradients of these models in float32 by 1.3e-2, 1.1e-1 and 2.1e-3, and in float64
# by 3e-7. Noise in the last digit of the pixels takes the gradients of the RLE model from 2e-4 to
# 1e-3 in one of five draws. Those of RSN miss by 1e-6 under JAX without XLA's optimisations, which
# only round otherwise, and by 1.5e-3 with them.
GRADIENT_LIMITS = {
    "td-hm_mobilenetv2_8xb64-210e_coco-256x192": 4e-2,
    "simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192": 2e-1,
    "ipr_res50_8xb64-210e_coco-256x256": 8e-3,
    "td-reg_res50_rle-8xb64-210e_coco-256x192": 4e-3,
    "td-hm_rsn18_8xb32-210e_coco-256x192": 4e-3,
}


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
        self.golden = golden
        self.entry = next(entry for entry in entries(golden) if entry["config"] == config)
        with gzip.open(golden / "models" / self.entry["keys"]) as file:
            self.state = weights.golden_state(json.load(file), self.entry["salt"])
        self.arrays = np.load(golden / "models" / self.entry["file"])
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
        codec = self.entry["codec"]
        udp = isinstance(codec, dict) and codec.get("type") == "UDPHeatmap"
        return keras_pose.from_mmpose(
            self.entry["model"], self.state, skeleton, codec=codec, udp=udp
        )

    def differences(self, estimator) -> Iterator[Difference]:
        """Every check of one model; the last ones train it for a step."""
        stages = Stages(estimator)
        plain = stages.predict_on_batch(self.images)
        mirrored = stages.predict_on_batch(self.images[:, :, ::-1])["head"]
        yield from self._inference(plain)
        outputs = _tensors(plain["head"])
        # With the reference's pairs, of which those of one skeleton are no permutation.
        flips = np.array(self.entry["flip_indices"], "int32")
        flipped = estimator.head.codec.flip(_tensors(mirrored), flips)
        merged = {name: (outputs[name] + flipped[name]) / 2 for name in outputs}
        if "flip_heatmaps" in self.arrays:
            maps = channels_first(ops.convert_to_numpy(merged["heatmaps"]))
            yield self._compare("flip_heatmaps", maps, self._limit("flip_heatmaps"))
        yield from self._keypoints(estimator, outputs, "")
        yield from self._keypoints(estimator, merged, "flip_")
        labels, expected = _tensors(self._labels()), self.entry["loss"]
        yield from self._targets(estimator)
        yield from self._loss(estimator, labels, outputs, expected, "loss", 1e-4)
        if self.entry.get("gradients"):
            yield from self._gradients(estimator)
        if self.entry.get("train_mode"):
            yield from self._training(estimator)

    def part(self, place: str) -> Iterator[Difference]:
        """The backbone's or the neck's outputs alone."""
        model = self.entry["model"]
        places = ["backbone"] if place == "backbone" else ["backbone", "neck"]
        configs = [translate_part(model[name], name) for name in places]
        parts = [keras.saving.deserialize_keras_object(each) for each in configs]
        network = Chain(parts)
        height, width = self.images.shape[1:3]
        network.build((None, height, width, 3))
        for name, layer in zip(places, parts, strict=True):
            prefix = f"{name}."
            state = {k[len(prefix) :]: v for k, v in self.state.items() if k.startswith(prefix)}
            load_state_dict(layer, state)
        pre = model["data_preprocessor"]
        pixels = self.images if pre["bgr_to_rgb"] else self.images[..., ::-1]
        x = (pixels.astype("f4") - np.float32(pre["mean"])) / np.float32(pre["std"])
        yield from self._maps(keras.Model.predict_on_batch(network, x)[-1], place)

    def _compare(self, name, actual, limit) -> Difference:
        if name in self.entry["stats_only"]:
            # Of some maps only mean, deviation, least and largest value are stored.
            actual = np.asarray(actual, np.float64)
            statistics = actual.mean(), actual.std(), actual.min(), actual.max()
            expected = self.arrays[f"{name}__stats"]
            worst = np.abs(np.array(statistics) - expected).max() / expected[1]
            return Difference(name, worst, limit, "std (statistics)")
        found = self.goldens.compare(self.arrays, name, actual)
        return Difference(name, found["relative"], limit, "std")

    def _limit(self, name) -> float:
        return max(1e-4, 20 * self.entry["f32_err"].get(name, 0.0))

    def _maps(self, values, name):
        """A nested list of maps, whose names join the positions in it."""
        if isinstance(values, list | tuple):
            for i, value in enumerate(values):
                yield from self._maps(value, f"{name}.{i}")
        else:
            yield self._compare(name, channels_first(values), self._limit(name))

    def _inference(self, plain):
        yield self._compare("inputs", channels_first(plain["inputs"]), 1e-6)
        yield from self._maps(plain["backbone"], "backbone")
        if "neck" in plain:
            yield from self._maps(plain["neck"], "neck")
        yield from self._head(plain["head"], "head", self._limit)

    def _head(self, outputs, prefix, limit):
        values = list(_reference_outputs(outputs))
        names = [f"{prefix}.{i}" for i in range(len(values))]
        names = [prefix] if prefix in self.entry["arrays"] else names
        for name, value in zip(names, values, strict=True):
            yield self._compare(name, channels_first(value), limit(name))

    def _keypoints(self, estimator, outputs, prefix):
        """What `estimator.predict` does after the network; tests of small models run it whole."""
        if f"{prefix}keypoints" not in self.arrays:
            return
        decoded = estimator.select_outputs(estimator.head.codec.decode(outputs))
        decoded = {name: ops.convert_to_numpy(value) for name, value in decoded.items()}
        size = np.float32(self.entry["input_size"])
        scale = self.arrays["input_scale"][:, None, None] / size
        corner = (self.arrays["input_center"] - self.arrays["input_scale"] / 2)[:, None, None]
        # The reference leaves the last step of decoding UDP crops to its map into the image.
        stretch = size / (size - 1) if estimator.udp else np.float32([1, 1])
        in_image = decoded["keypoints"] * stretch * scale + corner
        distance = np.abs(in_image - self.arrays[f"{prefix}keypoints"]) / scale
        compared = stable = ~self.arrays[f"{prefix}unstable"]
        if type(estimator.head.codec).__name__ in ("UDPHeatmap", "SKPSHeatmap"):
            # From a map without a positive value the reference takes a step of no meaning.
            compared = stable & (self.arrays[f"{prefix}scores"] > 0)
        yield Difference(f"{prefix}keypoints", distance[compared].max(), 0.05, "px")
        for name, key in ((f"{prefix}scores", "scores"), (f"{prefix}visibility", "visible")):
            if name in self.arrays:
                scores = np.abs(decoded[key] - self.arrays[name])
                yield Difference(name, scores[stable].max(), 1e-3, "")

    def _labels(self) -> dict:
        labels = {
            "keypoints": self.arrays["target.keypoints"][:, None],
            "visible": self.arrays["target.keypoints_visible"][:, None],
        }
        if self.entry["target"].get("use_dataset_keypoint_weights"):
            path = self.golden.parent / f"zoo/metainfo/{self.entry['dataset']}.json"
            weights = json.loads(path.read_text("utf-8"))["joint_weights"]
            labels["weights"] = np.float32(weights) * np.ones_like(labels["visible"])
        return labels

    def _targets(self, estimator):
        targets = estimator.head.codec.encode(_tensors(self._labels()))
        targets = {key: ops.convert_to_numpy(value) for key, value in targets.items()}
        for ours, theirs in TARGETS.items():
            name = f"target.{theirs}"
            if name not in self.arrays:
                continue
            value = targets[ours]
            if "intermediate_heatmaps" in targets and ours == "heatmaps":
                levels = [targets["intermediate_heatmaps"], value[:, None]]
                value = np.concatenate(levels, axis=1).transpose(0, 1, 4, 2, 3)
            shape = tuple(self.entry["arrays"][name])
            value = channels_first(value).reshape(shape)
            worst = self.goldens.compare(self.arrays, name, value)["max_abs"]
            largest = max(1.0, np.abs(self.arrays[name]).max())
            yield Difference(name, worst / largest, 2e-6, "of the largest")
        expected = self.arrays["target.keypoint_weights"]
        weights = targets["weights"]
        if "intermediate_weights" in targets:
            levels = [targets["intermediate_weights"], weights[:, None]]
            weights = np.concatenate(levels, axis=1)
        elif "intermediate_heatmaps" in targets:
            weights = weights[:, None]
        weights = weights.reshape(len(weights), -1, *expected.shape[2:])
        worst = np.abs(weights - expected).max()
        yield Difference("target.keypoint_weights", worst, 1e-7, "")

    def _loss(self, estimator, labels, outputs, expected, prefix, limit):
        terms = estimator.head.loss_module(estimator.head.codec.encode(labels), outputs)
        wanted = {name: value for name, value in expected.items() if not name.startswith("acc_")}
        if set(terms) != set(wanted):
            raise ValueError(f"the loss has the terms {sorted(terms)}, not {sorted(wanted)}")
        for name, value in terms.items():
            value = float(ops.convert_to_numpy(value))
            relative = abs(value - wanted[name]) / abs(wanted[name])
            yield Difference(f"{prefix}.{name}", relative, limit, "relative")

    def _gradients(self, estimator):
        labels = _tensors(self._labels())
        names = state_dict_names(estimator)
        variables = [names[key][0] for key in self.entry["gradients"]]
        gradients = gradients_of(estimator, self.images, labels, variables)
        for key, gradient in zip(self.entry["gradients"], gradients, strict=True):
            axes = names[key][1]
            gradient = gradient.transpose(axes) if axes else gradient
            limit = GRADIENT_LIMITS.get(self.entry["config"], 1e-3)
            yield self._compare(f"grad.{key}", gradient, limit)

    def _training(self, estimator):
        """One forward pass with batch statistics, and what it leaves in the running ones."""
        for layer in estimator._flatten_layers():
            # Dropout and drop path are off in the reference values.
            if getattr(layer, "rate", 0):
                layer.rate = 0.0
        before = state_dict(estimator)
        outputs = Stages(estimator).train_pass(self.images)["head"]
        arrays = {key: ops.convert_to_numpy(value) for key, value in outputs.items()}
        yield from self._head(arrays, "train.head", lambda _: 2e-3)
        labels, expected = _tensors(self._labels()), self.entry["train_mode"]
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


def _reference_outputs(outputs: dict) -> Iterator[np.ndarray]:
    """A head's outputs in the reference's order and form."""
    unknown = set(outputs) - {*OUTPUTS, "sigmas"}
    if unknown:
        raise ValueError(f"the head has an output {unknown.pop()!r} that is not known here")
    for name in OUTPUTS:
        if name not in outputs:
            continue
        value = np.asarray(outputs[name])
        if name == "intermediate_heatmaps":
            yield from value.transpose(1, 0, 2, 3, 4)
        elif name == "coordinates" and "sigmas" in outputs:
            sigmas = np.asarray(outputs["sigmas"], np.float64)
            yield np.concatenate([value, np.log(sigmas / (1 - sigmas))], axis=-1)
        else:
            yield value


def state_dict_names(model) -> dict:
    """{checkpoint name: (variable, axes from Keras' layout to the checkpoint's)}."""
    names = {}
    for path, (layer, variable) in named_variables(model).items():
        name, axes = checkpoint_name(path, layer)
        names[name] = (variable, axes)
    return names


def gradients_of(estimator, images, labels, variables) -> list[np.ndarray]:
    """Gradients of the sum of the loss terms with respect to variables, in evaluation mode."""
    targets = estimator.head.codec.encode(labels)

    def loss(outputs):
        outputs = {key: ops.cast(value, "float32") for key, value in outputs.items()}
        return sum(estimator.head.loss_module(targets, outputs).values())

    if keras.backend.backend() == "torch":
        estimator.zero_grad()
        loss(estimator(ops.convert_to_tensor(images), training=False)).backward()
        return [variable.value.grad.numpy() for variable in variables]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(estimator(ops.convert_to_tensor(images), training=False))
        return [g.numpy() for g in tape.gradient(value, [v.value for v in variables])]
    import jax

    trained = [variable.value for variable in estimator.trainable_variables]
    fixed = [variable.value for variable in estimator.non_trainable_variables]

    def run(trained, images):
        outputs, _ = estimator.stateless_call(trained, fixed, images, training=False)
        return loss(outputs)

    found = jax.jit(jax.grad(run))(trained, images)
    by_id = {id(v): g for v, g in zip(estimator.trainable_variables, found, strict=True)}
    return [np.asarray(by_id[id(variable)]) for variable in variables]


class Stages(keras.Model):
    """Everything on an estimator's way from pixels to raw outputs."""

    def __init__(self, estimator):
        super().__init__()
        self.estimator = estimator
        self.built = True

    def call(self, images, training=False):
        inputs = self.estimator.preprocess(images)
        features = self.estimator.backbone(inputs, training=training)
        values = {"inputs": inputs, "backbone": features}
        if self.estimator.neck is not None:
            values["neck"] = features = self.estimator.neck(features, training=training)
        return {**values, "head": self.estimator.head(features, training=training)}

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


class Chain(keras.Model):
    """Parts one after the other."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def build(self, input_shape):
        x = keras.KerasTensor(input_shape)
        for part in self.parts:
            x = part(x)
        self.built = True

    def call(self, x):
        values = []
        for part in self.parts:
            x = part(x, training=False)
            values.append(x)
        return values


def _tensors(arrays: dict) -> dict:
    return {key: ops.convert_to_tensor(value) for key, value in arrays.items()}


def channels_first(value) -> np.ndarray:
    """Maps `(B, h, w, C)` in the reference's layout; other arrays as they are."""
    value = np.asarray(value)
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


def entries(golden: Path) -> list[dict]:
    """What the reference values' index says about each model, small models first."""
    models = json.loads((golden / "models/index.json").read_text("utf-8"))["models"]
    return sorted(models, key=lambda entry: entry["params"])


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(golden: Path, config: str, only: str | None) -> tuple[list[Difference], str | None]:
    """The differences of one model, and what kept it from being compared further."""
    found: list[Difference] = []
    try:
        case = Case(golden, config)
        if only:
            found.extend(case.part(only))
        else:
            for difference in case.differences(case.estimator()):
                found.append(difference)
    except Exception as error:  # Whatever it is, it is this model's result, and others follow.
        return found, f"{type(error).__name__}: {error}"
    return found, None


class Record:
    """Results of earlier runs: {config: {backend: {...}}} in a JSON file."""

    def __init__(self, path: Path):
        self.path = path
        self.results = json.loads(path.read_text("utf-8")) if path.is_file() else {}

    def has(self, config: str) -> bool:
        result = self.results.get(config, {}).get(keras.backend.backend(), {})
        return bool(result) and result["error"] is None and not result["too_large"]

    def add(self, config, found: list[Difference], error, seconds) -> None:
        # Runs of other backends may have written meanwhile.
        if self.path.is_file():
            self.results = json.loads(self.path.read_text("utf-8"))
        self.results.setdefault(config, {})[keras.backend.backend()] = {
            "date": datetime.date.today().isoformat(),
            "seconds": round(seconds, 1),
            "error": error,
            "too_large": [difference.name for difference in found if not difference.small],
            "checks": {d.name: [float(f"{d.value:.2g}"), d.limit] for d in found},
        }
        self.path.write_text(json.dumps(self.results, indent=0, sort_keys=True) + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="default: all")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="folder of reference values")
    parser.add_argument("--only", choices=["backbone", "neck"], help="compare this part alone")
    parser.add_argument("--record", type=Path, metavar="FILE", help="JSON file of results")
    parser.add_argument("--below", type=float, metavar="M", help="parameters in millions")
    arguments = parser.parse_args()
    if not arguments.golden.is_dir():
        parser.error(f"there is no folder {arguments.golden}")
    record = Record(arguments.record) if arguments.record else None
    limit = (arguments.below or float("inf")) * 1e6
    configs = arguments.configs or [
        entry["config"] for entry in entries(arguments.golden) if entry["params"] < limit
    ]
    passed = True
    for config in configs:
        if record and record.has(config):
            continue
        print(f"{config} ({keras.backend.backend()})", flush=True)
        start = time.perf_counter()
        found, error = check(arguments.golden, config, arguments.only)
        for difference in found:
            mark = "ok" if difference.small else "TOO LARGE"
            numbers = f"{difference.value:9.2e} <= {difference.limit:7.1e}"
            print(f"  {difference.name:40} {numbers} {difference.unit:14} {mark}")
        if error:
            print(f"  NOT COMPARED {error}")
        passed &= error is None and all(difference.small for difference in found)
        if record:
            record.add(config, found, error, time.perf_counter() - start)
        release()
    return 0 if passed else 1


def release() -> None:
    """Frees the memory of the last model."""
    keras.backend.clear_session()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()


if __name__ == "__main__":
    sys.exit(main())
