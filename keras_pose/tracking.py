"""Who is who from frame to frame: poses get the number of the person they belong to."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_pose.geometry import box_iou, points_to_xyxy
from keras_pose.geometry.oks import mean_similarity
from keras_pose.results import PoseResult

# Keypoints that are less sure do not say where somebody is.
_SEEN = 0.2
# A pose that resembles one of the same frame more than this is a second box around the same person,
# and one that is not sure must resemble its person more than this.
_SAME_PERSON = 0.5
# How much of a new step goes into the speed of a track; the swing of arms and legs is no speed.
_NEW_STEP = 0.255
# The area of a person in its box, as COCO-style evaluators take it, see `geometry.oks`.
_AREA_OF_BOX = 0.53
# For skeletons without sigmas: the mean of COCO's.
_SIGMA = 0.06


@dataclasses.dataclass
class _Track:
    """One person: the last pose, its speed in pixels a frame, and for how long it is out of sight.

    `lost` is 0 in the frame in which the person was found.
    """

    number: int
    keypoints: np.ndarray
    scores: np.ndarray
    box: np.ndarray
    speed: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    known: int = 0
    lost: int = 0

    def follow(self, keypoints: np.ndarray, scores: np.ndarray, box: np.ndarray) -> None:
        """Takes over the pose of the present frame."""
        seen = (scores >= _SEEN) & (self.scores >= _SEEN)
        if seen.any():  # the middle one: a swinging arm does not count
            step = np.median((keypoints - self.keypoints)[seen], axis=0)
        else:
            step = (box - self.box).reshape(2, 2).mean(axis=0)
        step = step / self.lost
        self.known += 1
        self.speed = self.speed + max(_NEW_STEP, 1 / self.known) * (step - self.speed)
        self.keypoints, self.scores, self.box, self.lost = keypoints, scores, box, 0


class PoseTracker:
    """Numbers the people of a video by where they are and how they stand.

    In every frame each person that is followed is expected where the last pose was, moved on by its
    speed. Poses and people are paired by their similarity, the mean of the IoU of the boxes and the
    OKS of the keypoints that both show, the most similar first. Sure poses choose first; the others
    only prolong tracks that were there in the frame before (as in ByteTrack, Zhang et al., 2022,
    https://arxiv.org/abs/2110.06864: a person who is half hidden gets a low score). Sure poses that
    nobody is found for start a track. Somebody out of sight is also looked for where he was last.

    Nothing is known of what people look like: who comes back later than `patience`, or elsewhere,
    gets a new number, and two who swap places while hidden swap their numbers. A tracker has a
    memory: take a new one, or `reset`, for each video.

    Example:

    ```python
    tracker = keras_pose.PoseTracker()
    for frame, poses in predictor.predict_video("walk.mp4", tracker=tracker):
        print(poses.track_ids)
    ```

    Args:
        threshold: float in 0..1, the box score (mean keypoint score where there are no boxes) from
            which a pose is sure. Default 0.3.
        match_threshold: float in 0..1, the least similarity of a person with its next pose.
            Default 0.2.
        patience: int, for how many frames somebody who is out of sight keeps the number. Default
            30.

    Raises:
        ValueError: for arguments outside of these ranges.
    """

    def __init__(self, threshold: float = 0.3, match_threshold: float = 0.2, patience: int = 30):
        for name, value in {"threshold": threshold, "match_threshold": match_threshold}.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {value}")
        if not isinstance(patience, int) or patience < 0:
            raise ValueError(f"patience must be a number of frames, at least 0, got {patience!r}")
        self.threshold = threshold
        self.match_threshold = match_threshold
        self.patience = patience
        self.reset()

    def reset(self) -> None:
        """Forgets everybody; numbers begin with 1 again."""
        self._tracks: list[_Track] = []
        self._count = 0
        self._skeleton = None

    def update(self, result: PoseResult) -> PoseResult:
        """The poses of the next frame with the numbers of the people.

        Args:
            result: poses of one frame, in image pixels; frames without poses count, too.

        Returns:
            The same poses with `track_ids`, int64 `(N,)` from 1 on; -1 for poses that are not sure
            and belong to nobody.

        Raises:
            ValueError: for poses of another skeleton than those before.
        """
        if self._skeleton not in (None, result.skeleton):
            raise ValueError(
                f"the tracker follows poses of {self._skeleton.name!r}, got "
                f"{result.skeleton.name!r}: take a new tracker for another video"
            )
        self._skeleton = result.skeleton
        keypoints, scores = result.keypoints[..., :2].astype(np.float64), result.scores
        boxes = points_to_xyxy(keypoints) if result.boxes is None else result.boxes
        boxes = boxes.astype(np.float64)
        certainty = scores.mean(axis=1) if result.box_scores is None else result.box_scores
        sure = certainty >= self.threshold
        for track in self._tracks:
            track.lost += 1
        numbers = np.full(len(result), -1, np.int64)
        moved, still = (self._similarity(keypoints, scores, boxes, moving=m) for m in (True, False))
        lost = np.array([track.lost for track in self._tracks], int)
        for poses, tracks, similarity, least in (
            (sure, lost > 0, moved, self.match_threshold),
            (sure, lost > 1, still, self.match_threshold),
            (~sure, lost == 1, moved, max(_SAME_PERSON, self.match_threshold)),
        ):
            free = tracks & np.array([track.lost > 0 for track in self._tracks], bool)
            allowed = (poses & (numbers < 0))[:, None] & free
            for pose, t in _pairs(np.where(allowed, similarity, -1), least):
                self._tracks[t].follow(keypoints[pose], scores[pose], boxes[pose])
                numbers[pose] = self._tracks[t].number
        for pose in np.flatnonzero(sure & (numbers < 0)):
            near = self._similarity(keypoints[[pose]], scores[[pose]], boxes[[pose]])[0]
            here = [value for value, t in zip(near, self._tracks, strict=True) if not t.lost]
            if max(here, default=0) < _SAME_PERSON:
                self._count += 1
                new = _Track(self._count, keypoints[pose], scores[pose], boxes[pose])
                self._tracks.append(new)
                numbers[pose] = self._count
        self._tracks = [track for track in self._tracks if track.lost <= self.patience]
        return dataclasses.replace(result, track_ids=numbers)

    def _similarity(self, keypoints, scores, boxes, moving: bool = False) -> np.ndarray:
        """Of `N` poses with the people that are followed, `(N, tracks)`: where these were last, or
        moved on by their speed."""
        if not self._tracks or not len(keypoints):
            return np.zeros((len(keypoints), len(self._tracks)))
        known = np.stack([track.keypoints for track in self._tracks])
        seen = np.stack([track.scores for track in self._tracks]) >= _SEEN
        places = np.stack([track.box for track in self._tracks])
        areas = _AREA_OF_BOX * np.prod(places[:, 2:] - places[:, :2], axis=1)
        if moving:
            steps = np.stack([track.lost * track.speed for track in self._tracks])
            known, places = known + steps[:, None], places + np.tile(steps, 2)
        sigmas = self._skeleton.sigmas
        sigmas = np.full(known.shape[1], _SIGMA) if sigmas is None else sigmas
        both = (scores >= _SEEN)[:, None] & seen
        squares = ((keypoints[:, None] - known) ** 2).sum(axis=-1)
        alike = mean_similarity(squares, sigmas, areas, both)
        overlaps = box_iou(boxes, places)
        return np.where(both.any(axis=-1), (alike + overlaps) / 2, overlaps)


class SupervisionTracker:
    """Somebody else's tracker of boxes, behind the interface of `PoseTracker`.

    For ByteTrack and others of the package trackers (`trackers.ByteTrackTracker()`, which replaces
    the one that supervision had until 0.29), or anything with the same method. What is used of it
    is `update(detections)`, or `update_with_detections(detections)` of the older ones:
    `supervision.Detections` in, the same or fewer of them with `tracker_id` out.

    Example:

    ```python
    tracker = keras_pose.tracking.SupervisionTracker(trackers.ByteTrackTracker())
    ```

    Args:
        tracker: the tracker.

    Raises:
        ImportError: the package supervision is not installed.
        ValueError: it has neither method.
    """

    def __init__(self, tracker: Any):
        names = ("update_with_detections", "update")
        update = next((getattr(tracker, name, None) for name in names if hasattr(tracker, name)), 0)
        if not callable(update):
            raise ValueError(
                "tracker must have a method update(supervision.Detections), got "
                f"{type(tracker).__name__}"
            )
        try:
            import supervision
        except ImportError:
            raise ImportError(
                "this needs the package supervision: pip install keras-pose[supervision]"
            ) from None
        self._detections = supervision.Detections
        self._update: Callable = update
        self.tracker = tracker

    def update(self, result: PoseResult) -> PoseResult:
        """See `PoseTracker.update`; a pose that the tracker leaves out belongs to nobody."""
        boxes = points_to_xyxy(result.keypoints[..., :2]) if result.boxes is None else result.boxes
        scores = result.scores.mean(axis=1) if result.box_scores is None else result.box_scores
        given = self._detections(
            xyxy=boxes.astype(np.float32).reshape(-1, 4),
            confidence=scores.astype(np.float32),
            class_id=np.zeros(len(result), int),
        )
        tracked = self._update(given)
        numbers = np.full(len(result), -1, np.int64)
        if len(tracked) and len(result) and tracked.tracker_id is not None:
            # It may leave boxes out and change their order.
            overlaps = box_iou(boxes, tracked.xyxy)
            for pose, other in _pairs(overlaps, 0.5):
                numbers[pose] = int(tracked.tracker_id[other])
        return dataclasses.replace(result, track_ids=np.maximum(numbers, -1))


def as_tracker(tracker: Any) -> Any:
    """What gives poses their numbers: a `PoseTracker`, or an adapter of another tracker.

    Args:
        tracker: True for a new `PoseTracker`, a `PoseTracker`, or a tracker that
            `SupervisionTracker` takes.

    Raises:
        ImportError, ValueError: see `SupervisionTracker`.
    """
    if tracker is True:
        return PoseTracker()
    if isinstance(tracker, PoseTracker | SupervisionTracker):
        return tracker
    return SupervisionTracker(tracker)


def _pairs(similarity: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Positions of rows and columns that belong together, the most similar first, each once."""
    pairs, rows, columns = [], set(), set()
    for flat in np.argsort(-similarity, axis=None, kind="stable").tolist():
        row, column = divmod(flat, similarity.shape[1])
        value = similarity[row, column]
        if value < least or value <= 0:
            break
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs
