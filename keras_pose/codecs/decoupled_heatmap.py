"""Contextual instance decoupling (CID): heatmaps that people share, and heatmaps of each alone.

Wang and Zhang, 2022, "Contextual Instance Decoupling for Robust Multi-Person Pose Estimation",
https://openaccess.thecvf.com/content/CVPR2022/html/Wang_Contextual_Instance_Decoupling_for_Robust_Multi-Person_Pose_Estimation_CVPR_2022_paper.html
"""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import (
    constant,
    grid_position,
    heatmap_maximum,
    is_local_maximum,
    mirrored,
)
from keras_pose.codecs.gaussian import gaussian_targets, instance_gaussians
from keras_pose.codecs.instances import (
    ROOTS,
    instance_boxes,
    instance_diagonals,
    instance_roots,
)
from keras_pose.codecs.refinement import quarter_step

# Above these mean sides of the maps roots are the highest of so many more pixels to each side.
_LARGE = (200, 300)
# Draws come from digits of positions beyond the pixel: as good as random, and the same everywhere.
_DIGITS = np.float32([[97.0, 89.0], [83.0, 101.0]])


@keras.saving.register_keras_serializable(package="keras_pose")
class DecoupledHeatmap(Codec):
    """Heatmaps of all people's keypoints and roots, and heatmaps of each person alone.

    People are the peaks of the root's map, and a head draws maps for each, as in MMPose 1.3.2.
    Works on maps of any size.

    Args:
        stride: int, input pixels per cell.
        max_people: int, slots for people. Of more people those with the weakest roots are left
            out; slots that nobody needs have `box_scores` 0.
        root_threshold: float, roots must be higher.
        root_type: "kpt_center" for the mean of the labelled keypoints as root, "bbox_center" for
            the centre of their box.
        min_overlap: float, how much boxes still overlap that are moved by three deviations of the
            Gaussians of their size.
        encode_max_instances: int, people per image that a head learns to draw alone; of more a
            random part.
    """

    # Maps are as large as the masks.
    label_keys = ("keypoints", "visible", "boxes", "masks")

    def __init__(
        self,
        stride=4,
        max_people=30,
        root_threshold=0.01,
        root_type="kpt_center",
        min_overlap=0.7,
        encode_max_instances=30,
    ):
        if max_people < 1:
            raise ValueError(f"max_people must be at least 1, got {max_people}")
        if root_type not in ROOTS:
            raise ValueError(f"root_type must be one of {', '.join(ROOTS)}, got {root_type!r}")
        self.stride = int(stride)
        self.max_people = int(max_people)
        self.root_threshold = float(root_threshold)
        self.root_type = root_type
        self.min_overlap = float(min_overlap)
        self.encode_max_instances = int(encode_max_instances)

    def encode(self, labels):
        """Targets of maps as large as the masks.

        Roots are moved by up to a cell along each axis, so that a head also learns to draw people
        whose roots it finds a little off. A codec has no generator of random numbers: the digits
        of a root's position decide.

        Args:
            labels: see `Codec.encode`; `boxes` `(B, N, 4)` xyxy in input pixels, those without
                area are made of the keypoints; `masks` `(B, h, w)`, 1 where a loss of the shared
                maps counts; optionally `jitter` `(B, N, 2)`, cells that roots are moved by.

        Returns:
            `heatmaps` `(B, h, w, K + 1)` in 0..1 with the root's last, `mask` `(B, h, w, 1)`; of
            the people `cells` `(B, N, 2)` of the roots, `present` `(B, N)`, 1 for those that a
            head has to draw, and `draws` `(B, N)`, 0..1 at random; and what `instance_targets`
            reads: `points` `(B, N, K, 2)` in cells, `visible` `(B, N, K)`, `sigmas` `(B, N, 1)`.
        """
        height, width = labels["masks"].shape[1:]
        points = ops.cast(labels["keypoints"], "float32") / self.stride
        visible = labels["visible"]
        roots, present = instance_roots(points, visible, self.root_type)
        sigmas = self._sigmas(labels["boxes"] / self.stride, points, visible)
        shared = {"visible": _with_root(visible, present)}
        if "weights" in labels:
            shared["weights"] = _with_root(labels["weights"], present)
        everything = ops.concatenate([points, roots[:, :, None]], axis=2)
        maps = gaussian_targets(shared, everything, (width, height), sigmas, "pixel")["heatmaps"]
        draws = ops.matmul(roots, constant(_DIGITS))
        draws = draws - ops.floor(draws)
        jitter = labels["jitter"] if "jitter" in labels else ops.floor(draws * 3) - 1
        cells = ops.trunc(roots) + ops.cast(jitter, "float32")
        cells = ops.clip(cells, 0.0, constant((width - 1, height - 1)))
        draws = ops.sum(draws, axis=-1) % 1.0
        present = self._chosen(cells, ops.cast(present, "float32"), points, visible, draws)
        targets = {"points": points, "visible": visible, "sigmas": sigmas}
        if "weights" in labels:
            targets["keypoint_weights"] = labels["weights"]
        return {
            **targets,
            "heatmaps": maps,
            "mask": labels["masks"][..., None],
            "cells": cells,
            "present": present,
            "draws": draws,
        }

    def instance_targets(self, targets: dict, size: tuple[int, int]) -> tuple:
        """Maps of each person alone.

        Args:
            targets: of `encode`, or of some people of it: `points`, `visible`, `sigmas`, and
                `keypoint_weights` where there are any.
            size: (width, height) of the maps.

        Returns:
            Maps `(B, N, h, w, K)` in 0..1 and the keypoints' weights `(B, N, K)`.
        """
        labels = {"visible": targets["visible"]}
        if "keypoint_weights" in targets:
            labels["weights"] = targets["keypoint_weights"]
        return instance_gaussians(labels, targets["points"], size, targets["sigmas"], "pixel")

    def _sigmas(self, boxes, points, visible):
        """Deviations `(B, N, 1)` in cells: a third of how far the corners of a box may move.

        CornerNet (Law and Deng, 2018, https://arxiv.org/abs/1808.01244): the least of three
        radii, with which both corners move outwards, inwards, or one each way. As in MMPose 1.3.2
        the quadratic equations are solved by dividing by 2 instead of twice the first coefficient.
        """
        known = ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1, keepdims=True)
        boxes = ops.where(known, boxes, instance_boxes(points, visible))
        sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 1e-3)
        total = ops.sum(sides, axis=-1, keepdims=True)
        area = ops.prod(sides, axis=-1, keepdims=True)
        overlap = self.min_overlap
        each_way = ops.square(total) - 4 * area * (1 - overlap) / (1 + overlap)
        inwards = 4 * ops.square(total) - 16 * (1 - overlap) * area
        outwards = 4 * ops.square(overlap * total) + 16 * overlap * (1 - overlap) * area
        each_way = (total + ops.sqrt(each_way)) / 2
        inwards = (2 * total + ops.sqrt(inwards)) / 2
        outwards = (ops.sqrt(outwards) - 2 * overlap * total) / 2
        return ops.minimum(ops.minimum(each_way, inwards), outwards) / 3

    def _chosen(self, cells, present, points, visible, draws):
        """Those present `(B, N)`: of equal cells the smallest person, and not too many."""
        count = cells.shape[1]
        same = ops.all(ops.equal(cells[:, :, None], cells[:, None]), axis=-1)
        sizes = instance_diagonals(points, visible)
        tie = constant(np.arange(count)[:, None] < np.arange(count)) > 0
        smaller, equal = sizes[:, :, None] < sizes[:, None], sizes[:, :, None] == sizes[:, None]
        before = (smaller | (equal & tie)) & same & (present[:, :, None] > 0)
        present = present * ops.cast(~ops.any(before, axis=1), "float32")
        if count > self.encode_max_instances:
            rank = present * (1 + draws)
            least = ops.top_k(rank, self.encode_max_instances)[0][:, -1:]
            present = present * ops.cast(rank >= least, "float32")
        return present

    def roots(self, heatmaps):
        """The people that the shared maps show.

        Args:
            heatmaps: `(B, h, w, K + 1)` in 0..1, the root's last.

        Returns:
            Scores `(B, P)`, 0 in empty slots, and cells (x, y) `(B, P, 2)` float32.
        """
        maps = smoothed(heatmaps[..., -1:])
        _, height, width, _ = maps.shape
        radius = 1 + sum((height + width) / 2 > side for side in _LARGE)
        peaks = ops.where(is_local_maximum(maps, radius), maps, 0.0)
        slots = min(self.max_people, height * width)
        scores, places = ops.top_k(ops.reshape(peaks, (-1, height * width)), slots)
        scores = ops.where(scores > self.root_threshold, scores, 0.0)
        return scores, ops.stack(grid_position(ops.cast(places, "float32"), width), axis=-1)

    def decode(self, outputs):
        """People, those with the strongest roots first.

        Args:
            outputs: `instance_heatmaps` `(B, h, w, P, K)` in 0..1, smoothed, and `root_scores`
                `(B, P)`.

        Returns:
            `keypoints` `(B, P, K, 2)` and `boxes` `(B, P, 4)` xyxy around them in input pixels,
            `scores` `(B, P, K)`, maxima of the maps times the root's score, and the latter as
            `box_scores` `(B, P)`.
        """
        maps = ops.cast(outputs["instance_heatmaps"], "float32")
        _, height, width, people, count = maps.shape
        maps = ops.reshape(maps, (-1, height, width, people * count))
        x, y, score = heatmap_maximum(maps)
        step_x, step_y = quarter_step(maps, x, y)
        points = ops.stack([x + step_x, y + step_y], axis=-1) * self.stride + self.stride / 2
        points = ops.reshape(points, (-1, people, count, 2))
        sure = ops.cast(outputs["root_scores"], "float32")
        return {
            "keypoints": points,
            "scores": ops.reshape(score, (-1, people, count)) * sure[..., None],
            "boxes": ops.concatenate([ops.min(points, axis=2), ops.max(points, axis=2)], axis=-1),
            "box_scores": sure,
        }

    def flip(self, outputs, flip_indices):
        heatmaps, features = (mirrored(outputs[n], shift=False) for n in ("heatmaps", "features"))
        order = np.asarray(flip_indices, "int32")
        with_root = np.append(order, len(order)).astype("int32")
        batch = ops.zeros_like(heatmaps[:, 0, 0, : len(order)], dtype="int32")
        return {
            "heatmaps": ops.take(heatmaps, with_root, axis=-1),
            "features": features,
            "order": batch + ops.convert_to_tensor(order),
        }

    def merge(self, outputs, mirrored):
        """The mean of the shared maps; both features, for a head draws each person from either.

        Besides `(B, K)`, the order that the mirrored keypoints have to be put into.
        """
        return {
            "heatmaps": 0.5 * (outputs["heatmaps"] + mirrored["heatmaps"]),
            "features": outputs["features"],
            "mirrored_features": mirrored["features"],
            "order": mirrored["order"],
        }

    def get_config(self):
        return {
            "stride": self.stride,
            "max_people": self.max_people,
            "root_threshold": self.root_threshold,
            "root_type": self.root_type,
            "min_overlap": self.min_overlap,
            "encode_max_instances": self.encode_max_instances,
        }


def smoothed(maps):
    """The mean of maps `(B, h, w, C)` and their means over 3x3 pixels, 0 beyond the border."""
    _, height, width, _ = maps.shape
    # Sums of shifted maps: XLA's pooling on a CPU takes far longer.
    rows = ops.pad(maps, ((0, 0), (1, 1), (0, 0), (0, 0)))
    rows = sum(rows[:, i : i + height] for i in range(3))
    both = ops.pad(rows, ((0, 0), (0, 0), (1, 1), (0, 0)))
    both = sum(both[:, :, i : i + width] for i in range(3))
    return 0.5 * (maps + both / 9.0)


def _with_root(values, present):
    """Values `(B, N, K)` of keypoints, and 1 for the root of everybody who has some."""
    return ops.concatenate([values, ops.cast(present, values.dtype)[..., None]], axis=-1)
