"""Associative embedding on the host: peaks become people by their tags, and get what they lack.

Associative embedding (Newell et al., 2017, https://arxiv.org/abs/1611.05424), with the rules of
MMPose 1.3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_pose.codecs.assignment import cheapest_assignment

# Bounds are computed in another order than what they bound.
_ROUNDING = 1e-4
# Places between pixels that are looked into at first; four times as many each further time.
_FIRST = 64


def group_by_tags(
    values: np.ndarray,
    tags: np.ndarray,
    order: Sequence[int],
    threshold: float,
    tag_threshold: float,
) -> np.ndarray:
    """Which peaks belong together.

    Keypoint by keypoint, peaks are paired with the groups whose mean tags they resemble, the
    stronger ones first where distances are about the same; those that resemble none begin a
    group.

    Args:
        values: `(K, M)`, heights of each keypoint's peaks, descending.
        tags: `(K, M, L)`.
        order: in which keypoints are looked at.
        threshold: peaks must be higher.
        tag_threshold: a peak joins a group only if their tags are nearer.

    Returns:
        ints `(P, K)`, the peak of every keypoint in the groups, in the order in which these began;
        -1 where a group has none.
    """
    count, most, length = tags.shape
    members = np.full((count * most, count), -1)
    sums, sizes = np.zeros((count * most, length)), np.zeros(count * most)
    # Groups go by the first component of the tag that began them.
    place = {}
    for keypoint in order:
        peaks = np.flatnonzero(values[keypoint] > threshold)
        found = tags[keypoint, peaks].astype(np.float64)
        groups = len(place)
        joins = np.full(len(peaks), -1)
        if groups and len(peaks):
            centres = sums[:groups] / sizes[:groups, None]
            distances = np.linalg.norm(found[:, None] - centres, axis=-1)
            costs = np.rint(distances) * 100 - values[keypoint, peaks, None]
            joins = cheapest_assignment(costs)
            paired = joins >= 0
            near = distances[paired, joins[paired]] < tag_threshold
            joins[paired] = np.where(near, joins[paired], -1)
        for peak, tag, group in zip(peaks, found, joins, strict=True):
            if group < 0:
                group = place.setdefault(float(tag[0]), len(place))
                sums[group], sizes[group] = 0, 0
            members[group, keypoint] = peak
            sums[group] += tag
            sizes[group] += 1
    return members[: len(place)]


@dataclass(frozen=True)
class _Axis:
    """How pixels of an enlarged axis come from those of the original one, as in `layers.resize`."""

    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray
    # `(n + 1, m)`, for the n + 1 gaps before, between and after n pixels the enlarged pixels there.
    gaps: np.ndarray

    @classmethod
    def of(cls, length: int, factor: int) -> "_Axis":
        position = (np.arange(length * factor) + 0.5) / factor - 0.5
        floor = np.floor(position).astype(int)
        starts = np.searchsorted(floor, np.arange(-1, length))
        # The first and the last gap may have fewer pixels than others: there some come twice.
        gaps = starts[:, None] + np.arange(factor)
        ends = np.append(starts[1:], len(floor))[:, None]
        return cls(
            np.clip(floor, 0, None),
            np.clip(floor + 1, None, length - 1),
            (position - floor).astype(np.float32),
            np.clip(gaps, 0, np.maximum(ends - 1, 0)),
        )


class EnlargedMaps:
    """Bilinearly enlarged maps of one image, of which only those pixels are made that matter.

    Args:
        heatmaps: `(h, w, K)`.
        tags: `(h, w, L * K)`, L sets of K.
        factor: int, how much larger than these the maps are that pixels are counted in.
    """

    def __init__(self, heatmaps: np.ndarray, tags: np.ndarray, factor: int):
        height, width, count = heatmaps.shape
        # (K, 1 + L, h, w): all of a keypoint together.
        maps = np.concatenate(
            [heatmaps[..., None, :], tags.reshape(height, width, -1, count)], axis=-2
        )
        self._maps = np.ascontiguousarray(maps.transpose(3, 2, 0, 1))
        self._rows, self._columns = _Axis.of(height, factor), _Axis.of(width, factor)
        self._extremes = {}

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the enlarged maps."""
        return len(self._columns.lower), len(self._rows.lower)

    def at(self, keypoint: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Heat and tags `(1 + L, ...)` at pixels, ints that broadcast to `(...)`."""
        maps, rows, columns = self._maps[keypoint], self._rows, self._columns
        left, right, across = columns.lower[x], columns.upper[x], columns.weight[x]
        upper, lower = (
            maps[:, row, left] + across * (maps[:, row, right] - maps[:, row, left])
            for row in (rows.lower[y], rows.upper[y])
        )
        return upper + rows.weight[y] * (lower - upper)

    def best(self, keypoint: int, tag: np.ndarray) -> tuple[int, int, float]:
        """Where a keypoint is likeliest for someone with this tag `(L,)`.

        The pixel with the least of 100 times the rounded distance of tags, less the heat; of equal
        ones the first. Between four original pixels enlarged ones are not beyond these: only the
        few places are looked into that can hold the least.

        Returns:
            x, y and the heat.
        """
        padded, hottest, lowest, highest = self._bounds(keypoint)
        tag = np.asarray(tag, np.float32)[:, None, None]
        beyond = np.maximum(np.maximum(lowest - tag, tag - highest) - _ROUNDING, 0)
        nearest = np.sqrt(np.square(beyond).sum(axis=0))
        bound = (np.rint(nearest) * 100 - hottest).reshape(-1)
        best, tried, cut = (np.inf, 0, 0.0), 0, _FIRST
        while tried < len(bound):
            # The most promising places first, until no other can hold anything better.
            places = np.flatnonzero(bound <= best[0] + _ROUNDING)
            if len(places) > cut:
                places = places[np.argpartition(bound[places], cut)[:cut]]
            if not len(places):
                break
            best = min(best, self._least(padded, tag, *np.unravel_index(places, hottest.shape)))
            bound[places] = np.inf
            tried, cut = tried + len(places), 4 * cut
        y, x = divmod(best[1], self.size[0])
        return x, y, best[2]

    def _bounds(self, keypoint):
        """The maps with their outermost pixels twice, `(1 + L, h + 2, w + 2)`, and of the pixels
        around each gap the most heat and the least and the most tags, `(..., h + 1, w + 1)`.
        """
        if keypoint not in self._extremes:
            padded = np.pad(self._maps[keypoint], ((0, 0), (1, 1), (1, 1)), mode="edge")
            rows = padded[:, 1:], padded[:, :-1]
            most, least = np.maximum(*rows), np.minimum(*rows)
            most = np.maximum(most[..., 1:], most[..., :-1])
            least = np.minimum(least[..., 1:], least[..., :-1])
            self._extremes[keypoint] = padded, most[0], least[1:], most[1:]
        return self._extremes[keypoint]

    def _least(self, padded, tag, row, column):
        """The least cost in some gaps, the first pixel that has it, as one number, and its heat."""
        y, x = self._rows.gaps[row], self._columns.gaps[column]
        across = self._columns.weight[x][:, None]
        down = self._rows.weight[y][:, :, None]
        upper, lower = (
            left + across * (right - left)
            for left, right in (
                (padded[:, i, column, None, None], padded[:, i, column + 1, None, None])
                for i in (row, row + 1)
            )
        )
        heat, *tags = upper + down * (lower - upper)
        distance = np.sqrt(sum(np.square(each - one) for each, one in zip(tags, tag, strict=True)))
        cost = np.rint(distance) * 100 - heat
        least = cost.min()
        pixel = (y[:, :, None] * self.size[0] + x[:, None])[cost == least]
        first = pixel.argmin()
        return float(least), int(pixel[first]), float(heat[cost == least][first])
