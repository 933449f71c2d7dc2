"""`keras-pose predict --lift`: the 3D poses of a video's tracks, and their pictures."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_pose.estimators import PoseLifter
from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton
from keras_pose.visualization import draw_pose_3d
from keras_pose.visualization.shapes import INSTANCE_COLORS, write_label

# People whose 3D poses are drawn at a time; the files have everybody's.
MOST_DRAWN = 6
# Metres that their pictures show, more where somebody is taller.
LEAST_HEIGHT = 2.3
# Of a film's lowest keypoints the floor is below most: single wrong depths do not move it.
_FLOOR_PERCENTILE = 90


class VideoLifting:
    """Lifts what was found in whole videos, and says what could not be as it should.

    Args:
        lifter: who lifts.
        skeleton: of the 2D poses.
        mapping: see `PoseLifter.lift`, or None.
        flip_test: bool, average with the mirrored poses.

    Raises:
        ValueError: the lifter was trained for another skeleton; it says which mapping is needed.
    """

    def __init__(
        self,
        lifter: PoseLifter,
        skeleton: Skeleton,
        mapping: Mapping | None = None,
        flip_test: bool = False,
    ):
        self.lifter = lifter
        self.options = {"mapping": mapping, "flip_test": flip_test}
        try:
            nothing = np.zeros((0, skeleton.num_keypoints, 2))
            lifter.lift(nothing, skeleton=skeleton, mapping=mapping)
        except ValueError as error:
            raise ValueError(f"{error} (--lift-mapping reads it from a JSON file)") from None

    def lift(self, results: list[PoseResult]) -> list[PoseResult]:
        """The 3D poses of those who are tracked, one result a frame."""
        return self.lifter.predict_poses(results, **self.options)

    def remarks(self, results: list[PoseResult]) -> list[str]:
        """Sentences about sequences that are short or have gaps."""
        frames = track_frames(results)
        if not frames:
            return ["nobody was followed, so there is nothing to lift"]
        remarks, reach = [], self.lifter.frames
        short = {
            track: numbers[-1] - numbers[0] + 1
            for track, numbers in frames.items()
            if numbers[-1] - numbers[0] + 1 < reach
        }
        if short:
            remarks.append(
                f"{_listed(short, 'frames long')}: less than the {reach} frames that the lifter "
                "looks at, so first and last poses stand for those before and after"
            )
        gaps = {track: n[-1] - n[0] + 1 - len(n) for track, n in frames.items()}
        gaps = {track: count for track, count in gaps.items() if count}
        if gaps:
            remarks.append(
                f"{_listed(gaps, 'frames missing')}: 2D poses are filled in between those around "
                "them, and no 3D poses are given there"
            )
        return remarks


class SpaceView:
    """Pictures of the 3D poses, to be laid beside the frames of a video.

    Each person has a place of his own, from the first frame of the track to the last.

    Args:
        lifted: one result a frame.
    """

    def __init__(self, lifted: list[PoseResult]):
        self.lifted = lifted
        self._places: dict[int, int] = {}
        ends: list[int] = []  # of each place, the last frame in which it is taken
        for track, frames in sorted(track_frames(lifted).items(), key=lambda item: item[1][0]):
            free = [i for i, end in enumerate(ends) if end < frames[0]]
            if not free:
                free = [len(ends)]
                ends.append(0)
            ends[free[0]] = frames[-1]
            self._places[track] = free[0]
        self._count = min(max(1, len(ends)), MOST_DRAWN)
        lowest: dict[int, list[float]] = {}
        for result in lifted:
            for track, pose in zip(_numbers(result), result.keypoints, strict=True):
                lowest.setdefault(track, []).append(float(pose[:, 1].max()))
        self._floors = {
            track: np.percentile(values, _FLOOR_PERCENTILE) for track, values in lowest.items()
        }
        sizes = [np.ptp(result.keypoints[..., 1], axis=1) for result in lifted]
        tallest = float(np.concatenate([*sizes, [0.0]]).max())
        self._height = max(LEAST_HEIGHT, 1.3 * tallest)

    def beside(self, picture: np.ndarray, frame: int) -> np.ndarray:
        """The picture `(H, W, 3)` of a frame with the 3D poses at its right, `(H, W + w, 3)`."""
        height, width = picture.shape[:2]
        columns = 1 if self._count <= 2 else 2
        rows = -(-self._count // columns)
        size = (max(8, min(height // rows, (2 * width) // (3 * columns))), height // rows)
        result = self.lifted[frame]
        poses = dict(zip(_numbers(result), result.keypoints, strict=True))
        shown = {self._places[track]: track for track in poses}
        view = np.zeros((height, columns * size[0], 3), np.uint8)
        for place in range(self._count):
            track = shown.get(place)
            panel = draw_pose_3d(
                poses.get(track),
                result.skeleton,
                size,
                floor=self._floors.get(track),
                height=self._height,
            )
            if track is not None:
                color = INSTANCE_COLORS[track % len(INSTANCE_COLORS)]
                write_label(panel, f"#{track}", np.array([6, 32]), 11, color)
            row, column = divmod(place, columns)
            left, top = column * size[0], row * size[1]
            view[top : top + size[1], left : left + size[0]] = panel
            view[top : top + size[1], left] = 0
        return np.concatenate([picture, view], axis=1)


def read_mapping(path: str | None) -> dict | None:
    """The mapping between skeletons that a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON object of names or lists of names.
    """
    if path is None:
        return None
    try:
        mapping = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no mapping file {path}") from None
    except ValueError as error:
        raise ValueError(f"the mapping file {path} is not JSON: {error}") from None
    if not isinstance(mapping, dict) or not all(_are_names(value) for value in mapping.values()):
        raise ValueError(
            f'the mapping file {path} must be {{"keypoint of the lifter": ["keypoint", ...], ...}}'
        )
    return mapping


def track_frames(results: list[PoseResult]) -> dict[int, list[int]]:
    """The numbers of the frames that each track is in."""
    frames: dict[int, list[int]] = {}
    for frame, result in enumerate(results):
        for track in _numbers(result):
            if track >= 0:
                frames.setdefault(track, []).append(frame)
    return frames


def _numbers(result: PoseResult) -> list[int]:
    return [] if result.track_ids is None else result.track_ids.tolist()


def _are_names(value) -> bool:
    values = value if isinstance(value, list) and value else [value]
    return all(isinstance(name, str) for name in values)


def _listed(counts: dict[int, int], what: str) -> str:
    """ "track 1 (44 frames long), track 2 (...)"; of many tracks only how many."""
    if len(counts) > 4:
        return f"{len(counts)} tracks ({min(counts.values())} to {max(counts.values())} {what})"
    return ", ".join(f"track {track} ({count} {what})" for track, count in counts.items())
