"""Associative embedding (Newell et al., 2017, https://arxiv.org/abs/1611.05424).

One heatmap per keypoint shows those of all people, and maps of tags say which belong together.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.blur import checked_kernel_size
from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import constant, grid_position, is_local_maximum, mirrored
from keras_pose.codecs.enlarged_peaks import enlarged_peaks, enlarged_values
from keras_pose.codecs.gaussian import gaussian_targets
from keras_pose.codecs.refinement import quarter_of_slope, quarter_step, udp_dark_step
from keras_pose.codecs.tag_grouping import EnlargedMaps, group_by_tags
from keras_pose.layers.resize import resize


@keras.saving.register_keras_serializable(package="keras_pose")
class AssociativeEmbedding(Codec):
    """Heatmaps of all people's keypoints, grouped by their tags.

    The device finds the peaks; who has which of them needs the Hungarian method and runs on the
    host, in `finish`. Between them lies one transfer: peaks, and the network's maps in their own
    size, from which `finish` makes what it needs of the enlarged ones. Exported models end before
    `finish`.

    Works on maps of any size. Tags of L components per keypoint are L sets of maps: channel
    `l * K + k`.

    Args:
        stride: int, input pixels per cell of the network's maps.
        sigma: float, deviation of the Gaussians in cells; None for 1/64 of the geometric mean of
            the maps' sides.
        use_udp: bool, whether the corner cells are the input's corner pixels; Gaussians then have
            their peaks at the keypoints themselves, and peaks are refined as in UDP
            (https://arxiv.org/abs/1911.07524).
        resize: bool, whether peaks are looked for in maps enlarged to the input's size.
        max_people: int, slots for people. Of more people those are left out who were found last,
            as in MMPose 1.3.2, which are mostly those of whom least is seen; empty slots have
            `box_scores` 0.
        keypoint_order: ints `(K,)`, in which keypoints are grouped; default: 0, 1, ...
        nms_kernel: odd int, peaks are the highest of so many pixels.
        gaussian_kernel: odd int, of the blur before a refinement as in UDP.
        keypoint_threshold: float, peaks must be higher.
        tag_threshold: float, peaks join people whose tags are nearer.
        topk: int, most peaks per keypoint.
        center_shift: float, pixels that are added to the positions of peaks.
        shift_flipped: bool, in flip tests move the mirrored maps by one column.
    """

    # Maps are as large as the masks.
    label_keys = ("keypoints", "visible", "masks")

    def __init__(
        self,
        stride=4,
        sigma=None,
        use_udp=False,
        resize=True,
        max_people=30,
        keypoint_order=None,
        nms_kernel=5,
        gaussian_kernel=3,
        keypoint_threshold=0.1,
        tag_threshold=1.0,
        topk=30,
        center_shift=0.0,
        shift_flipped=False,
    ):
        if max_people < 1:
            raise ValueError(f"max_people must be at least 1, got {max_people}")
        if keypoint_order and sorted(keypoint_order) != list(range(len(keypoint_order))):
            raise ValueError(f"keypoint_order must name every keypoint once, got {keypoint_order}")
        self.stride = int(stride)
        self.sigma = None if sigma is None else float(sigma)
        self.use_udp = bool(use_udp)
        self.resize = bool(resize)
        self.max_people = int(max_people)
        self.keypoint_order = None if not keypoint_order else list(keypoint_order)
        self.nms_kernel = checked_kernel_size(nms_kernel)
        self.gaussian_kernel = checked_kernel_size(gaussian_kernel)
        self.keypoint_threshold = float(keypoint_threshold)
        self.tag_threshold = float(tag_threshold)
        self.topk = int(topk)
        self.center_shift = float(center_shift)
        self.shift_flipped = bool(shift_flipped)

    def encode(self, labels):
        """Targets of maps as large as the masks.

        Args:
            labels: see `Codec.encode`, and `masks` `(B, h, w)`, 1 where a loss of heatmaps counts.

        Returns:
            `heatmaps` `(B, h, w, K)` in 0..1, `mask` `(B, h, w, 1)`, and of each instance's
            keypoints `tag_indices` `(B, N, K)`, the cell in the flattened maps, and `tag_weights`
            `(B, N, K)`, 1 for those that are visible and inside. Keypoints have no weights: as in
            the paper every map teaches also where nothing is.
        """
        height, width = labels["masks"].shape[1:]
        scale = constant(self._scale(width, height, self.stride))
        points = ops.cast(labels["keypoints"], "float32") / scale
        sigma = math.sqrt(width * height) / 64 if self.sigma is None else self.sigma
        form = "point" if self.use_udp else "pixel"
        cells = ops.trunc(points + 0.5)
        inside = ops.all((cells >= 0) & (cells < constant((width, height))), axis=-1)
        visible = labels["visible"] > 0.5
        cells = ops.clip(cells, 0.0, constant((width - 1, height - 1)))
        return {
            "heatmaps": gaussian_targets(labels, points, (width, height), sigma, form)["heatmaps"],
            "mask": labels["masks"][..., None],
            "tag_indices": ops.cast(cells[..., 1] * width + cells[..., 0], "int32"),
            "tag_weights": ops.cast(inside & visible, "float32"),
        }

    def decode(self, outputs):
        """The peaks of every keypoint, highest first.

        Args:
            outputs: `heatmaps` `(B, h, w, K)` and `tags` `(B, h, w, L * K)`.

        Returns:
            `values` `(B, K, M)`, `peaks` `(B, K, M, 2)`, their refined positions in pixels of the
            enlarged maps, `peak_tags` `(B, K, M, L)`, and the given maps, for `finish`.
        """
        maps, tags = (ops.cast(outputs[name], "float32") for name in ("heatmaps", "tags"))
        count = maps.shape[-1]
        factor = self.stride if self.resize else 1
        find = self._peaks_of_whole_maps if self.use_udp or factor == 1 else self._peaks
        values, x, y, step_x, step_y = find(maps, factor)
        sets = [tags[..., i : i + count] for i in range(0, tags.shape[-1], count)]
        return {
            "values": values,
            "peaks": ops.stack([x + step_x, y + step_y], axis=-1),
            "peak_tags": ops.stack([enlarged_values(each, x, y, factor) for each in sets], axis=-1),
            "heatmaps": maps,
            "tags": tags,
        }

    def _peaks(self, maps, factor):
        """Height, x and y of the highest peaks in maps so many times as large as these, and the
        refining steps along x and y, each `(B, K, M)` float32.
        """
        _, height, width, _ = maps.shape
        found = min(self.topk, height * width * factor**2)
        values, x, y = enlarged_peaks(maps, factor, self.nms_kernel // 2, found)
        right, left, below, above = (
            enlarged_values(maps, x + dx, y + dy, factor)
            for dx, dy in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))
        )
        size = width * factor, height * factor
        return values, x, y, *quarter_of_slope(right - left, below - above, x, y, size)

    def _peaks_of_whole_maps(self, maps, factor):
        """As `_peaks`, for refinements that look further around, and maps that are not enlarged."""
        maps = _enlarged(maps, factor)
        _, height, width, count = maps.shape
        peaks = ops.where(is_local_maximum(maps, self.nms_kernel // 2), maps, 0.0)
        peaks = ops.transpose(ops.reshape(peaks, (-1, height * width, count)), (0, 2, 1))
        values, places = ops.top_k(peaks, min(self.topk, height * width))
        x, y = grid_position(ops.cast(places, "float32"), width)
        if self.use_udp:
            return values, x, y, *udp_dark_step(maps, x, y, self.gaussian_kernel)
        return values, x, y, *quarter_step(maps, x, y)

    def finish(self, decoded):
        """Who has which peaks, and where everybody's other keypoints are likeliest.

        Args:
            decoded: of `decode`, NumPy arrays.

        Returns:
            `keypoints` `(B, P, K, 2)` and `boxes` `(B, P, 4)` xyxy in input pixels, `scores`
            `(B, P, K)`, and `box_scores` `(B, P)`: the mean height of the peaks over all K, 0 for
            those without.
        """
        batch, count = decoded["values"].shape[:2]
        slots = self.max_people
        keypoints = np.zeros((batch, slots, count, 2), np.float32)
        scores = np.zeros((batch, slots, count), np.float32)
        box_scores = np.zeros((batch, slots), np.float32)
        for image in range(batch):
            one = {name: array[image] for name, array in decoded.items()}
            points, heights, sure = self._people(one)
            keypoints[image, : len(points)] = points
            scores[image, : len(points)] = heights
            box_scores[image, : len(points)] = sure
        height, width = decoded["heatmaps"].shape[1:3]
        factor = self.stride if self.resize else 1
        keypoints *= self._scale(width * factor, height * factor, self.stride // factor)
        boxes = np.concatenate([keypoints.min(axis=2), keypoints.max(axis=2)], axis=-1)
        return {
            "keypoints": keypoints,
            "scores": scores,
            "boxes": boxes,
            "box_scores": box_scores,
        }

    def _people(self, decoded):
        """Keypoints `(P, K, 2)` in map pixels, their heat `(P, K)` and the scores `(P,)`."""
        factor = self.stride if self.resize else 1
        maps = EnlargedMaps(decoded["heatmaps"], decoded["tags"], factor)
        last = np.subtract(maps.size, 1)
        given = (decoded[name] for name in ("values", "peaks", "peak_tags"))
        values, peaks, tags = _ordered(*given, last / 2)
        count = len(values)
        order = self.keypoint_order or range(count)
        if len(order) != count:
            raise ValueError(
                f"keypoint_order has {len(order)} keypoints, the heatmaps have {count}"
            )
        limits = self.keypoint_threshold, self.tag_threshold
        members = group_by_tags(values, tags, order, *limits)[: self.max_people]
        found, keypoint = members >= 0, np.arange(count)
        heat = np.where(found, values[keypoint, members], 0.0)
        points = peaks[keypoint, members] + self.center_shift
        points = np.where(found[..., None], points, 0.0)
        sure = heat.mean(axis=1)
        for person in np.flatnonzero(~found.all(axis=1)):
            known = np.flatnonzero(found[person])
            cells = np.clip(points[person, known].astype(int), 0, last)
            tags = [maps.at(k, x, y)[1:] for k, (x, y) in zip(known, cells, strict=True)]
            for k in np.flatnonzero(~found[person]):
                *points[person, k], heat[person, k] = maps.best(k, np.mean(tags, axis=0))
        return points, heat, sure

    def _scale(self, width, height, stride):
        """Input pixels per pixel of maps of a size, along x and y."""
        size = np.array([width, height], np.float32)
        return (size * stride - 1) / (size - 1) if self.use_udp else np.full(2, stride, np.float32)

    def flip(self, outputs, flip_indices):
        heatmaps, tags = (mirrored(outputs[n], self.shift_flipped) for n in ("heatmaps", "tags"))
        count = heatmaps.shape[-1]
        order = np.asarray(flip_indices, "int32")
        sets = np.arange(0, tags.shape[-1], count, dtype="int32")
        return {
            "heatmaps": ops.take(heatmaps, order, axis=-1),
            "tags": ops.take(tags, (sets[:, None] + order).reshape(-1), axis=-1),
        }

    def merge(self, outputs, mirrored):
        """The mean of the heatmaps, and both tags side by side: they are other components."""
        return {
            "heatmaps": 0.5 * (outputs["heatmaps"] + mirrored["heatmaps"]),
            "tags": ops.concatenate([outputs["tags"], mirrored["tags"]], axis=-1),
        }

    def get_config(self):
        return {
            "stride": self.stride,
            "sigma": self.sigma,
            "use_udp": self.use_udp,
            "resize": self.resize,
            "max_people": self.max_people,
            "keypoint_order": self.keypoint_order,
            "nms_kernel": self.nms_kernel,
            "gaussian_kernel": self.gaussian_kernel,
            "keypoint_threshold": self.keypoint_threshold,
            "tag_threshold": self.tag_threshold,
            "topk": self.topk,
            "center_shift": self.center_shift,
            "shift_flipped": self.shift_flipped,
        }


def _ordered(values, peaks, tags, centre):
    """Peaks `(K, M, ...)` by height; of equally high ones the outer first."""
    order = np.lexsort((-np.abs(peaks - centre).sum(axis=-1), -values))
    rows = np.arange(len(values))[:, None]
    return values[rows, order], peaks[rows, order], tags[rows, order]


def _enlarged(maps, factor):
    """Maps `(B, h, w, C)` so many times as large; see `layers.resize`.

    Beyond the outermost pixels they repeat these exactly: repeated peaks are peaks both.
    """
    maps = resize(maps, (maps.shape[1] * factor, maps.shape[2] * factor))
    beyond = factor // 2 - 1
    if beyond < 1:
        return maps
    first, last = maps[:, beyond : beyond + 1], maps[:, -beyond - 1 : -beyond]
    rows = [first] * beyond + [maps[:, beyond:-beyond]] + [last] * beyond
    maps = ops.concatenate(rows, axis=1)
    first, last = maps[:, :, beyond : beyond + 1], maps[:, :, -beyond - 1 : -beyond]
    columns = [first] * beyond + [maps[:, :, beyond:-beyond]] + [last] * beyond
    return ops.concatenate(columns, axis=2)
