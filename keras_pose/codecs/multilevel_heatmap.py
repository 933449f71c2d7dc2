"""Several levels of heatmaps for networks that predict one after the other."""

import keras
from keras import ops

from keras_pose.codecs.codec import Codec
from keras_pose.layers import component, serialized


@keras.saving.register_keras_serializable(package="keras_pose")
class MultilevelHeatmap(Codec):
    """A codec of heatmaps per level, whose last one decodes.

    Args:
        codecs: heatmap codecs or their configs, from the first level to the last; all with maps of
            one size.

    Raises:
        ValueError: without codecs, or if their sizes differ.
    """

    def __init__(self, codecs):
        self.codecs = [component(codec) for codec in codecs]
        sizes = {(tuple(c.input_size), tuple(c.heatmap_size)) for c in self.codecs}
        if len(sizes) != 1:
            raise ValueError(
                "MultilevelHeatmap needs codecs of one input_size and heatmap_size, got "
                f"{sorted(sizes)}"
            )
        self._last = self.codecs[-1]
        self.input_size, self.heatmap_size = self._last.input_size, self._last.heatmap_size
        self.label_keys = self._last.label_keys
        self.maps_per_keypoint = self._last.maps_per_keypoint

    def encode(self, labels):
        """The last level's targets, and `intermediate_heatmaps` `(B, S - 1, h, w, K)`."""
        targets = self._last.encode(labels)
        if len(self.codecs) > 1:
            others = [codec.encode(labels)["heatmaps"] for codec in self.codecs[:-1]]
            targets["intermediate_heatmaps"] = ops.stack(others, axis=1)
        return targets

    def decode(self, outputs):
        return self._last.decode(outputs)

    def flip(self, outputs, flip_indices):
        """The last codec's flip, of the intermediate heatmaps too."""
        outputs = dict(outputs)
        intermediate = outputs.pop("intermediate_heatmaps", None)
        flipped = self._last.flip(outputs, flip_indices)
        if intermediate is not None:
            levels = [
                self._last.flip({"heatmaps": intermediate[:, i]}, flip_indices)["heatmaps"]
                for i in range(intermediate.shape[1])
            ]
            flipped["intermediate_heatmaps"] = ops.stack(levels, axis=1)
        return flipped

    def get_config(self):
        return {"codecs": [serialized(codec) for codec in self.codecs]}
