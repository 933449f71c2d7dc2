"""Keypoints of one skeleton as those of another: one to one, or the middle of two."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_pose.skeleton import Point, Skeleton

# (source, target) or ((source, source), target)
Pair = tuple[Point | Sequence[Point], Point]


@dataclass(frozen=True, eq=False)
class KeypointMapping:
    """Where the keypoints of a skeleton come from in another one.

    Args:
        first: int64 `(K,)`, a source keypoint for every target keypoint, -1 for none.
        second: int64 `(K,)`, another one: the target is the middle of the two. The same as `first`
            where there is only one.
    """

    first: np.ndarray
    second: np.ndarray

    @classmethod
    def from_pairs(
        cls, pairs: Iterable[tuple[int | Sequence[int], int]], num_targets: int
    ) -> "KeypointMapping":
        """The mapping of pairs of indices, as MMPose's `KeypointConverter` lists them.

        Args:
            pairs: (source, target), or ((source, source), target) for the middle of two.
            num_targets: int, `K`.

        Raises:
            ValueError: for a target that is named twice or does not exist.
        """
        first = np.full(num_targets, -1)
        second = first.copy()
        for source, target in pairs:
            sources = np.atleast_1d(source)
            if len(sources) not in (1, 2) or sources.min() < 0:
                raise ValueError(
                    f"keypoint {target} must come from one keypoint or two, got {source!r}"
                )
            if not 0 <= target < num_targets:
                raise ValueError(f"there is no keypoint {target} among {num_targets} to map to")
            if first[target] >= 0:
                raise ValueError(f"keypoint {target} is mapped twice")
            first[target], second[target] = sources[0], sources[-1]
        return cls(first, second)

    @classmethod
    def between(
        cls, source: Skeleton, target: Skeleton, pairs: Iterable[Pair] | None = None
    ) -> "KeypointMapping":
        """The mapping between two skeletons.

        Args:
            source, target: Skeleton.
            pairs: (source, target) or ((source, source), target), each keypoint by name or index.
                Default: keypoints whose names agree (but for case, spaces and hyphens).

        Raises:
            ValueError: for unknown keypoints (the nearest are named), or if nothing is mapped.

        Example:
            >>> KeypointMapping.between(Skeleton.load("coco"), Skeleton.load("h36m"), [
            ...     (("left_hip", "right_hip"), "root"), ("left_hip", "left_hip")])
        """
        if pairs is None:
            places = {_plain(name): i for i, name in enumerate(source.keypoints)}
            names = enumerate(target.keypoints)
            pairs = [(places[_plain(n)], i) for i, n in names if _plain(n) in places]
        else:
            pairs = [(_sources(source, a), _index(target, b)) for a, b in pairs]
        if not pairs:
            raise ValueError(
                f"skeletons {source.name!r} and {target.name!r} have no keypoint name in common; "
                "say which keypoints correspond, as pairs (source, target)"
            )
        return cls.from_pairs(pairs, target.num_keypoints)

    @property
    def mapped(self) -> np.ndarray:
        """Bools `(K,)`: which target keypoints have a source."""
        return self.first >= 0

    def __call__(
        self, keypoints: np.ndarray, visible: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints as those of the target skeleton.

        Args:
            keypoints: array `(..., S, D)`.
            visible: array `(..., S)`. Default: ones.

        Returns:
            Keypoints `(..., K, D)` and visibility `(..., K)`, 0 where nothing is mapped. The middle
            of two is as visible as the product of theirs.
        """
        keypoints = np.asarray(keypoints)
        if visible is None:
            visible = np.ones(keypoints.shape[:-1], np.float32)
        visible, mapped = np.asarray(visible), self.mapped
        first, second = np.maximum(self.first, 0), np.maximum(self.second, 0)
        points = (keypoints[..., first, :] + keypoints[..., second, :]) / 2
        # a single source counts once
        shown = visible[..., first] * np.where(first == second, 1, visible[..., second])
        points = np.where(mapped[:, None], points, 0).astype(keypoints.dtype)
        return points, np.where(mapped, shown, 0).astype(visible.dtype)


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")


def _sources(skeleton: Skeleton, value: Point | Sequence[Point]) -> list[int]:
    several = not isinstance(value, str | int | np.integer)
    return [_index(skeleton, point) for point in (value if several else [value])]


def _index(skeleton: Skeleton, point: Point) -> int:
    if isinstance(point, str):
        return skeleton.index(point)
    if not 0 <= point < skeleton.num_keypoints:
        raise ValueError(
            f"skeleton {skeleton.name!r} has {skeleton.num_keypoints} keypoints, there is none "
            f"with number {point}"
        )
    return int(point)
