"""YOLOX-Pose: every cell of the maps may answer for one person."""

import keras
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import rows_at
from keras_pose.codecs.priors import clip_to_input, decode_boxes, decode_offsets, input_extent
from keras_pose.codecs.suppression import best_boxes


@keras.saving.register_keras_serializable(package="keras_pose")
class YOLOXPoseCodec(Codec):
    """A score, a box and keypoints beside each prior point; of people found twice the surer stays.

    Works on inputs of any size. Targets are the labels themselves: which prior learns which person
    depends on the outputs, so the loss decides it.

    Args:
        score_threshold: float, people must be surer.
        iou_threshold: float, of boxes with a larger intersection over union the surer stays.
        max_people: int, slots for people. Of more people those are left out of whom it is least
            sure; empty slots have `box_scores` 0.
        max_candidates: int, the surest priors per image among which people are looked for.
    """

    label_keys = ("keypoints", "visible", "boxes", "areas", "objects")
    optional_label_keys = ("weights", "masks")

    def __init__(self, score_threshold=0.01, iou_threshold=0.65, max_people=64, max_candidates=512):
        if min(max_people, max_candidates) < 1:
            raise ValueError(
                f"max_people and max_candidates must be at least 1, got {max_people} and "
                f"{max_candidates}"
            )
        self.score_threshold = float(score_threshold)
        self.iou_threshold = float(iou_threshold)
        self.max_people = int(max_people)
        self.max_candidates = int(max_candidates)

    def encode(self, labels):
        return labels

    def decode(self, outputs):
        """People, the surest first.

        Args:
            outputs: see `YOLOXPoseHead`.

        Returns:
            `keypoints` `(B, S, K, 2)` and `boxes` `(B, S, 4)` xyxy in input pixels, the boxes
            clipped to the input; `scores` `(B, S, K)`, how visible each keypoint is, and
            `box_scores` `(B, S)`, class score times objectness.
        """
        outputs = {name: ops.cast(value, "float32") for name, value in outputs.items()}
        priors = outputs["priors"]
        scores = ops.sigmoid(outputs["classes"]) * ops.sigmoid(outputs["objectness"])
        boxes = decode_boxes(outputs["boxes"], priors)
        index, scores = best_boxes(
            boxes,
            scores[..., 0],
            self.score_threshold,
            self.iou_threshold,
            self.max_candidates,
            self.max_people,
        )
        own = rows_at(priors, index)
        return {
            "keypoints": decode_offsets(rows_at(outputs["offsets"], index), own),
            "scores": ops.sigmoid(rows_at(outputs["visibility"], index)),
            "boxes": clip_to_input(rows_at(boxes, index), priors),
            "box_scores": scores,
        }

    def flip(self, outputs, flip_indices):
        priors, offsets = outputs["priors"], outputs["offsets"]
        mirror = ops.convert_to_tensor([-1.0, 1.0])
        rows, pairs = ops.shape(offsets)[1], (offsets.shape[-1] // 2, 2)
        offsets = ops.reshape(offsets, (-1, rows, *pairs)) * mirror
        offsets = ops.reshape(ops.take(offsets, flip_indices, axis=2), (-1, rows, 2 * pairs[0]))
        width = input_extent(priors)[..., :1]
        turned = {
            "boxes": outputs["boxes"] * ops.convert_to_tensor([-1.0, 1.0, 1.0, 1.0]),
            "offsets": offsets,
            "visibility": ops.take(outputs["visibility"], flip_indices, axis=2),
            "priors": ops.concatenate([width - 1.0 - priors[..., :1], priors[..., 1:]], axis=-1),
        }
        return {**outputs, **turned}

    def merge(self, outputs, mirrored):
        """Everybody of the image and of its mirror image; the suppression keeps one of each.

        The reference has no flip test for these networks.
        """
        return {
            name: ops.concatenate([value, mirrored[name]], axis=1)
            for name, value in outputs.items()
        }

    def get_config(self):
        return {
            "score_threshold": self.score_threshold,
            "iou_threshold": self.iou_threshold,
            "max_people": self.max_people,
            "max_candidates": self.max_candidates,
        }
