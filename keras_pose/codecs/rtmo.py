"""RTMO's people: which prior points see one, and what the network says of them."""

import keras
from keras import ops

from keras_pose.codecs.decoding import rows_at
from keras_pose.codecs.priors import clip_to_input, decode_boxes
from keras_pose.codecs.suppression import best_boxes
from keras_pose.codecs.yolox_pose import YOLOXPoseCodec


@keras.saving.register_keras_serializable(package="keras_pose")
class RTMOCodec(YOLOXPoseCodec):
    """A score and a box beside each prior point; of people found twice the surer stays.

    Keypoints are found by layers of the head, between `people` and `decode`
    (https://arxiv.org/abs/2312.07526). Works on inputs of any size. Targets are the labels
    themselves: which prior learns which person depends on the outputs, so the loss decides it.

    Args:
        score_threshold, iou_threshold, max_people, max_candidates: as in `YOLOXPoseCodec`.
    """

    def __init__(self, score_threshold=0.1, iou_threshold=0.65, max_people=64, max_candidates=512):
        super().__init__(score_threshold, iou_threshold, max_people, max_candidates)

    def people(self, outputs):
        """The prior points that see somebody whom no surer one sees.

        Args:
            outputs: see `RTMOHead`.

        Returns:
            Indices `(B, S)` int32 of prior points, surest first; `boxes` `(B, S, 4)` xyxy in input
            pixels, which may reach beyond the input; and scores `(B, S)`, 0 in empty slots.
        """
        boxes = decode_boxes(outputs["boxes"], outputs["priors"])
        index, scores = best_boxes(
            boxes,
            ops.sigmoid(outputs["classes"])[..., 0],
            self.score_threshold,
            self.iou_threshold,
            self.max_candidates,
            self.max_people,
        )
        return index, rows_at(boxes, index), scores

    def decode(self, outputs):
        """People, the surest first.

        Args:
            outputs: of `RTMOHead.instances`.

        Returns:
            `keypoints` `(B, S, K, 2)` and `boxes` `(B, S, 4)` xyxy in input pixels, the boxes
            clipped to the input; `scores` `(B, S, K)`, how visible each keypoint is, and
            `box_scores` `(B, S)`.
        """
        return {
            "keypoints": outputs["keypoints"],
            "scores": ops.sigmoid(outputs["visibility"]),
            "boxes": clip_to_input(outputs["boxes"], outputs["priors"]),
            "box_scores": outputs["box_scores"],
        }

    def flip(self, outputs, flip_indices):
        raise ValueError(
            "RTMO has no flip test because its pose vectors cannot be mirrored: predict without "
            "flip_test"
        )
