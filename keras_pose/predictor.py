"""PosePredictor: photos and videos in, poses in image pixels out."""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_pose.detectors.adapters import as_detector
from keras_pose.estimators import BottomupEstimator
from keras_pose.images import as_rgb, read_image
from keras_pose.results import PoseResult
from keras_pose.tracking import as_tracker

Image = np.ndarray | str | os.PathLike


class PosePredictor:
    """Finds the people in images, then the pose of each.

    The people of all images of a call share batches, which the estimator fills up to a few fixed
    sizes, so nothing is compiled anew for another number of people.

    Example:

    ```python
    estimator = keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")
    detector = keras_pose.PersonDetector.from_preset("centernet_mobilenet_v3_coco")
    predictor = keras_pose.PosePredictor(estimator, detector)
    image = keras_pose.images.read_image("street.jpg")
    picture = predictor.predict(image).draw(image)
    ```

    Args:
        estimator: a top-down estimator, or a `BottomupEstimator`, which needs no detector.
        detector: who finds the people: a `PersonDetector`, a KerasHub or keras-cv object detector,
            or a callable `image -> boxes` or `image -> (boxes, scores)`, see
            `keras_pose.detectors.adapters.as_detector`. Default None: each image shows one person
            who fills it.
        threshold: float in 0..1, people that the detector (or the bottom-up estimator) is less sure
            of are left out. Default
            0.1, with which the published accuracy is measured; pictures for people to look at are
            tidier with 0.3.
        iou_threshold: float in 0..1, of two boxes that overlap more only the better is kept.
            Default 0.5. Foreign detectors decide this themselves.
        batch_size: largest number of crops in a batch. Default 16.
        flip_test: whether to average with the mirrored crop: twice the time, a little more
            accurate. Default False.
    """

    def __init__(
        self,
        estimator: Any,
        detector: Any = None,
        threshold: float = 0.1,
        iou_threshold: float = 0.5,
        batch_size: int = 16,
        flip_test: bool = False,
    ):
        for name, value in {"threshold": threshold, "iou_threshold": iou_threshold}.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {value}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.bottom_up = isinstance(estimator, BottomupEstimator)
        if self.bottom_up and detector is not None:
            raise ValueError("a bottom-up estimator finds the people itself: leave out detector")
        self.estimator = estimator
        self.detector = None if detector is None else as_detector(detector)
        self.threshold = threshold
        self.iou_threshold = iou_threshold
        self.batch_size = batch_size
        self.flip_test = flip_test

    def predict(
        self,
        images: Image | Sequence[Image],
        boxes: Any = None,
        box_scores: Any = None,
    ) -> PoseResult | list[PoseResult]:
        """Finds the poses in one image or in several.

        Args:
            images: an `(H, W, 3)` uint8 RGB array (others are converted, see `as_rgb`) or the path
                of a file, or a list of these.
            boxes: `(N, 4)` xyxy in image pixels in place of the detector's, or a list of such
                arrays, one an image.
            box_scores: `(N,)` scores of the boxes, or a list of them. Default: unknown.

        Returns:
            A `PoseResult` for one image, a list of them for a list; without poses where nobody
            was found.

        Raises:
            FileNotFoundError: an image file is missing.
            ValueError: an image cannot be read, or boxes are not what they should be.
        """
        if isinstance(images, np.ndarray | str | os.PathLike):
            boxes = None if boxes is None else [boxes]
            box_scores = None if box_scores is None else [box_scores]
            return self._predict_list([images], boxes, box_scores)[0]
        return self._predict_list(list(images), boxes, box_scores)

    def predict_video(
        self, source: str | os.PathLike | int, batch_frames: int = 8, tracker: Any = None
    ) -> Iterator[tuple[np.ndarray, PoseResult]]:
        """Finds the poses in each frame of a video, while it is read.

        Args:
            source: path of a video file, URL of a stream, or index of a webcam.
            batch_frames: number of frames that are handled together; webcams and streams are
                always handled frame by frame. Default 8.
            tracker: who numbers the people: True for a new `PoseTracker`, a tracker of your own
                settings, or another package's, see `keras_pose.tracking.as_tracker`. Default None:
                results have no `track_ids`.

        Yields:
            `(frame, result)`: the upright `(H, W, 3)` uint8 RGB frame and its `PoseResult`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a video; or, after everything that could be read, it is damaged.
        """
        from keras_pose.video import VideoReader

        with VideoReader(source) as video:
            batch_frames = batch_frames if video.frame_count else 1
            yield from self.predict_frames(video, batch_frames, tracker)

    def predict_frames(
        self, frames: Iterator[np.ndarray], batch_frames: int = 8, tracker: Any = None
    ) -> Iterator[tuple[np.ndarray, PoseResult]]:
        """As `predict_video`, for frames that come from elsewhere.

        Args:
            frames: iterable of `(H, W, 3)` uint8 RGB arrays. An error that it raises comes after
                the results of all frames before it.
            batch_frames: number of frames that are handled together. Default 8.
            tracker: see `predict_video`.
        """
        tracker = None if tracker is None else as_tracker(tracker)
        frames = iter(frames)
        problem = None
        while problem is None:
            batch = []
            try:
                for frame in itertools.islice(frames, batch_frames):
                    batch.append(frame)  # one by one: an error must not lose the others
            except ValueError as error:
                problem = error
            if not batch and problem is None:
                return
            for frame, result in zip(batch, self.predict(batch), strict=True):
                yield frame, result if tracker is None else tracker.update(result)
        raise problem

    def _predict_list(self, images: list, boxes: Any, box_scores: Any) -> list[PoseResult]:
        for name, value in {"boxes": boxes, "box_scores": box_scores}.items():
            if value is not None and len(value) != len(images):
                raise ValueError(
                    f"{name} must be a list with an entry for each of the {len(images)} images, "
                    f"got {len(value)}"
                )
        if self.bottom_up and boxes is not None:
            raise ValueError("a bottom-up estimator finds the people itself: leave out boxes")
        if not images:
            return []
        images = [
            as_rgb(image, f"images[{index}]")
            if isinstance(image, np.ndarray)
            else read_image(image)
            for index, image in enumerate(images)
        ]
        options = {"flip_test": self.flip_test, "batch_size": self.batch_size}
        if self.bottom_up:
            return self.estimator.predict_poses(images, threshold=self.threshold, **options)
        if boxes is None and self.detector is not None:
            found = self.detector(images, self.threshold, self.iou_threshold)
            boxes, box_scores = (list(column) for column in zip(*found, strict=True))
        return self.estimator.predict_poses(images, boxes=boxes, box_scores=box_scores, **options)
