"""The work of `keras-pose predict`, once all is prepared: one source after the other."""

import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_pose.cli.boxes import Boxes, BoxFile
from keras_pose.cli.lifting import SpaceView, VideoLifting
from keras_pose.cli.outputs import Outcome, clear_people, write_picture
from keras_pose.cli.sources import Source
from keras_pose.images import read_image
from keras_pose.predictor import PosePredictor
from keras_pose.results import PoseResult
from keras_pose.tracking import PoseTracker
from keras_pose.video import VideoReader, VideoWriter

# Photos or frames that are in memory together, and whose people share batches.
_TOGETHER = 4

_Photo = tuple[Source, np.ndarray, Boxes | None]


class PredictionJob:
    """Predicts sources, draws them, and reports those that fail on stderr.

    Args:
        predictor: who predicts.
        boxes: boxes of photos in place of the predictor's detector, or None.
        paths: where drawings go, by source; empty draws nothing.
        style: options of `PoseResult.draw`.
        draw_threshold: people of less certain boxes are not drawn.
        max_frames: where videos stop, or None.
        track: whether the people of videos are numbered.
        lifting: gives those of video files 3D poses, or None; it needs `track`.

    Attributes:
        outcomes: what was found, in the order of the work.
        failures: number of sources that failed, wholly or in part.
    """

    def __init__(
        self,
        predictor: PosePredictor,
        boxes: BoxFile | None,
        paths: dict[Source, Path],
        style: dict[str, Any],
        draw_threshold: float = 0.0,
        max_frames: int | None = None,
        track: bool = False,
        lifting: VideoLifting | None = None,
    ):
        self.predictor = predictor
        self.boxes = boxes
        self.paths = paths
        self.style = style
        self.draw_threshold = draw_threshold
        self.max_frames = max_frames
        self.track = track
        self.lifting = lifting
        self.outcomes: list[Outcome] = []
        self.failures = 0

    def run(self, sources: list[Source]) -> None:
        """Does all photos, then each video."""
        self._photos([source for source in sources if not source.is_video])
        for source in sources:
            if source.is_video:
                self._video(source)

    def _photos(self, photos: list[Source]) -> None:
        # None: tqdm looks whether stderr is a terminal.
        hidden = True if len(photos) <= _TOGETHER else None
        with tqdm(total=len(photos), unit="photo", leave=False, disable=hidden) as bar:
            for start in range(0, len(photos), _TOGETHER):
                group = photos[start : start + _TOGETHER]
                for outcome, image in self._predict_group(group):
                    self.outcomes.append(outcome)
                    if outcome.source in self.paths:
                        drawn = self._draw(outcome.results[0], image)
                        write_picture(self.paths[outcome.source], drawn)
                bar.update(len(group))

    def _draw(self, result: PoseResult, image: np.ndarray) -> np.ndarray:
        return clear_people(result, self.draw_threshold).draw(image, **self.style)

    def _predict_group(self, group: list[Source]) -> list[tuple[Outcome, np.ndarray]]:
        """Predicts photos together; one that cannot be used is reported and left out."""
        started = time.perf_counter()
        photos = [photo for photo in map(self._read, group) if photo]
        seconds = time.perf_counter() - started
        try:
            if not self.outcomes:  # compile first, so that all times are comparable
                self._predict(photos)
            started = time.perf_counter()
            results = self._predict(photos)
        except ValueError:  # the boxes of one of them: find out of which
            return self._one_by_one(photos)
        seconds += time.perf_counter() - started
        return [
            (Outcome(source, [result], seconds / len(photos)), image)
            for (source, image, _), result in zip(photos, results, strict=True)
        ]

    def _one_by_one(self, photos: list[_Photo]) -> list[tuple[Outcome, np.ndarray]]:
        done = []
        for source, image, boxes in photos:
            started = time.perf_counter()
            try:
                results = self._predict([(source, image, boxes)])
            except ValueError as error:
                self._fail(source, error)
            else:
                done.append((Outcome(source, results, time.perf_counter() - started), image))
        return done

    def _read(self, source: Source) -> _Photo | None:
        try:
            boxes = self.boxes.of(source.target) if self.boxes else None
            return source, read_image(source.target), boxes
        except (ValueError, OSError) as error:
            self._fail(source, error)
            return None

    def _predict(self, photos: list[_Photo]) -> list[PoseResult]:
        images = [image for _, image, _ in photos]
        if self.boxes is None:
            return self.predictor.predict(images)
        boxes = [boxes for _, _, (boxes, _) in photos]
        return self.predictor.predict(images, boxes, [scores for _, _, (_, scores) in photos])

    def _video(self, source: Source) -> None:
        if self.boxes:
            self._fail(source, "boxes from a file are for photos only")
            return
        try:
            video = VideoReader(source.target)
        except (ValueError, OSError) as error:
            self._fail(source, error)
            return
        outcome = Outcome(source, timed=0)
        path = self.paths.get(source)
        total = min(filter(None, [video.frame_count, self.max_frames]), default=None)
        stopped = False
        with (
            video,
            VideoWriter(path, video.fps) if path and not self.lifting else nullcontext() as writer,
            tqdm(total=total, unit="frame", desc=source.name, leave=False, disable=None) as bar,
        ):
            try:
                for frame, result in self._timed_frames(video, outcome):
                    if writer:
                        writer.write(self._draw(result, frame))
                    bar.update()
            except ValueError as error:  # what was read before it is kept
                self._fail(source, error)
            except KeyboardInterrupt:  # so it is when somebody stops it
                stopped = True
        if outcome.results:
            self.outcomes.append(outcome)
            if self.lifting:
                self._lift(outcome, path)
        if stopped and not source.is_live:
            raise KeyboardInterrupt

    def _lift(self, outcome: Outcome, path: Path | None) -> None:
        """Lifts a video that was read to its end, and reads it once more to draw it."""
        source, results = outcome.source, outcome.results
        for remark in self.lifting.remarks(results):
            say(f"{source.name}: {remark}")
        outcome.lifted = self.lifting.lift(results)
        if path is None:
            return
        view = SpaceView(outcome.lifted)
        with (
            VideoReader(source.target) as video,
            VideoWriter(path, video.fps) as writer,
            tqdm(
                total=len(results), unit="frame", desc="drawing", leave=False, disable=None
            ) as bar,
        ):
            # The results end before frames that cannot be read.
            for (number, result), frame in zip(enumerate(results), video, strict=False):
                writer.write(view.beside(self._draw(result, frame), number))
                bar.update()

    def _timed_frames(
        self, video: VideoReader, outcome: Outcome
    ) -> Iterator[tuple[np.ndarray, PoseResult]]:
        """Frames and results up to the maximum; puts results and their times into the outcome."""
        together = 1 if outcome.source.is_live else _TOGETHER
        tracker = PoseTracker() if self.track else None
        frames = self.predictor.predict_frames(video, together, tracker)
        while len(outcome.results) != self.max_frames:
            if len(outcome.results) == together:  # the first ones compiled the programs
                outcome.seconds, outcome.timed = 0.0, 0
            started = time.perf_counter()
            frame, result = next(frames, (None, None))
            if frame is None:
                return
            outcome.seconds += time.perf_counter() - started
            outcome.timed += 1
            outcome.results.append(result)
            yield frame, result

    def _fail(self, source: Source, error: object) -> None:
        self.failures += 1
        text = str(error)
        say(text if source.name in text else f"{source.name}: {text}")


def say(text: str) -> None:
    """Tells the user something that is no result."""
    tqdm.write(f"keras-pose: {text}", file=sys.stderr)
