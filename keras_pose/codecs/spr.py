"""Heatmaps of people's roots and keypoints, and the way from a root to its keypoints.

The structured pose representation of DEKR (Geng et al., 2021, https://arxiv.org/abs/2104.02300).
"""

import math

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.blur import checked_kernel_size
from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import (
    constant,
    grid_position,
    is_local_maximum,
    mirrored,
    rows_at,
    values_between,
)
from keras_pose.codecs.gaussian import gaussian_targets
from keras_pose.codecs.instances import ROOTS, instance_diagonals, instance_roots
from keras_pose.codecs.pose_suppression import distinct_poses


@keras.saving.register_keras_serializable(package="keras_pose")
class SPR(Codec):
    """A heatmap per keypoint and one of roots, and displacements from a root to its keypoints.

    Works on maps of any size; their targets have the size of the labels' masks. People are decoded
    on the device into a fixed number of slots.

    Args:
        stride: int, input pixels per cell.
        sigma: float or pair, deviations in cells of the Gaussians of roots and of keypoints.
            Default: of roots 1/32 of the geometric mean of the maps' sides, of keypoints half of
            that, rounded down.
        keypoint_heatmaps: bool, whether there are heatmaps of keypoints; without them all of a
            person's keypoints are as sure as the person.
        root_type: "kpt_center", the mean of the visible keypoints, or "bbox_center", the centre of
            their box.
        minimal_diagonal: float, people whose keypoints' box has a smaller diagonal, in cells, have
            no root and no displacements.
        background_weight: float, what cells without a Gaussian weigh.
        max_people: int, slots for people. Of more, those with the weakest roots are left out.
        nms_kernel: odd int, cells whose root is the highest of a square of this side are peaks.
        root_threshold: float from 0, weaker roots are nobody.
        nms_distance, nms_joints: which poses are of one person, see `distinct_poses`.
        shift_flipped: bool, in flip tests move the mirrored heatmaps by one column, which brings a
            stride-4 network's maps closer to the others.
    """

    label_keys = ("keypoints", "visible", "masks")

    def __init__(
        self,
        stride=4,
        sigma=None,
        keypoint_heatmaps=True,
        root_type="kpt_center",
        minimal_diagonal=5.0,
        background_weight=0.1,
        max_people=30,
        nms_kernel=5,
        root_threshold=0.01,
        nms_distance=0.05,
        nms_joints=None,
        shift_flipped=True,
    ):
        if max_people < 1:
            raise ValueError(f"max_people must be at least 1, got {max_people}")
        if root_type not in ROOTS:
            raise ValueError(f"root_type must be one of {', '.join(ROOTS)}, got {root_type!r}")
        if root_threshold < 0:
            raise ValueError(f"root_threshold must be at least 0, got {root_threshold}")
        self.stride = int(stride)
        self.sigma = tuple(sigma) if isinstance(sigma, list | tuple) else sigma
        self.keypoint_heatmaps = bool(keypoint_heatmaps)
        if keypoint_heatmaps and sigma is not None and np.size(sigma) != 2:
            raise ValueError(f"sigma must be a pair where keypoints have heatmaps, got {sigma}")
        self.root_type = root_type
        self.minimal_diagonal = float(minimal_diagonal)
        self.background_weight = float(background_weight)
        self.max_people = int(max_people)
        self.nms_kernel = checked_kernel_size(nms_kernel)
        self.root_threshold = float(root_threshold)
        self.nms_distance = float(nms_distance)
        self.nms_joints = nms_joints
        self.shift_flipped = bool(shift_flipped)

    def encode(self, labels):
        """Targets of maps as large as the masks.

        Keypoints have displacements where they are visible (at least 1) and inside. Where the
        surroundings of several roots overlap, they are those of the smallest person who has the
        keypoint; but, as in MMPose 1.3.2, a larger one who comes later takes all keypoints behind
        one that the smaller lacks.

        Args:
            labels: see `Codec.encode`, and `masks` `(B, h, w)`, 1 where the heatmaps' loss counts.

        Returns:
            `heatmaps` `(B, h, w, K + 1)` in 0..1, the roots last, and `heatmap_weights` of the same
            shape; `displacements` `(B, h, w, 2K)` in cells, x and y of each keypoint, and
            `displacement_weights` of the same shape; `mask` `(B, h, w, 1)`.
        """
        size = labels["masks"].shape[2:0:-1]
        if None in size:
            raise ValueError("masks must have a known size, got (B, None, None)")
        points = ops.cast(labels["keypoints"], "float32") / float(self.stride)
        visible = labels["visible"]
        roots, rooted = instance_roots(points, visible, self.root_type)
        diagonals = instance_diagonals(points, visible)
        rooted = ops.cast(rooted & (diagonals >= self.minimal_diagonal), "float32")
        sigmas = self._sigmas(*size)
        drawn = [({"visible": rooted[..., None]}, roots[:, :, None], size, sigmas[0])]
        if self.keypoint_heatmaps:
            drawn.insert(0, ({"visible": visible}, points, size, sigmas[1]))
        maps = [gaussian_targets(*each, "pixel")["heatmaps"] for each in drawn]
        maps = ops.concatenate(maps, axis=-1)
        inside = ops.all((points >= 0) & (points < constant(size)), axis=-1)
        reached = ops.cast((visible >= 1) & inside, "float32")
        displacements, weights = _displacements(
            points, reached, roots, rooted, diagonals, size, sigmas[0]
        )
        return {
            "heatmaps": maps,
            "heatmap_weights": ops.where(maps > 0, 1.0, self.background_weight),
            "displacements": displacements,
            "displacement_weights": weights,
            "mask": labels["masks"][..., None],
        }

    def _sigmas(self, width, height):
        """Deviations of the Gaussians of roots and, where there are any, of keypoints."""
        if self.sigma is None:
            root = math.sqrt(width * height) / 32
            return root, root // 2
        return self.sigma if isinstance(self.sigma, tuple) else (self.sigma,)

    def people(self, outputs):
        """Everybody who may be in the images, before any suppression of duplicates.

        Args:
            outputs: see `decode`.

        Returns:
            `root_scores` `(B, P)`, 0 in empty slots, `keypoints` `(B, P, K, 2)` in input pixels and
            `scores` `(B, P, K)`, what the heatmaps hold there; those with the strongest roots
            first.
        """
        maps, ways = (ops.cast(outputs[n], "float32") for n in ("heatmaps", "displacements"))
        _, height, width, channels = maps.shape
        cells, count = height * width, ways.shape[-1] // 2
        slots = min(self.max_people, cells)
        if keras.backend.backend() == "torch":
            from keras_pose.codecs import spr_torch

            found = spr_torch.people(maps, ways, *self._finding(slots))
            people = dict(zip(("root_scores", "keypoints", "scores"), found, strict=True))
            return {**people, "keypoints": people["keypoints"] * float(self.stride)}
        root = maps[..., channels - 1 :]
        peaks = ops.where(is_local_maximum(root, self.nms_kernel // 2), root, 0.0)
        sure, place = ops.top_k(ops.reshape(peaks, (-1, cells)), slots)
        sure = ops.where(sure > self.root_threshold, sure, 0.0)
        x, y = grid_position(ops.cast(place, "float32"), width)
        ways = rows_at(ops.reshape(ways, (-1, cells, 2 * count)), place)
        ways = ops.reshape(ways, (-1, slots, count, 2))
        keypoints = ways + ops.stack([x, y], axis=-1)[:, :, None]
        if self.keypoint_heatmaps:
            scores = keypoint_scores(maps, keypoints)
        else:
            scores = ops.ones_like(keypoints[..., 0])
        keypoints = keypoints * float(self.stride)
        return {"root_scores": sure, "keypoints": keypoints, "scores": scores}

    def decode(self, outputs):
        """People, those first whose keypoints are surest on average.

        Args:
            outputs: `heatmaps` `(B, h, w, K + 1)`, the roots last, and `displacements`
                `(B, h, w, 2K)` in cells, x and y of each keypoint; or what `people` gave.

        Returns:
            `keypoints` `(B, P, K, 2)` and `boxes` `(B, P, 4)`, which enclose them, in input pixels;
            `scores` `(B, P, K)`, what heatmaps hold at keypoints times the root's score, and
            `box_scores` `(B, P)`, their mean, 0 in empty slots. Scores may be below 0.
        """
        if keras.backend.backend() == "torch":
            return self._decode_torch(outputs)
        people = outputs if "root_scores" in outputs else self.people(outputs)
        keypoints, scores, sure = (people[n] for n in ("keypoints", "scores", "root_scores"))
        slots, count = scores.shape[1:]
        present = ops.cast(ops.not_equal(sure, 0.0), "float32")
        # Scores of keypoints are those of heatmaps, nowhere near this.
        rank = ops.where(present > 0, ops.mean(scores, axis=-1), -1e9)
        order = ops.top_k(rank, slots)[1]
        table = [ops.reshape(keypoints, (-1, slots, 2 * count)), scores]
        table = ops.concatenate([*table, sure[..., None], present[..., None]], axis=-1)
        table = rows_at(table, order)
        keypoints = ops.reshape(table[..., : 2 * count], (-1, slots, count, 2))
        scores = table[..., 2 * count : 3 * count] * table[..., 3 * count : 3 * count + 1]
        present = table[..., 3 * count + 1]
        kept = distinct_poses(keypoints, present, self.nms_distance, self.nms_joints)
        corners = [ops.min(keypoints, axis=2), ops.max(keypoints, axis=2)]
        return {
            "keypoints": keypoints,
            "scores": scores,
            "boxes": ops.concatenate(corners, axis=-1),
            "box_scores": ops.mean(scores, axis=-1) * kept,
        }

    def _finding(self, slots: int) -> tuple:
        """Arguments of `spr_torch.people`."""
        return slots, self.nms_kernel, self.root_threshold, self.keypoint_heatmaps

    def _decode_torch(self, outputs):
        from keras_pose.codecs import spr_torch

        if "root_scores" in outputs:
            values = [outputs[n] for n in ("keypoints", "scores", "root_scores")]
            decode, given, count = spr_torch.poses, (), values[1].shape[-1]
        else:
            values = [ops.cast(outputs[n], "float32") for n in ("heatmaps", "displacements")]
            slots = min(self.max_people, values[0].shape[1] * values[0].shape[2])
            given = (*self._finding(slots), float(self.stride))
            decode, count = spr_torch.decoded, values[1].shape[-1] // 2
        joints = count // 2 if self.nms_joints is None else self.nms_joints
        found = decode(*values, *given, self.nms_distance, joints)
        return dict(zip(("keypoints", "scores", "boxes", "box_scores"), found, strict=True))

    def flip(self, outputs, flip_indices):
        maps = mirrored(outputs["heatmaps"], self.shift_flipped)
        count = len(flip_indices)
        # Roots stay what they are.
        order = [*flip_indices, count] if self.keypoint_heatmaps else [0]
        ways = mirrored(outputs["displacements"], shift=False)
        shape = (-1, *ways.shape[1:3], count, 2)
        pairs = ops.take(ops.reshape(ways, shape), np.asarray(flip_indices, "int32"), axis=3)
        # Cells stand for their first pixel, which after mirroring is not that of the cell in the
        # mirror: it lies so much to the right.
        remainder = (self.stride - 1) / self.stride
        pairs = ops.stack([remainder - pairs[..., 0], pairs[..., 1]], axis=-1)
        return {
            "heatmaps": ops.take(maps, np.asarray(order, "int32"), axis=-1),
            "displacements": ops.reshape(pairs, (-1, *ways.shape[1:])),
        }

    def get_config(self):
        return {
            "stride": self.stride,
            "sigma": list(self.sigma) if isinstance(self.sigma, tuple) else self.sigma,
            "keypoint_heatmaps": self.keypoint_heatmaps,
            "root_type": self.root_type,
            "minimal_diagonal": self.minimal_diagonal,
            "background_weight": self.background_weight,
            "max_people": self.max_people,
            "nms_kernel": self.nms_kernel,
            "root_threshold": self.root_threshold,
            "nms_distance": self.nms_distance,
            "nms_joints": self.nms_joints,
            "shift_flipped": self.shift_flipped,
        }


def keypoint_scores(maps, keypoints):
    """What heatmaps hold at keypoints.

    As in MMPose 1.3.2, which mixes two conventions, it is read up to half a cell beside them, and
    at the border where they lie outside.

    Args:
        maps: `(B, h, w, K)`, or more of them; the first K are read.
        keypoints: `(B, P, K, 2)` in cells.

    Returns:
        `(B, P, K)`.
    """
    size = np.array(maps.shape[2:0:-1])
    beside = keypoints * constant(size / (size - 1)) - 0.5
    beside = ops.minimum(ops.maximum(beside, 0.0), constant(size - 1))
    return values_between(maps, beside)


def _displacements(points, visible, roots, rooted, diagonals, size, sigma):
    """Ways from the cells around roots to keypoints, and what they weigh; see `SPR.encode`.

    Args:
        points: `(B, N, K, 2)` in cells.
        visible: `(B, N, K)`, 1 for keypoints that have displacements, else 0.
        roots: `(B, N, 2)` in cells.
        rooted: `(B, N)`, 1 for people who have a root.
        diagonals: `(B, N)` in cells.
        size: (width, height) of the maps.
        sigma: float, half the side of a root's surroundings in cells.
    """
    people, count = visible.shape[1:]
    width, height = size
    rows, columns = _inside(roots[..., 1], sigma, height), _inside(roots[..., 0], sigma, width)
    rows = rows * rooted[..., None]
    diagonals = ops.maximum(diagonals, 1e-6)
    # (B, h, w, K): the person a cell belongs to; (B, h, w, 1): the last one's diagonal.
    who, smallest = constant([-1.0]), constant([0.0])
    earlier = constant(np.triu(np.ones((count, count))))
    for person in range(people):
        around = rows[:, person, :, None, None] * columns[:, person, None, :, None]
        valid = around * visible[:, person, None, None, :]
        diagonal = diagonals[:, person, None, None, None]
        larger = ops.cast(diagonal > smallest, "float32") * ops.cast(who >= 0, "float32")
        # Whoever has got one keypoint in a cell counts as not larger from there on.
        writes = valid * ops.cast(ops.matmul(valid * (1 - larger), earlier) > 0, "float32")
        who = ops.where(writes > 0, float(person), who)
        smallest = ops.where(ops.max(writes, axis=-1, keepdims=True) > 0, diagonal, smallest)
    found = ops.cast(who >= 0, "float32")
    keypoint = constant(np.arange(count))
    places = ops.cast(ops.maximum(who, 0.0) * count + keypoint, "int32")
    weights = ops.broadcast_to(1 / diagonals[..., None], ops.shape(visible))
    table = ops.concatenate([points, weights[..., None]], axis=-1)
    table = ops.reshape(table, (-1, people * count, 3))
    chosen = rows_at(table, ops.reshape(places, (-1, height * width * count)))
    chosen = ops.reshape(chosen, (-1, height, width, count, 3)) * found[..., None]
    x, y = constant(np.arange(width)[:, None]), constant(np.arange(height)[:, None, None])
    ways = [(chosen[..., 0] - x) * found, (chosen[..., 1] - y) * found]
    shape = (-1, height, width, 2 * count)
    return (
        ops.reshape(ops.stack(ways, axis=-1), shape),
        ops.reshape(ops.stack([chosen[..., 2]] * 2, axis=-1), shape),
    )


def _inside(centre, reach, length):
    """Which cells `(B, N, length)` of an axis lie around centres `(B, N)`; 1 or 0."""
    cells = constant(np.arange(length))
    first, last = (ops.trunc(centre[..., None] + side) for side in (-reach, reach))
    return ops.cast((cells >= first) & (cells < last), "float32")
