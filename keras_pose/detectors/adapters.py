"""Other people's detectors behind one signature.

`as_detector` turns any of them into a function `detect(images, threshold, iou_threshold)`, where
`images` is a list of `(H, W, 3)` uint8 RGB arrays, that returns for each image `(boxes, scores)`:
float32 `(N, 4)` xyxy in image pixels and `(N,)`, best first, at least `threshold`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_pose.geometry import clip_boxes, xywh_to_xyxy

Detected = tuple[np.ndarray, np.ndarray]
Detect = Callable[[Sequence[np.ndarray], float, float], list[Detected]]

_DEFAULT_SIZE = (640, 640)
_LARGEST_BATCH = 8


def as_detector(detector: Any) -> Detect:
    """Gives any person detector the signature described in this module.

    Args:
        detector: one of

            - a `PersonDetector`, or anything else with `detect(images, threshold, iou_threshold)`
              that returns objects with `boxes` and `scores`;
            - a KerasHub or keras-cv object detector, which becomes a `KerasDetector`;
            - a callable that takes one RGB image and returns boxes `(N, 4)` xyxy in image pixels, a
              tuple `(boxes, scores)`, or an object with `xyxy` and `confidence` such as
              `supervision.Detections`. It alone decides about overlapping boxes; without scores
              every box counts as certain.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(detector, KerasDetector):
        return detector
    if hasattr(detector, "detect"):
        return _OwnDetector(detector)
    if hasattr(detector, "predict") and hasattr(detector, "bounding_box_format"):
        return KerasDetector(detector)
    if callable(detector):
        return _CallableDetector(detector)
    raise ValueError(
        "detector must be a PersonDetector, a KerasHub or keras-cv object detector, or a callable "
        f"that returns boxes, got {type(detector).__name__}"
    )


class KerasDetector:
    """A KerasHub or keras-cv object detector as a detector of people.

    Photos are fitted into the detector's input size (stretched where its preprocessor stretches,
    else scaled and filled up with black at the right and bottom), so that its own resizing has
    nothing left to do, and boxes are mapped back into image pixels.

    The classes of neither package are imported. What is used of them: `predict(images,
    batch_size=, verbose=)` with a dict of `boxes`, `confidence`, `labels` (KerasHub) or `classes`
    (keras-cv) and `num_detections`, unused rows last; `bounding_box_format`; `num_classes`;
    KerasHub's `preprocessor.image_converter`. Written against keras-hub 0.32 and keras-cv 0.9.

    Example:

    ```python
    detector = keras_hub.models.ObjectDetector.from_preset("dfine_nano_coco")
    predictor = PosePredictor(estimator, KerasDetector(detector))
    ```

    Args:
        detector: the object detector.
        image_size: (height, width) of its input. Default: its preprocessor's, else its input
            shape, else 640 x 640.
        person_class: its label for people. Default: 1 for detectors of 90 or more classes, which
            number COCO's categories from 1, else 0.
    """

    def __init__(
        self,
        detector: Any,
        image_size: tuple[int, int] | None = None,
        person_class: int | None = None,
    ):
        self.detector = detector
        converter = getattr(getattr(detector, "preprocessor", None), "image_converter", None)
        own_size = getattr(converter, "image_size", None) or _input_size(detector)
        self.image_size = tuple(image_size or own_size or _DEFAULT_SIZE)
        self.stretches = converter is not None and not (
            getattr(converter, "crop_to_aspect_ratio", True)
            or getattr(converter, "pad_to_aspect_ratio", True)
        )
        if person_class is None:
            person_class = int(getattr(detector, "num_classes", 80) >= 90)
        self.person_class = person_class

    def __call__(
        self, images: Sequence[np.ndarray], threshold: float, iou_threshold: float
    ) -> list[Detected]:
        """See the module; overlapping boxes are left to the detector's own decoder."""
        found = []
        for start in range(0, len(images), _LARGEST_BATCH):
            found += self._detect_batch(images[start : start + _LARGEST_BATCH], threshold)
        return found

    def _detect_batch(self, images: Sequence[np.ndarray], threshold: float) -> list[Detected]:
        # Powers of two, so that few batch sizes are compiled.
        size = 1 << (len(images) - 1).bit_length()
        height, width = self.image_size
        batch = np.zeros((size, height, width, 3), np.float32)
        ratios = [self._fit(image, slot) for image, slot in zip(images, batch, strict=False)]
        outputs = self.detector.predict(batch, batch_size=size, verbose=0)
        outputs = {key: np.asarray(value) for key, value in outputs.items()}
        boxes = _to_xyxy(outputs["boxes"], self.detector.bounding_box_format, self.image_size)
        scores = outputs["confidence"]
        labels = outputs["labels"] if "labels" in outputs else outputs["classes"]
        used = np.arange(scores.shape[1]) < outputs["num_detections"].reshape(-1, 1)
        keep = used & (labels == self.person_class)
        return [
            _cleaned(boxes[i][keep[i]] * np.tile(ratio, 2), scores[i][keep[i]], image, threshold)
            for i, (image, ratio) in enumerate(zip(images, ratios, strict=True))
        ]

    def _fit(self, image: np.ndarray, slot: np.ndarray) -> np.ndarray:
        """Draws the image into its slot and returns image pixels per slot pixel, (x, y)."""
        import cv2

        sides = np.array(image.shape[1::-1], np.float32)
        target = np.array(slot.shape[1::-1], np.float32)
        scale = target / sides
        if not self.stretches:
            scale[:] = scale.min()
        width, height = np.maximum(np.round(sides * scale), 1).astype(int)
        shrinks = width * height < image.shape[0] * image.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        slot[:height, :width] = cv2.resize(image, (int(width), int(height)), interpolation=method)
        return sides / (width, height)


