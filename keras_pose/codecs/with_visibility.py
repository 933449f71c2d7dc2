"""A codec that also learns whether keypoints are visible."""

import keras
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.layers import component, serialized


@keras.saving.register_keras_serializable(package="keras_pose")
class WithVisibility(Codec):
    """Another codec, and a probability of being visible per keypoint.

    Args:
        codec: codec of keypoints, or its config.
    """

    def __init__(self, codec):
        self.codec = component(codec)
        self.label_keys = self.codec.label_keys
        self.maps_per_keypoint = self.codec.maps_per_keypoint
        for name in ("input_size", "heatmap_size"):
            if hasattr(self.codec, name):
                setattr(self, name, getattr(self.codec, name))

    def encode(self, labels):
        """The codec's targets, and `visibility` `(B, K)`: as in MMPose 1.3.2 their weights."""
        targets = self.codec.encode(labels)
        return {**targets, "visibility": targets["weights"]}

    def decode(self, outputs):
        """What the codec decodes, and `visible` `(B, 1, K)`."""
        visible = ops.cast(outputs["visibility"], "float32")[:, None]
        return {**self.codec.decode(outputs), "visible": visible}

    def flip(self, outputs, flip_indices):
        outputs = dict(outputs)
        visibility = ops.take(outputs.pop("visibility"), flip_indices, axis=-1)
        return {**self.codec.flip(outputs, flip_indices), "visibility": visibility}

    def get_config(self):
        return {"codec": serialized(self.codec)}
