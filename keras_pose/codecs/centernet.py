"""CenterNet's object maps: a heatmap per class and the distances to a box's four sides."""

import keras
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import is_local_maximum, rows_at


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
        cells = height * width
        peaks = ops.where(is_local_maximum(heat), heat, 0.0)
        peaks = ops.reshape(peaks, (-1, cells, count))
        # The best peaks lie in the cells with the best peaks, and those are few.
        wanted = min(self.max_detections, cells)
        _, candidates = ops.top_k(ops.max(peaks, axis=-1), wanted)
        values = ops.reshape(rows_at(peaks, candidates), (-1, wanted * count))
        scores, index = ops.top_k(values, self.max_detections)
        place = index // count
        classes = index - place * count
        sides = ops.reshape(ops.cast(outputs["sides"], "float32"), (-1, cells, 4))
        known = ops.concatenate(
            [rows_at(sides, candidates), ops.cast(candidates, "float32")[..., None]], axis=-1
        )
        known = rows_at(known, place)
        sides, cell = known[..., :4], known[..., 4:]
        y = ops.floor(cell / float(width))
        x = cell - y * float(width)
        centre = ops.concatenate([x, y], axis=-1) * float(self.stride)
        boxes = ops.concatenate([centre - sides[..., :2], centre + sides[..., 2:]], axis=-1)
        return {"boxes": boxes, "scores": scores, "classes": ops.cast(classes, "float32")}

    def get_config(self):
        return {"stride": self.stride, "max_detections": self.max_detections}
