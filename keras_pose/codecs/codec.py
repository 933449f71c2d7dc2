"""What every codec is: keypoints to what a head learns, and back."""

from keras import ops, tree


class Codec:
    """Translates between keypoints in input pixels and a head's outputs.

    A codec has settings but no state. All methods work on tensors with static shapes and run in
    compiled steps and exported graphs.
    """

    # The labels of a batch that `encode` reads.
    label_keys = ("keypoints", "visible")
    # Those that it reads where they are given.
    optional_label_keys = ("weights",)
    # How many coordinates labelled keypoints may have.
    label_dimensions = (2,)
    # What the third coordinate of decoded keypoints is, with its unit; None where there is none.
    depth: str | None = None
    # The column of a data set's `extras` that it is learnt from.
    depth_column: str | None = None
    # Heatmaps that a head has to put out for each keypoint.
    maps_per_keypoint = 1

    def encode(self, labels: dict) -> dict:
        """Targets and their weights from the labels of a batch.

        Args:
            labels: `keypoints` `(B, N, K, 2)` in input pixels and `visible` `(B, N, K)`, 1 where
                labelled; optionally `weights` `(B, N, K)`.
        """
        raise NotImplementedError

    def decode(self, outputs: dict) -> dict:
        """`keypoints` `(B, N, K, 2)` in input pixels and `scores` `(B, N, K)` from raw outputs."""
        raise NotImplementedError

    def flip(self, outputs: dict, flip_indices) -> dict:
        """The outputs for a mirrored input as if it had not been mirrored.

        Args:
            outputs: raw outputs of the mirrored images.
            flip_indices: `(K,)` ints, the keypoint that each keypoint becomes in a mirror.
        """
        raise NotImplementedError

    def merge(self, outputs: dict, mirrored: dict) -> dict:
        """What a flip test decodes: of raw outputs and what `flip` made of the mirrored ones.

        Default: their mean.
        """
        return tree.map_structure(lambda a, b: 0.5 * (a + b), outputs, mirrored)

    def finish(self, decoded: dict) -> dict:
        """The rest of decoding, on the host, for methods that need more than tensors can do.

        Only codecs of bottom-up networks may have such a rest; what is exported ends before it.

        Args:
            decoded: what `decode` gave, as NumPy arrays of a batch.

        Returns:
            Default: the same.
        """
        return decoded

    def get_config(self) -> dict:
        """The constructor's arguments."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict) -> "Codec":
        return cls(**config)


def last_instance(points, present):
    """Of points `(B, N, K, 2)` those of the last instance that is present `(B, N, K)`, bool.

    Returns:
        `(B, K, 2)`; the first instance's where none is present.
    """
    chosen = points[:, 0]
    for instance in range(1, points.shape[1]):
        chosen = ops.where(present[:, instance, :, None], points[:, instance], chosen)
    return chosen


def label_weights(labels: dict):
    """Loss weights `(B, N, K)`: visibility, times the optional extra weights."""
    weights = labels["visible"]
    return weights * labels["weights"] if "weights" in labels else weights
