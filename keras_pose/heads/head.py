"""What every head shares."""

from keras import ops

from keras_pose.layers import Composite, component, serialized


class Head(Composite):
    """Feature maps to raw outputs, with the codec that explains them and the loss that trains them.

    Args:
        codec: `Codec` or its config.
        loss_module: `Loss` or its config, or None for a head that is not trained.
    """

    def __init__(self, codec, loss_module=None, **kwargs):
        super().__init__(**kwargs)
        self.codec = component(codec)
        self.loss_module = component(loss_module)

    def instances(self, outputs: dict) -> dict:
        """Raw outputs with what further layers tell of each instance that they show.

        For heads that look at each instance once more; it runs before the codec decodes.

        Args:
            outputs: of `call`; of a flip test what `Codec.merge` made of two of them.

        Returns:
            What `Codec.decode` reads. Default: the same.
        """
        return outputs

    def compare(self, targets: dict, outputs: dict, training: bool = False) -> dict:
        """The terms of the loss.

        For heads whose loss needs further layers; default: `loss_module(targets, outputs)`.

        Args:
            targets: of `Codec.encode`.
            outputs: of `call`, float32.
            training: bool, whether layers of the head work as in a training step.
        """
        return self.loss_module(targets, outputs)

    def get_config(self):
        return {
            **super().get_config(),
            "codec": serialized(self.codec),
            "loss_module": serialized(self.loss_module),
        }


def staged_heatmaps(maps: list) -> dict:
    """Raw outputs of a head that predicts heatmaps `(B, h, w, K)` one after the other.

    Returns:
        `heatmaps`, the last; where there are others `intermediate_heatmaps` `(B, S - 1, h, w, K)`.
    """
    maps = [ops.cast(each, "float32") for each in maps]
    outputs = {"heatmaps": maps[-1]}
    if len(maps) > 1:
        outputs["intermediate_heatmaps"] = ops.stack(maps[:-1], axis=1)
    return outputs
