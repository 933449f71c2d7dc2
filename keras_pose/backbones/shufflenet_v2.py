"""ShuffleNetV2 (Ma et al., 2018, https://arxiv.org/abs/1807.11164)."""

import keras
from keras import ops

from keras_pose.backbones.shufflenet_v1 import BLOCKS, start_shuffled
from keras_pose.layers import Composite, ConvModule, Stack, channel_shuffle, max_pool

# Factor: widths of the three stages and of the last convolution; table 5 of the paper.
WIDTHS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


class InvertedResidual(Composite):
    """Half of the channels pass, half are convolved; the halves are shuffled.

    With stride 2 two branches convolve all channels.

    Args:
        in_channels, out_channels: ints.
        strides: 1 or 2.
    """

    def __init__(self, in_channels, out_channels, strides, **kwargs):
        super().__init__(**kwargs)
        half = out_channels // 2
        self.branch1 = None
        if strides == 2:
            self.branch1 = _started(
                (ConvModule(None, 3, 2, activation=None), 1), (ConvModule(half, 1), in_channels)
            )
        self.branch2 = _started(
            (ConvModule(half, 1), in_channels if strides == 2 else half),
            (ConvModule(None, 3, strides, activation=None), 1),
            (ConvModule(half, 1), half),
        )

    def call(self, x, training=None):
        if self.branch1 is None:
            half = x.shape[-1] // 2
            passing, x = x[..., :half], x[..., half:]
        else:
            passing = self.branch1(x, training=training)
        y = self.branch2(x, training=training)
        return channel_shuffle(ops.concatenate([passing, y], axis=-1), 2)


def _started(*modules) -> Stack:
    for module, fan_in in modules:
        start_shuffled(module, fan_in)
    return Stack([module for module, _ in modules])


@keras.saving.register_keras_serializable(package="keras_pose")
class ShuffleNetV2(Composite):
    """ShuffleNetV2: images to feature maps.

    Args:
        widen_factor: 0.5, 1.0, 1.5 or 2.0, the published widths.
        out_indices: which maps to return, fine to coarse: 0 to 2 are the three stages (strides 8,
            16, 32), 3 is the last 1x1 convolution.
        widths: widths of the three stages and of the last convolution, in the place of the
            published ones; the stages' must be even.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(self, widen_factor=1.0, out_indices=(3,), widths=None, **kwargs):
        super().__init__(**kwargs)
        if widths is None and widen_factor not in WIDTHS:
            raise ValueError(f"widen_factor must be one of {sorted(WIDTHS)}, got {widen_factor}")
        self.widen_factor = widen_factor
        self.out_indices = tuple(out_indices)
        self.widths = widths
        if not self.out_indices or not all(0 <= i <= 3 for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..3, got {self.out_indices}")
        widths = tuple(widths or WIDTHS[widen_factor])
        if len(widths) != 4 or any(width % 2 for width in widths[:3]):
            raise ValueError(f"widths must be four numbers, the first three even, got {widths}")
        channels = 24
        self.conv1 = ConvModule(channels, 3, 2)
        start_shuffled(self.conv1, 3, 0.01)
        self.layers = Stack()
        for index, width in enumerate(widths[: max(self.out_indices) + 1]):
            if index == 3:
                self.layers.append(ConvModule(width, 1))
                start_shuffled(self.layers[3], channels)
                continue
            stage = Stack()
            for i in range(BLOCKS[index]):
                stage.append(InvertedResidual(channels, width, 2 if i == 0 else 1))
                channels = width
            self.layers.append(stage)

    def call(self, x, training=None):
        x = max_pool(self.conv1(x, training=training), 3, 2, padding=1, nonnegative=True)
        maps = []
        for index, stage in enumerate(self.layers):
            x = stage(x, training=training)
            if index in self.out_indices:
                maps.append(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "widen_factor": self.widen_factor,
            "out_indices": self.out_indices,
            "widths": self.widths,
        }
