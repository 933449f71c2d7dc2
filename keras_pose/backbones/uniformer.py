"""UniFormer (Li et al., 2022, https://arxiv.org/abs/2201.09450)."""

import keras
from keras import ops

from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DropPath,
    LayerNormalization,
    SelfAttention,
    Stack,
    activation,
    drop_path_rates,
)

_PATCHES = (4, 2, 2, 2)


def _uniform():
    """PyTorch's own initial values of convolutions: uniform within 1 / sqrt(inputs)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def _pointwise(channels):
    return Conv2D(channels, 1, kernel_initializer=_uniform())


def _depthwise(kernel):
    limit = 1 / kernel
    uniform = keras.initializers.RandomUniform(-limit, limit)
    return DepthwiseConv2D(kernel, padding=kernel // 2, depthwise_initializer=uniform)


class Patches(Composite):
    """A convolution that makes one pixel of every patch, then a normalisation."""

    def __init__(self, channels, size, **kwargs):
        super().__init__(**kwargs)
        self.proj = Conv2D(channels, size, size, kernel_initializer=_uniform())
        self.norm = LayerNormalization()

    def call(self, x):
        return self.norm(self.proj(x))


class Mlp(Composite):
    """Two layers on single pixels with a GELU in between."""

    def __init__(self, first, second, **kwargs):
        super().__init__(**kwargs)
        self.fc1 = first
        self.fc2 = second
        self._activation = activation("gelu")

    def call(self, x):
        return self.fc2(self._activation(self.fc1(x)))


class ConvolutionBlock(Composite):
    """Pixels gather from their neighbourhood by a depthwise convolution."""

    def __init__(self, channels, hidden, drop_path_rate, **kwargs):
        super().__init__(**kwargs)
        self.pos_embed = _depthwise(3)
        self.norm1 = BatchNormalization()
        self.conv1 = _pointwise(channels)
        self.conv2 = _pointwise(channels)
        # No attention, but what stands in its place here.
        self.attn = _depthwise(5)
        self.norm2 = BatchNormalization()
        self.mlp = Mlp(_pointwise(hidden), _pointwise(channels))
        self.drop_path = DropPath(drop_path_rate)

    def call(self, x, training=None):
        x = x + self.pos_embed(x)
        y = self.conv2(self.attn(self.conv1(self.norm1(x, training=training))))
        x = x + self.drop_path(y, training=training)
        y = self.mlp(self.norm2(x, training=training))
        return x + self.drop_path(y, training=training)


class AttentionBlock(Composite):
    """Pixels gather from the whole map by attention."""

    def __init__(self, channels, hidden, drop_path_rate, heads, qkv_bias, qk_scale, **kwargs):
        super().__init__(**kwargs)
        self.pos_embed = _depthwise(3)
        self.norm1 = LayerNormalization()
        self.attn = SelfAttention(channels, heads, qkv_bias, qk_scale)
        self.norm2 = LayerNormalization()
        self.mlp = Mlp(Dense(hidden), Dense(channels))
        self.drop_path = DropPath(drop_path_rate)

    def call(self, x, training=None):
        height, width, channels = x.shape[1:]
        x = x + self.pos_embed(x)
        x = ops.reshape(x, (-1, height * width, channels))
        x = x + self.drop_path(self.attn(self.norm1(x)), training=training)
        x = x + self.drop_path(self.mlp(self.norm2(x)), training=training)
        return ops.reshape(x, (-1, height, width, channels))


@keras.saving.register_keras_serializable(package="keras_pose")
class UniFormer(Composite):
    """UniFormer: images to four normalised feature maps (strides 4, 8, 16, 32).

    The first two stages are convolutional, the last two have attention over the whole map.

    Args:
        depths: numbers of blocks of the four stages.
        embed_dims: their widths.
        head_dim: int, width of a head of attention.
        mlp_ratio: hidden channels of the MLPs as a multiple of the stage's width.
        qkv_bias: bool.
        qk_scale: float, default: one over the square root of a head's width.
        drop_path_rate: float, stochastic depth of the last block; grows from 0 in the first.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(
        self,
        depths=(3, 4, 8, 3),
        embed_dims=(64, 128, 320, 512),
        head_dim=64,
        mlp_ratio=4.0,
        qkv_bias=True,
        qk_scale=None,
        drop_path_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.depths = tuple(depths)
        self.embed_dims = tuple(embed_dims)
        self.head_dim = head_dim
        self.mlp_ratio = mlp_ratio
        self.qkv_bias = qkv_bias
        self.qk_scale = qk_scale
        self.drop_path_rate = drop_path_rate
        for name in ("depths", "embed_dims"):
            if len(getattr(self, name)) != 4:
                raise ValueError(f"{name} must have 4 entries, got {getattr(self, name)}")
        if any(channels % head_dim for channels in self.embed_dims[2:]):
            raise ValueError(
                f"head_dim must divide the widths {self.embed_dims[2:]}, got {head_dim}"
            )
        rates = iter(drop_path_rates(drop_path_rate, sum(self.depths)))
        rows = zip(self.depths, self.embed_dims, _PATCHES, strict=True)
        for number, (depth, channels, patch) in enumerate(rows, start=1):
            hidden = int(mlp_ratio * channels)
            blocks = Stack()
            for _ in range(depth):
                if number <= 2:
                    block = ConvolutionBlock(channels, hidden, next(rates))
                else:
                    heads = channels // head_dim
                    block = AttentionBlock(channels, hidden, next(rates), heads, qkv_bias, qk_scale)
                blocks.append(block)
            setattr(self, f"patch_embed{number}", Patches(channels, patch))
            setattr(self, f"blocks{number}", blocks)
            setattr(self, f"norm{number}", LayerNormalization(1e-6))

    def call(self, x, training=None):
        maps = []
        for number in (1, 2, 3, 4):
            x = getattr(self, f"patch_embed{number}")(x)
            x = getattr(self, f"blocks{number}")(x, training=training)
            maps.append(getattr(self, f"norm{number}")(x))
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "depths": self.depths,
            "embed_dims": self.embed_dims,
            "head_dim": self.head_dim,
            "mlp_ratio": self.mlp_ratio,
            "qkv_bias": self.qkv_bias,
            "qk_scale": self.qk_scale,
            "drop_path_rate": self.drop_path_rate,
        }
