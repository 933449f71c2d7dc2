"""Models that find all people of whole photos at once."""

import copy
import functools
import importlib
from collections.abc import Iterator
from unittest import mock

import keras
import numpy as np
from keras import ops

import keras_pose
from keras_pose.codecs.priors import decode_boxes, decode_offsets
from reference.case import Difference, channels_first, tensors
from reference.images import ImageCase, Stages

_SKELETONS = {14: "crowdpose", 17: "coco"}
# Gradients agree to 1e-3 of their deviation. RTMO's softmax over bins is so steep with these
# weights that float32 cannot: noise in the last digit of the first layer's weights (1e-7 of them)
# moves the error of this model's from 9e-4 to 3.6e-3, and noise of 1e-6 to 8e-3. The gradients of
# DEKR's grids jump where a tap crosses a pixel: of 290 000 taps one lies on a pixel in float32, and
# three within 1e-6 of one. Two of the 17 keypoints miss by up to 2.7e-2, the others by 2e-5.
_GRADIENT_LIMITS = {
    "rtmo-s_8xb32-600e_coco-640x640": 1e-2,
    "dekr_hrnet-w32_8xb10-140e_coco-512x512": 4e-2,
}


class BottomupCase(ImageCase):
    """A model with maps of all people, or of an answer of every cell."""

    # Raw outputs as the reference calls them.
    outputs: dict[str, str]

    def estimator(self) -> keras_pose.BottomupEstimator:
        """The model with the reference's weights."""
        skeleton = _SKELETONS[self.entry["num_keypoints"]]
        return keras_pose.from_mmpose(self.entry["model"], self.state, skeleton)

    def differences(self, estimator) -> Iterator[Difference]:
        """Every check of one model; the last ones may change its loss."""
        stages = Stages(estimator)
        plain = stages.predict_on_batch(self.images)
        yield from self.features(plain)
        yield from self.raw(plain["head"], "head")
        if self.has_people(""):
            yield from self.people(estimator, plain["head"], None, "")
        if self.has_people("flip_"):
            mirrored = stages.predict_on_batch(self.images[:, :, ::-1])["head"]
            yield from self.raw(mirrored, "head_of_flipped")
            yield from self.people(estimator, plain["head"], mirrored, "flip_")
        outputs = tensors(plain["head"])
        targets = self.targets(estimator, outputs)
        yield from self.losses(estimator, targets, outputs)
        if self.entry.get("gradients"):
            keys, limit = self.entry["gradients"], _GRADIENT_LIMITS.get(self.entry["config"], 1e-3)
            yield from self.gradients(estimator, self.images, targets, keys, limit)

    def raw(self, outputs: dict, prefix: str) -> Iterator[Difference]:
        """The head's outputs, as far as they are stored."""
        for ours, theirs in self.outputs.items():
            name = f"{prefix}.{theirs}"
            if name in self.entry["arrays"]:
                yield self.compare(name, channels_first(outputs[ours]), self.limit(name))

    def has_people(self, prefix: str) -> bool:
        """Whether what the model finds is stored; a flip test has the prefix "flip_"."""
        return f"{prefix}keypoints" in self.arrays

    def people(self, estimator, outputs, mirrored, prefix) -> Iterator[Difference]:
        """Decoded poses of each image against the reference's."""
        raw = {"plain": outputs} if mirrored is None else {"plain": outputs, "mirrored": mirrored}
        decoded = Decoding(estimator).predict_on_batch(raw)
        decoded = estimator.head.codec.finish(decoded)
        for image in range(self.entry["batch"]):
            one = {name: values[image] for name, values in decoded.items()}
            yield from self.matched(one, prefix, image)

    def expected(self, prefix: str, image: int) -> tuple[dict[str, np.ndarray], str, np.ndarray]:
        """The reference's people in our terms, the prefix of their names in `f32_err`, and
        (centre, size) of the input in the photo."""
        names = {"keypoints": "keypoints", "scores": "keypoint_scores", "box_scores": "bbox_scores"}
        stored = {ours: f"{prefix}{theirs}" for ours, theirs in names.items()}
        arrays = {ours: self.arrays[name] for ours, name in stored.items() if name in self.arrays}
        return arrays, prefix, np.stack([self.arrays["input_center"], self.arrays["input_scale"]])

    def matched(self, found: dict, prefix: str, image: int) -> Iterator[Difference]:
        """People of one image by the nearest pose; all distances in pixels of the photo."""
        expected, stem, (center, scale) = self.expected(prefix, image)
        kept = found["box_scores"] != 0
        label = f"{prefix}{{}}.{image}" if self.entry["batch"] > 1 else f"{prefix}{{}}"
        wanted = len(expected["keypoints"])
        yield Difference(label.format("people"), abs(int(kept.sum()) - wanted), 0, "")
        to_image = scale / np.float32(self.entry["input_size"])
        places = {"keypoints": (-1, 2), "boxes": (2, 2)}
        own = {name: values[kept] for name, values in found.items()}
        for name in places:
            corners = own[name].reshape(len(own[name]), -1, 2)
            own[name] = corners * to_image + center - scale / 2
        apart = np.abs(own["keypoints"][None] - expected["keypoints"][:, None]).max(axis=(2, 3))
        # Poses of different people may be alike, but not their scores as well.
        apart += np.abs(own["scores"][None] - expected["scores"][:, None]).max(axis=2)
        nearest = apart.argmin(axis=1)
        yield Difference(label.format("same_people"), wanted - len(set(nearest)), 0, "")
        pixels = 0.02 + 20 * self.entry["f32_err"].get(f"{stem}keypoints_image_px", 0.0)
        limits = {"keypoints": (pixels, "px"), "boxes": (0.05, "px")}
        for name, values in expected.items():
            limit, unit = limits.get(name, (1e-3, ""))
            worst = np.abs(own[name][nearest] - values.reshape(own[name][nearest].shape)).max()
            yield Difference(label.format(name), worst, limit, unit)

    def labels(self) -> dict:
        """The truth of all images, filled up to the same number of people."""
        names = {"keypoints": "keypoints", "visible": "keypoints_visible"}
        names |= {"boxes": "bbox", "areas": "area"}
        rows = [
            {ours: self.arrays[f"target.{b}.{theirs}"] for ours, theirs in names.items()}
            for b in range(self.entry["batch"])
        ]
        most = max(len(row["areas"]) for row in rows)
        labels = {}
        for name in names:
            values = [row[name] for row in rows]
            padded = [np.r_[v, np.zeros((most - len(v), *v.shape[1:]), v.dtype)] for v in values]
            labels[name] = np.stack(padded).astype("float32")
        counts = np.array([len(row["areas"]) for row in rows])
        labels["objects"] = (np.arange(most) < counts[:, None]).astype("float32")
        labels["masks"] = self.masks()
        return labels

    def masks(self) -> np.ndarray:
        """1 where a loss counts, `(B, h, w)`."""
        return self.arrays["target.0.heatmap_mask"].astype("float32")

    def targets(self, estimator, outputs) -> dict:
        """What the loss compares with."""
        return estimator.head.codec.encode(tensors(self.labels()))

    def losses(self, estimator, targets, outputs) -> Iterator[Difference]:
        """The terms of the loss."""
        terms = estimator.head.compare(targets, outputs)
        yield from self.loss(terms, self.entry["loss"], "loss", 1e-4)


