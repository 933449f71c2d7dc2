"""The package's own detector."""

from pathlib import Path

import keras
import numpy as np

from keras_pose.detectors.detections import Detections
from keras_pose.geometry import box_nms
from keras_pose.images import as_rgb, read_image
from keras_pose.model import ImageModel

# fmt: off
COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on


@keras.saving.register_keras_serializable(package="keras_pose")
class PersonDetector(ImageModel):
    """Finds people (and, as its weights know them, other objects) in photos.

    Args:
        backbone, head, neck, preprocess: see `ImageModel`; the head's codec decodes `boxes`,
            `scores` and `classes`.
        input_size: (width, height) that photos are stretched to.
        class_names: names of the head's classes.

    Example:

    ```python
    detector = keras_pose.PersonDetector.from_preset("centernet_mobilenet_v3_coco")
    people = detector.detect("photo.jpg", threshold=0.3)
    people.boxes, people.scores
    ```
    """

    task = "object detection"

    def __init__(
        self,
        backbone,
        head,
        neck=None,
        preprocess=None,
        input_size=(512, 512),
        class_names=COCO_CLASSES,
        **kwargs,
    ):
        super().__init__(
            backbone, head, neck=neck, preprocess=preprocess, input_size=input_size, **kwargs
        )
        self.class_names = tuple(class_names)
        self.build()

    def detect(
        self,
        images,
        threshold: float = 0.1,
        iou_threshold: float = 0.5,
        classes=("person",),
        batch_size: int = 8,
    ) -> Detections | list[Detections]:
        """Boxes in image pixels.

        Args:
            images: a photo or a list of them: paths, or RGB arrays `(H, W, 3)` uint8.
            threshold: float in 0..1, the least score.
            iou_threshold: float in 0..1; of two boxes of a class that overlap more the weaker is
                dropped.
            classes: name or names of the classes to keep, None for all.
            batch_size: int, most photos per batch.

        Returns:
            `Detections`, or a list of them where `images` is a list.
        """
        several = isinstance(images, list | tuple)
        photos = [
            read_image(image)
            if isinstance(image, str | Path)
            else as_rgb(image, f"images[{i}]" if several else "images")
            for i, image in enumerate(images if several else [images])
        ]
        wanted = self._class_indices(classes)
        if not photos:
            return []
        decoded = self.predict_padded(np.stack([self._stretch(p) for p in photos]), batch_size)
        results = []
        for i, photo in enumerate(photos):
            height, width = photo.shape[:2]
            scale = np.array([width, height, width, height], np.float32)
            boxes = decoded["boxes"][i] / np.float32([*self.input_size, *self.input_size]) * scale
            scores, found = decoded["scores"][i], decoded["classes"][i].astype(np.int32)
            keep = (scores >= threshold) & np.isin(found, wanted)
            results.append(
                self._without_duplicates(
                    boxes[keep], scores[keep], found[keep], iou_threshold, (width, height)
                )
            )
        return results if several else results[0]

    def _class_indices(self, classes) -> np.ndarray:
        if classes is None:
            return np.arange(len(self.class_names))
        classes = [classes] if isinstance(classes, str) else classes
        unknown = [name for name in classes if name not in self.class_names]
        if unknown:
            raise ValueError(
                f"classes names {unknown[0]!r}, which this detector does not know; it knows "
                + ", ".join(self.class_names)
            )
        return np.array([self.class_names.index(name) for name in classes])

    def _stretch(self, photo: np.ndarray) -> np.ndarray:
        import cv2

        return cv2.resize(photo, self.input_size, interpolation=cv2.INTER_LINEAR)

    def _without_duplicates(self, boxes, scores, classes, iou_threshold, size) -> Detections:
        width, height = size
        boxes = np.clip(boxes, 0, np.float32([width, height, width, height]))
        solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        boxes, scores, classes = boxes[solid], scores[solid], classes[solid]
        kept = [np.zeros(0, np.int64)]
        for one in np.unique(classes):
            members = np.flatnonzero(classes == one)
            kept.append(members[box_nms(boxes[members], scores[members], iou_threshold)])
        kept = np.concatenate(kept)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        return Detections(boxes[kept], scores[kept], classes[kept], self.class_names)

    def get_config(self):
        return {**super().get_config(), "class_names": list(self.class_names)}
