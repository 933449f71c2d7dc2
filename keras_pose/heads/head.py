"""What every head shares."""

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

    def get_config(self):
        return {
            **super().get_config(),
            "codec": serialized(self.codec),
            "loss_module": serialized(self.loss_module),
        }
