"""HRFormer (Yuan et al., 2021, https://arxiv.org/abs/2110.09408): HRNet that attends in windows."""

import keras

from keras_pose.backbones.hrnet import HighResolutionNet, separable_convolution
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    DepthwiseConv2D,
    DropPath,
    LayerNormalization,
    Stack,
    WindowAttention,
    activation,
    drop_path_rates,
)

# Published networks as arguments of `HRFormer`.
VARIANTS = {
    "small": {"channels": (32, 64, 128, 256), "heads": (1, 2, 4, 8), "drop_path_rate": 0.1},
    "base": {"channels": (78, 156, 312, 624), "heads": (2, 4, 8, 16), "drop_path_rate": 0.2},
}


class LocalAttention(Composite):
    """Attention within windows that are centred on the map."""

    def __init__(self, channels, heads, window_size, **kwargs):
        super().__init__(**kwargs)
        self.attn = WindowAttention(channels, heads, window_size, centered=True)
        limit = channels**-0.5
        for layer in (self.attn.qkv, self.attn.proj):
            layer.kernel_initializer = keras.initializers.RandomUniform(-limit, limit)
            layer.bias_initializer = keras.initializers.RandomUniform(-limit, limit)

    def call(self, x):
        return self.attn(x)


class ConvolutionalFeedForward(Composite):
    """1x1, depthwise 3x3 and 1x1 convolutions, each with normalisation and GELU.

    Args:
        channels: int, width of input and output.
        hidden: int, width in between.
    """

    def __init__(self, channels, hidden, **kwargs):
        super().__init__(**kwargs)
        self.fc1 = Conv2D(hidden, 1)
        self.norm1 = BatchNormalization()
        self.dw3x3 = DepthwiseConv2D(3, padding=1)
        self.norm2 = BatchNormalization()
        self.fc2 = Conv2D(channels, 1)
        self.norm3 = BatchNormalization()

    def call(self, x, training=None):
        gelu = activation("gelu")
        x = gelu(self.norm1(self.fc1(x), training=training))
        x = gelu(self.norm2(self.dw3x3(x), training=training))
        return gelu(self.norm3(self.fc2(x), training=training))


class HRFormerBlock(Composite):
    """Attention in windows and a convolutional feed-forward network, both residual."""

    def __init__(self, channels, heads, window_size, mlp_ratio, drop_path, **kwargs):
        super().__init__(**kwargs)
        self.norm1 = LayerNormalization(1e-6)
        self.attn = LocalAttention(channels, heads, window_size)
        self.norm2 = LayerNormalization(1e-6)
        self.ffn = ConvolutionalFeedForward(channels, int(channels * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def call(self, x, training=None):
        x = x + self.drop_path(self.attn(self.norm1(x)), training=training)
        y = self.ffn(self.norm2(x), training=training)
        return x + self.drop_path(y, training=training)


@keras.saving.register_keras_serializable(package="keras_pose")
class HRFormer(HighResolutionNet):
    """HRFormer: images to feature maps. `VARIANTS` has the published ones:
    `HRFormer(**VARIANTS["small"])`.

    Args:
        channels: width of each branch, fine to coarse; each is one stage.
        heads: number of attention heads of each branch; divides its width.
        num_modules: number of modules of each stage but the first.
        num_blocks: number of blocks of each branch, stage by stage; residual ones in the first.
        window_size: int, height and width of a window in pixels of the map.
        mlp_ratio: float, width inside the feed-forward network in units of the branch's.
        drop_path_rate: float in 0..1, of the last module's last block; it grows from 0 evenly.
        stem_channels: int, width of the stem and inside the first stage's blocks.
        multiscale_output: bool, whether to return the maps of all branches (strides 4, 8, 16, 32)
            or only the finest.

    Returns:
        List of maps `(B, h, w, C)`, fine to coarse.
    """

    def __init__(
        self,
        channels=(32, 64, 128, 256),
        heads=(1, 2, 4, 8),
        num_modules=(1, 4, 2),
        num_blocks=(2, 2, 2, 2),
        window_size=7,
        mlp_ratio=4,
        drop_path_rate=0.0,
        stem_channels=64,
        multiscale_output=False,
        **kwargs,
    ):
        super().__init__(
            channels, num_modules, num_blocks, stem_channels, multiscale_output, **kwargs
        )
        self.heads = tuple(heads)
        self.window_size = window_size
        self.mlp_ratio = mlp_ratio
        self.drop_path_rate = drop_path_rate
        if len(self.heads) != len(self.channels):
            raise ValueError(f"heads must name all {len(self.channels)} branches, got {self.heads}")
        self._assemble("bilinear")

    def _branch(self, stage, module, branch):
        # Rates grow from block to block through all modules, alike in all branches of a module.
        counts = list(zip(self.num_modules, self.num_blocks[1:], strict=True))
        rates = drop_path_rates(self.drop_path_rate, sum(m * b for m, b in counts))
        blocks = self.num_blocks[stage - 1]
        start = sum(m * b for m, b in counts[: stage - 2]) + module * blocks
        return Stack(
            [
                HRFormerBlock(
                    self.channels[branch],
                    self.heads[branch],
                    self.window_size,
                    self.mlp_ratio,
                    rate,
                )
                for rate in rates[start : start + blocks]
            ]
        )

    def _step(self, channels, relu):
        return separable_convolution(channels, 2, relu)

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "window_size": self.window_size,
            "mlp_ratio": self.mlp_ratio,
            "drop_path_rate": self.drop_path_rate,
        }
