"""How MoveNet MultiPose's maps become up to six people.

The network is Google's (https://www.kaggle.com/models/google/movenet, multipose-lightning); how it
decodes was read off the published graph. How it was trained was never published, so there are no
targets here.
"""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import (
    constant,
    first_maximum,
    grid_position,
    is_local_maximum,
    mirrored,
    rows_at,
    values_at,
)
from keras_pose.codecs.movenet import mirrored_pairs

# Constants of the published graph, which holds them in half precision.
_PEAK_TOLERANCE = 1.0132789611816406e-06
_PEAK_RADIUS = 2
_SPREAD = 0.300048828125
_LEAST_SCORE = 0.126953125


@keras.saving.register_keras_serializable(package="keras_pose")
class MoveNetMultiPoseCodec(Codec):
    """A heatmap of people's centres with their boxes, and what `MoveNetCodec` knows of keypoints.

    Works on maps of any size. Only decodes.

    Args:
        max_people: int, slots for people. Where there are more people, those with the weakest
            centres are left out; slots that nobody needs have `box_scores` near 0.
        stride: int, input pixels per cell.
    """

    def __init__(self, max_people=6, stride=4):
        if max_people < 1:
            raise ValueError(f"max_people must be at least 1, got {max_people}")
        self.max_people = int(max_people)
        self.stride = int(stride)

    def decode(self, outputs):
        """People, those with the strongest centres first.

        Args:
            outputs: `center` `(B, h, w, 1)` and `heatmaps` `(B, h, w, K)` logits; `box_sizes` and
                `box_offsets` `(B, h, w, 2)`, `displacements` and `offsets` `(B, h, w, 2K)` in
                cells, (y, x) pairs.

        Returns:
            `keypoints` `(B, P, K, 2)` and `boxes` `(B, P, 4)` in input pixels, `scores`
            `(B, P, K)`, and `box_scores` `(B, P)`: the centre's score times the mean of those
            keypoint scores that are not weak.
        """
        outputs = {name: ops.cast(maps, "float32") for name, maps in outputs.items()}
        _, height, width, count = outputs["heatmaps"].shape
        people = self.max_people
        sure, x, y, boxes, guess_x, guess_y = self._people(outputs, height, width, count)
        left, top, right, bottom = boxes

        def near(place, guess, first, last):
            """How much a row (column) counts for a keypoint expected at another, in a box."""
            inside = ops.cast((place >= first) & (place < last), "float32")
            return ops.exp(ops.square(place - guess) / (-_SPREAD * min(height, width))) * inside

        rows, columns = (
            near(
                constant(np.arange(size).reshape(1, size, 1, 1)),
                guess[:, None],
                first[:, None, :, None],
                last[:, None, :, None],
            )
            for size, guess, first, last in (
                (height, guess_y, top, bottom),
                (width, guess_x, left, right),
            )
        )
        rows = ops.reshape(rows, (-1, height, 1, people * count))
        columns = ops.reshape(columns, (-1, 1, width, people * count))
        heat = ops.sigmoid(outputs["heatmaps"])
        damped = ops.tile(heat, (1, 1, 1, people)) * rows * columns
        damped = ops.reshape(damped, (-1, height * width, people * count))
        x, y = (
            ops.reshape(place, (-1, people, count))
            for place in grid_position(first_maximum(damped)[0], width)
        )

        def found(maps):
            """Values `(B, P, K)` of each keypoint's own map at its cell."""
            values = values_at(maps, ops.transpose(x, (0, 2, 1)), ops.transpose(y, (0, 2, 1)))
            return ops.transpose(values, (0, 2, 1))

        # A cell's value is that of the person whom it suits best.
        suits = near(
            y[:, :, None], guess_y[:, None], top[:, None, :, None], bottom[:, None, :, None]
        ) * near(x[:, :, None], guess_x[:, None], left[:, None, :, None], right[:, None, :, None])
        scores = found(heat) * ops.max(suits, axis=2)
        offset_y, offset_x = (found(outputs["offsets"][..., axis::2]) for axis in (0, 1))
        counted = ops.cast(scores > _LEAST_SCORE, "float32")
        mean = ops.sum(scores * counted, axis=2) / ops.maximum(ops.sum(counted, axis=2), 1.0)
        return {
            "keypoints": ops.stack([x + offset_x, y + offset_y], axis=-1) * float(self.stride),
            "scores": scores,
            "boxes": ops.stack(boxes, axis=-1) * float(self.stride),
            "box_scores": sure * mean,
        }

    def _people(self, outputs, height, width, count):
        """Peaks of the centre's heatmap and what is known there.

        Returns:
            Score, x, y `(B, P)`, the sides left, top, right, bottom of the boxes, each `(B, P)`,
            and where the keypoints are expected: x and y `(B, P, K)`; all in cells.
        """
        cells = height * width
        centre = ops.sigmoid(outputs["center"])
        peaks = ops.where(is_local_maximum(centre, _PEAK_RADIUS, _PEAK_TOLERANCE), centre, 0.0)
        sure, place = ops.top_k(ops.reshape(peaks, (-1, cells)), self.max_people)
        x, y = grid_position(ops.cast(place, "float32"), width)
        sizes, offsets, displacements = (
            rows_at(ops.reshape(outputs[name], (-1, cells, outputs[name].shape[-1])), place)
            for name in ("box_sizes", "box_offsets", "displacements")
        )
        half = 0.5 * ops.relu(sizes)
        middle_y, middle_x = y + offsets[..., 0], x + offsets[..., 1]
        boxes = (
            ops.clip(middle_x - half[..., 1], 0.0, float(width)),
            ops.clip(middle_y - half[..., 0], 0.0, float(height)),
            ops.clip(middle_x + half[..., 1], 0.0, float(width)),
            ops.clip(middle_y + half[..., 0], 0.0, float(height)),
        )
        displacements = ops.reshape(displacements, (-1, self.max_people, count, 2))
        guess_y = y[..., None] + displacements[..., 0]
        guess_x = x[..., None] + displacements[..., 1]
        return sure, x, y, boxes, guess_x, guess_y

    def flip(self, outputs, flip_indices):
        flipped = {name: mirrored(maps, shift=True) for name, maps in outputs.items()}
        flipped["heatmaps"] = ops.take(flipped["heatmaps"], flip_indices, axis=-1)
        remainder = -1.0 / self.stride
        for name in ("displacements", "offsets"):
            flipped[name] = mirrored_pairs(flipped[name], flip_indices, remainder)
        flipped["box_offsets"] = mirrored_pairs(flipped["box_offsets"], [0], remainder)
        return flipped

    def get_config(self):
        return {"max_people": self.max_people, "stride": self.stride}
