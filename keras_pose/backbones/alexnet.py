"""AlexNet as a single column (Krizhevsky, 2014, https://arxiv.org/abs/1404.5997)."""

import keras

from keras_pose.layers import Composite, Conv2D, MaxPool, Stack

# Kernel, stride, padding, and whether a maximum of 3x3 pixels and stride 2 follows.
CONVOLUTIONS = (
    (11, 4, 2, True),
    (5, 1, 2, True),
    (3, 1, 1, False),
    (3, 1, 1, False),
    (3, 1, 1, True),
)


def _uniform(fan_in):
    """PyTorch's own initial values, which this network alone is trained from."""
    limit = fan_in**-0.5
    return keras.initializers.RandomUniform(-limit, limit)


@keras.saving.register_keras_serializable(package="keras_pose")
class AlexNet(Composite):
    """AlexNet without its classifier: images to one feature map.

    No maximum is padded: an image of 256 x 192 pixels becomes 7 x 5.

    Args:
        widths: channels of the five convolutions.

    Returns:
        List of one map `(B, h, w, C)`.
    """

    def __init__(self, widths=(64, 192, 384, 256, 256), **kwargs):
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        if len(self.widths) != len(CONVOLUTIONS):
            raise ValueError(f"widths must be five numbers, got {self.widths}")
        # Numbers of `features` count activations and maxima as well.
        self.features = Stack()
        channels = 3
        for filters, (kernel, strides, padding, pooled) in zip(
            self.widths, CONVOLUTIONS, strict=True
        ):
            initializer = _uniform(kernel * kernel * channels)
            self.features.append(
                Conv2D(
                    filters,
                    kernel,
                    strides,
                    padding,
                    kernel_initializer=initializer,
                    bias_initializer=initializer,
                )
            )
            self.features.append(keras.layers.Activation("relu"))
            if pooled:
                self.features.append(MaxPool(3, 2))
            channels = filters

    def call(self, x, training=None):
        return [self.features(x, training=training)]

    def get_config(self):
        return {**super().get_config(), "widths": self.widths}