class AssociativeEmbeddingCase(BottomupCase):
    """Associative embedding."""

    outputs = {"heatmaps": "0", "tags": "1"}


class DEKRCase(BottomupCase):
    """DEKR."""

    outputs = {"heatmaps": "0", "displacements": "1"}


class CIDCase(BottomupCase):
    """CID."""

    outputs = {"heatmaps": "coupled_heatmaps"}

    def expected(self, prefix, image):
        arrays, *rest = super().expected(prefix, image)
        arrays["box_scores"] = self.arrays[f"{prefix}step.instance_scores"]
        return arrays, *rest

    def targets(self, estimator, outputs):
        """With the roots that the reference moved at random, each that of the nearest person."""
        targets = super().targets(estimator, outputs)
        cells = ops.convert_to_numpy(targets["cells"])
        moved = self.arrays["target.0.instance_coords"].astype(cells.dtype)
        nearest = np.abs(cells[0][:, None] - moved).sum(axis=-1).argmin(axis=1)
        return {**targets, "cells": ops.convert_to_tensor(moved[nearest][None])}


class OneStageCase(BottomupCase):
    """YOLOX-Pose and RTMO, whose maps have several levels."""

    outputs = {
        "classes": "cls",
        "objectness": "obj",
        "boxes": "bbox",
        "offsets": "kpt_offsets",
        "visibility": "kpt_vis",
        "pose_vectors": "pose_vec",
    }

    def estimator(self):
        estimator = super().estimator()
        codec = estimator.head.codec
        # The reference has no slots, and keeps more than 64 of these.
        codec.max_people = max(codec.max_people, *self.entry["instances"])
        return estimator

    def differences(self, estimator) -> Iterator[Difference]:
        # The reference asks the mask as if it were square, here for 256 x 192.
        module = importlib.import_module(type(estimator.head.loss_module).__module__)
        side = float(self.entry["input_size"][0])
        extent = ops.convert_to_tensor([[[side, side]]])
        square = functools.partial(module.outside_weights, extent=extent)
        with mock.patch.object(module, "outside_weights", square):
            yield from super().differences(estimator)

    def raw(self, outputs, prefix):
        width, height = self.entry["input_size"]
        priors = outputs["priors"][0]
        strides = np.unique(priors[:, 2])
        for ours, theirs in self.outputs.items():
            if ours not in outputs:
                continue
            for i, stride in enumerate(strides):
                level = outputs[ours][:, priors[:, 2] == stride]
                shape = (len(level), int(height / stride), int(width / stride), -1)
                name = f"{prefix}.{theirs}.{i}"
                yield self.compare(name, channels_first(level.reshape(shape)), self.limit(name))
        worst = np.abs(outputs["priors"] - self.arrays["priors"][:, :3]).max()
        yield Difference("head.priors", worst, 0, "px")

    def has_people(self, prefix):
        return not prefix

    def expected(self, prefix, image):
        names = {"keypoints": "keypoints", "scores": "keypoint_scores"}
        names |= {"boxes": "bboxes", "box_scores": "scores"}
        stem = f"pred.{image}."
        arrays = {ours: self.arrays[stem + theirs] for ours, theirs in names.items()}
        place = [self.arrays[f"input_{name}.{image}"] for name in ("center", "scale")]
        return arrays, stem, np.stack(place)

    def masks(self):
        width, height = self.entry["input_size"]
        masks = np.ones((self.entry["batch"], height, width), "float32")
        masks[1, height // 2 :, : width // 2] = 0
        return masks

    def losses(self, estimator, targets, outputs):
        yield from self._assignments(estimator.head.loss_module.assigner, targets, outputs)
        head, loss = estimator.head, self.entry["loss"]
        yield from self._terms(head.compare(targets, outputs), loss, "loss")
        if any(name.startswith("stage2.") for name in loss):
            first = head.loss_module
            head.loss_module = copy.deepcopy(first)
            head.loss_module.proxy_target_cc = True
            head.loss_module.loss_mle.loss_weight = 5.0
            head.loss_module.loss_oks.loss_weight = 10.0
            later = {k.removeprefix("stage2."): v for k, v in loss.items() if k[:6] == "stage2"}
            yield from self._terms(head.compare(targets, outputs), later, "loss.stage2")
            head.loss_module = first

    def _assignments(self, assigner, targets, outputs):
        """Which prior learns which person."""
        priors = outputs["priors"]
        boxes = decode_boxes(outputs["boxes"], priors)
        keypoints = decode_offsets(outputs["offsets"], priors)
        sure = ops.sigmoid(outputs["classes"][..., 0])
        if "objectness" in outputs:
            sure = sure * ops.sigmoid(outputs["objectness"][..., 0])
        found = assigner(priors, boxes, keypoints, ops.sqrt(sure), targets)
        for image, rows in enumerate(zip(*map(ops.convert_to_numpy, found), strict=True)):
            numbers, overlaps = rows
            stem = f"assign.{image}"
            others = int((numbers != self.arrays[f"{stem}.gt_inds"]).sum())
            yield Difference(f"{stem}.people", others, 0, "priors")
            worst = np.abs(overlaps[numbers > 0] - self.arrays[f"{stem}.overlaps"]).max()
            yield Difference(f"{stem}.overlaps", worst, 1e-4, "")

    def _terms(self, terms, wanted, prefix):
        # Terms of the last epochs are 0 before.
        given = {k: v for k, v in terms.items() if k in wanted or np.any(ops.convert_to_numpy(v))}
        yield from self.loss(given, wanted, prefix, 1e-4)


class Decoding(keras.Model):
    """Raw outputs, or those of a flip test, to poses."""

    def __init__(self, estimator):
        super().__init__()
        self.estimator = estimator
        self.built = True

    def call(self, outputs):
        head, flips = self.estimator.head, self.estimator.skeleton.flip_indices
        if "mirrored" in outputs:
            mirrored = head.codec.flip(outputs["mirrored"], flips)
            outputs = head.codec.merge(outputs["plain"], mirrored)
        else:
            outputs = outputs["plain"]
        return head.codec.decode(head.instances(outputs))
