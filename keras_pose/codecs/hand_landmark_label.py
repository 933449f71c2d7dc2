"""Coordinates of a hand's keypoints beside what else MediaPipe's network says of the hand."""

import keras
from keras import ops

from keras_pose.codecs.decoding import constant
from keras_pose.codecs.regression_label import RegressionLabel


@keras.saving.register_keras_serializable(package="keras_pose")
class HandLandmarkLabel(RegressionLabel):
    """`RegressionLabel` for `HandLandmarkHead`; every keypoint's score is the hand's presence.

    Args:
        input_size, shift_flipped: as in `RegressionLabel`.
    """

    def decode(self, outputs):
        """Keypoints `(B, 1, K, 2)` and scores `(B, 1, K)`, which are alike for a whole hand."""
        decoded = super().decode(outputs)
        presence = ops.cast(outputs["presence"], "float32")
        return decoded | {"scores": decoded["scores"] * presence[:, None]}

    def flip(self, outputs, flip_indices):
        """A mirrored left hand is a right one."""
        points = {key: outputs[key] for key in ("coordinates", "depths", "world")}
        flipped = super().flip(points, flip_indices)
        flipped["world"] = flipped["world"] * constant([-1.0, 1.0, 1.0])
        handedness = 1.0 - outputs["handedness"]
        return flipped | {"presence": outputs["presence"], "handedness": handedness}