class _OwnDetector:
    """Anything with the `detect` method of `PersonDetector`."""

    def __init__(self, detector: Any):
        self.detector = detector

    def __call__(self, images, threshold, iou_threshold):
        found = self.detector.detect(list(images), threshold=threshold, iou_threshold=iou_threshold)
        return [
            _cleaned(one.boxes, one.scores, image, threshold)
            for one, image in zip(found, images, strict=True)
        ]


class _CallableDetector:
    """A function of one image."""

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, images, threshold, iou_threshold):
        return [_cleaned(*_unpacked(self.function(im)), im, threshold) for im in images]


def _unpacked(found: Any) -> tuple[Any, Any]:
    """Boxes, and scores or None, of what a callable has returned."""
    if hasattr(found, "xyxy"):
        return found.xyxy, getattr(found, "confidence", None)
    pair = isinstance(found, tuple) and len(found) == 2
    if pair and np.ndim(found[1]) == 1 and (np.ndim(found[0]) == 2 or len(found[0]) == 0):
        return found
    return found, None


def _cleaned(boxes, scores, image: np.ndarray, threshold: float) -> Detected:
    """Boxes inside the image with an area and a sufficient score, best first."""
    size = image.shape[1], image.shape[0]
    boxes = np.asarray(boxes, np.float32)
    if not boxes.size:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"the detector's boxes must be (N, 4) xyxy in image pixels, got shape {boxes.shape}"
        )
    if not np.isfinite(boxes).all():
        raise ValueError("the detector's boxes must be finite numbers (no NaN or infinity)")
    boxes = clip_boxes(boxes, size)
    scores = np.ones(len(boxes)) if scores is None else np.asarray(scores)
    scores = scores.astype(np.float32)
    if scores.shape != (len(boxes),):
        raise ValueError(
            f"the detector's scores must be ({len(boxes)},) as its boxes, got {scores.shape}"
        )
    # One that sticks out by its whole area is no reason to stop.
    keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (scores >= threshold)
    order = np.argsort(-scores[keep], kind="stable")
    return boxes[keep][order], scores[keep][order]


def _input_size(detector: Any) -> tuple[int, int] | None:
    shape = getattr(detector, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:3]:
        return None
    return shape[1:3]


def _to_xyxy(boxes: np.ndarray, form: str, image_size: tuple[int, int]) -> np.ndarray:
    """Boxes of a Keras bounding box format as xyxy pixels of an image of (height, width)."""
    absolute = form.lower().removeprefix("rel_")
    if absolute == "yxyx":
        boxes = boxes[..., [1, 0, 3, 2]]
    elif absolute == "xywh":
        boxes = xywh_to_xyxy(boxes)
    elif absolute == "center_xywh":
        half = boxes[..., 2:] / 2
        boxes = np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)
    elif absolute != "xyxy":
        raise ValueError(f"the detector's bounding box format {form!r} is not known here")
    if absolute == form.lower():
        return boxes
    height, width = image_size
    return boxes * np.array([width, height, width, height], boxes.dtype)
