"""CenterNet's object maps: a heatmap per class and the distances to a box's four sides."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec


@keras.saving.register_keras_serializable(package="keras_pose")
class CenterNetCodec(Codec):
    """Boxes from the peaks of class heatmaps.

    Args:
        stride: int, input pixels per cell.
        max_detections: int, boxes returned per image, best first; weak ones included.
    """

    label_keys = ()

    def __init__(self, stride=4, max_detections=100):
        self.stride = stride
        self.max_detections = max_detections

    def decode(self, outputs):
        """Boxes, best first, before any suppression of duplicates.

        Args:
            outputs: `heatmaps` `(B, h, w, C)` logits and `sides` `(B, h, w, 4)`, the distances in
                input pixels from a cell to the left, top, right and bottom side.

        Returns:
            `boxes` `(B, D, 4)` xyxy in input pixels, `scores` `(B, D)`, `classes` `(B, D)` float32.
        """
        heat = ops.sigmoid(ops.cast(outputs["heatmaps"], "float32"))
        _, height, width, count = heat.shape
        highest = ops.max_pool(heat, 3, 1, padding="same", data_format="channels_last")
        peaks = ops.where(ops.equal(heat, highest), heat, 0.0)
        scores, index = ops.top_k(
            ops.reshape(peaks, (-1, height * width * count)), self.max_detections
        )
        cell = index // count
        classes = index - cell * count
        y = cell // width
        x = cell - y * width
        sides = ops.reshape(ops.cast(outputs["sides"], "float32"), (-1, height * width, 4))
        cells = ops.arange(height * width, dtype="int32")
        chosen = ops.cast(ops.equal(ops.cast(cell, "int32")[..., None], cells), "float32")
        sides = ops.matmul(chosen, sides)
        x = ops.cast(x, "float32")[..., None] * float(self.stride)
        y = ops.cast(y, "float32")[..., None] * float(self.stride)
        centre = ops.concatenate([x, y], axis=-1)
        boxes = ops.concatenate([centre - sides[..., :2], centre + sides[..., 2:]], axis=-1)
        return {"boxes": boxes, "scores": scores, "classes": ops.cast(classes, "float32")}

    def get_config(self):
        return {"stride": self.stride, "max_detections": self.max_detections}
