"""Top-down models."""

import json
from collections.abc import Iterator

import numpy as np
from keras import ops

import keras_pose
from keras_pose.layers.naming import named_variables, state_dict
from reference.case import Difference, channels_first, tensors
from reference.images import ImageCase, Stages

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


class TopdownCase(ImageCase):
    """A model that reads crops."""

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
        yield from self.features(plain)
        yield from self._head(plain["head"], "head", self.limit)
        outputs = tensors(plain["head"])
        # With the reference's pairs, of which those of one skeleton are no permutation.
        flips = np.array(self.entry["flip_indices"], "int32")
        flipped = estimator.head.codec.flip(tensors(mirrored), flips)
        merged = {name: (outputs[name] + flipped[name]) / 2 for name in outputs}
        if "flip_heatmaps" in self.arrays:
            maps = channels_first(ops.convert_to_numpy(merged["heatmaps"]))
            yield self.compare("flip_heatmaps", maps, self.limit("flip_heatmaps"))
        yield from self._keypoints(estimator, outputs, "")
        yield from self._keypoints(estimator, merged, "flip_")
        head = estimator.head
        targets = head.codec.encode(tensors(self._labels()))
        yield from self._targets(targets)
        terms = head.compare(targets, outputs)
        yield from self.loss(terms, self.entry["loss"], "loss", 1e-4)
        if self.entry.get("gradients"):
            limit = GRADIENT_LIMITS.get(self.entry["config"], 1e-3)
            keys = self.entry["gradients"]
            yield from self.gradients(estimator, self.images, targets, keys, limit)
        if self.entry.get("train_mode"):
            yield from self._training(estimator, targets)

    def _head(self, outputs, prefix, limit):
        values = list(_reference_outputs(outputs))
        names = [f"{prefix}.{i}" for i in range(len(values))]
        names = [prefix] if prefix in self.entry["arrays"] else names
        for name, value in zip(names, values, strict=True):
            yield self.compare(name, channels_first(value), limit(name))

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

    def _targets(self, targets):
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

    def _training(self, estimator, targets):
        """One forward pass with batch statistics, and what it leaves in the running ones."""
        for layer in estimator._flatten_layers():
            # Dropout and drop path are off in the reference values.
            if getattr(layer, "rate", 0):
                layer.rate = 0.0
        before = state_dict(estimator)
        outputs = Stages(estimator).train_pass(self.images)["head"]
        arrays = {key: ops.convert_to_numpy(value) for key, value in outputs.items()}
        yield from self._head(arrays, "train.head", lambda _: 2e-3)
        expected = self.entry["train_mode"]
        terms = estimator.head.compare(targets, outputs)
        yield from self.loss(terms, expected["loss"], "train.loss", 1e-5)
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
            yield self.compare(f"train.{key}", value, 1e-5)


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
