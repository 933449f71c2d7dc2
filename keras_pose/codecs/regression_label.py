"""Coordinates as parts of the input's size, for heads that regress them."""

import keras
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoding import constant


@keras.saving.register_keras_serializable(package="keras_pose")
class RegressionLabel(Codec):
    """x / width and y / height of one instance's keypoints (https://arxiv.org/abs/1312.4659).

    Args:
        input_size: (width, height) of the network's input in pixels.
        shift_flipped: bool, in flip tests move the mirrored keypoints by one pixel to the left,
            which makes mirroring exact: pixel x becomes w - 1 - x.
    """

    def __init__(self, input_size, shift_flipped=True):
        self.input_size = tuple(input_size)
        self.shift_flipped = shift_flipped

    def encode(self, labels):
        """`coordinates` `(B, K, 2)` and `weights` `(B, K)`.

        Weights are 0 or 1, as in MMPose 1.3.2, times the optional extra weights: 1 for keypoints
        within the input that are more than half visible.
        """
        keypoints = ops.cast(labels["keypoints"], "float32")
        if keypoints.shape[1] != 1:
            raise ValueError(
                f"RegressionLabel describes one instance per image, got {keypoints.shape[1]}"
            )
        size = constant(self.input_size)
        inside = ops.all((keypoints >= 0) & (keypoints <= size - 1.0), axis=-1)
        weights = ops.cast(inside & (labels["visible"] > 0.5), "float32")
        if "weights" in labels:
            weights = weights * labels["weights"]
        return {"coordinates": (keypoints / size)[:, 0], "weights": weights[:, 0]}

    def decode(self, outputs):
        """Keypoints and scores: one less the mean of `sigmas` `(B, K, 2)`, else 1."""
        coordinates = ops.cast(outputs["coordinates"], "float32")
        if "sigmas" in outputs:
            scores = 1.0 - ops.mean(ops.cast(outputs["sigmas"], "float32"), axis=-1)
        else:
            scores = ops.ones_like(coordinates[..., 0])
        keypoints = coordinates * constant(self.input_size)
        return {"keypoints": keypoints[:, None], "scores": scores[:, None]}

    def flip(self, outputs, flip_indices):
        flipped = {key: ops.take(value, flip_indices, axis=1) for key, value in outputs.items()}
        coordinates = flipped["coordinates"]
        shift = 1.0 / self.input_size[0] if self.shift_flipped else 0.0
        x = 1.0 - coordinates[..., :1] - shift
        flipped["coordinates"] = ops.concatenate([x, coordinates[..., 1:]], axis=-1)
        return flipped

    def get_config(self):
        return {"input_size": self.input_size, "shift_flipped": self.shift_flipped}
