"""Pyramid vision transformers: PVT (Wang et al., 2021, https://arxiv.org/abs/2102.12122) and
PVTv2 (Wang et al., 2021, https://arxiv.org/abs/2106.13797)."""

import keras
import numpy as np
from keras import ops

from keras_pose.layers import (
    Composite,
    Conv2D,
    DepthwiseConv2D,
    DropPath,
    LayerNormalization,
    LazyInitialization,
    MultiheadAttention,
    Stack,
    activation,
    drop_path_rates,
    resize,
)
from keras_pose.layers.transformer import PatchEmbedding

_EPSILON = 1e-6
_STRIDES = (4, 2, 2, 2)

# Version: patch sizes and paddings of the four stages.
VARIANTS = {
    1: ((4, 2, 2, 2), (0, 0, 0, 0)),
    2: ((7, 3, 3, 3), (3, 1, 1, 1)),
}


def _kaiming(kernel, channels):
    """Kaiming's normal numbers by outputs, as if there were no groups."""
    return keras.initializers.RandomNormal(stddev=float(np.sqrt(2 / (kernel**2 * channels))))


class Positions(LazyInitialization, Composite):
    """Adds learned positions, resized from the grid they were learned on."""

    def __init__(self, channels, size, **kwargs):
        super().__init__(**kwargs)
        self._shape = (size, size, channels)

    def build(self, input_shape):
        size, _, channels = self._shape
        self.pos_embed = self.add_weight(
            name="pos_embed",
            shape=(1, size * size, channels),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )
        super().build(input_shape)

    def call(self, x):
        grid = ops.reshape(self.pos_embed, (1, *self._shape))
        return x + resize(grid, x.shape[1:3])


class SpatialReductionAttention(Composite):
    """Pixels attend to a smaller version of their map."""

    def __init__(self, channels, heads, ratio, **kwargs):
        super().__init__(**kwargs)
        self.attn = MultiheadAttention(channels, heads)
        self._ratio = ratio
        if ratio > 1:
            self.sr = Conv2D(channels, ratio, ratio, kernel_initializer=_kaiming(ratio, channels))
            self.norm = LayerNormalization(_EPSILON)

    def call(self, x):
        height, width, channels = x.shape[1:]
        tokens = ops.reshape(x, (-1, height * width, channels))
        if self._ratio > 1:
            reduced = self.norm(self.sr(x))
            length = reduced.shape[1] * reduced.shape[2]
            y = self.attn(tokens, ops.reshape(reduced, (-1, length, channels)))
        else:
            y = self.attn(tokens)
        return ops.reshape(y, (-1, height, width, channels))


class ConvolutionalFeedForward(Composite):
    """The MLP as 1x1 convolutions; version 2 has a depthwise 3x3 one in between."""

    def __init__(self, channels, hidden, version, **kwargs):
        super().__init__(**kwargs)
        # The identities stand for what checkpoints count and inference leaves alone: dropout.
        self.layers = Stack(
            [
                Conv2D(hidden, 1, kernel_initializer=_kaiming(1, hidden)),
                *([_depthwise(hidden)] if version == 2 else []),
                keras.layers.Activation(activation("gelu")),
                keras.layers.Identity(),
                Conv2D(channels, 1, kernel_initializer=_kaiming(1, channels)),
            ]
        )

    def call(self, x):
        return self.layers(x)


def _depthwise(channels):
    return DepthwiseConv2D(3, padding=1, depthwise_initializer=_kaiming(3, channels))


class PyramidBlock(Composite):
    """Attention and an MLP, each on normalised pixels and added to its input."""

    def __init__(self, channels, heads, hidden, ratio, drop_path_rate, version, **kwargs):
        super().__init__(**kwargs)
        self.norm1 = LayerNormalization(_EPSILON)
        self.attn = SpatialReductionAttention(channels, heads, ratio)
        self.norm2 = LayerNormalization(_EPSILON)
        self.ffn = ConvolutionalFeedForward(channels, hidden, version)
        self.drop_path = DropPath(drop_path_rate)

    def call(self, x, training=None):
        x = x + self.drop_path(self.attn(self.norm1(x)), training=training)
        return x + self.drop_path(self.ffn(self.norm2(x)), training=training)


@keras.saving.register_keras_serializable(package="keras_pose")
class PyramidVisionTransformer(Composite):
    """PVT and PVTv2: images to feature maps.

    Args:
        version: 1 (patches that touch, learned positions) or 2 (overlapping patches, a depthwise
            convolution in the MLPs instead of positions).
        embed_dims: int, width of a head; a stage's width is this times its number of heads.
        num_layers: numbers of blocks of the four stages.
        num_heads: numbers of heads of the four stages.
        sr_ratios: how much smaller the map is that a stage's pixels attend to.
        mlp_ratios: hidden channels of the MLPs as multiples of the stages' widths.
        out_indices: which stages to return (strides 4, 8, 16, 32), fine to coarse.
        drop_path_rate: float, stochastic depth of the last block; grows from 0 in the first.
        pretrain_image_size: int, height and width in pixels of the images that the positions of
            version 1 were learned on.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(
        self,
        version=1,
        embed_dims=64,
        num_layers=(3, 4, 6, 3),
        num_heads=(1, 2, 5, 8),
        sr_ratios=(8, 4, 2, 1),
        mlp_ratios=(8, 8, 4, 4),
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.1,
        pretrain_image_size=224,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if version not in VARIANTS:
            raise ValueError(f"version must be 1 or 2, got {version}")
        self.version = version
        self.embed_dims = embed_dims
        self.num_layers = tuple(num_layers)
        self.num_heads = tuple(num_heads)
        self.sr_ratios = tuple(sr_ratios)
        self.mlp_ratios = tuple(mlp_ratios)
        self.out_indices = tuple(out_indices)
        self.drop_path_rate = drop_path_rate
        self.pretrain_image_size = pretrain_image_size
        for name in ("num_layers", "num_heads", "sr_ratios", "mlp_ratios"):
            if len(getattr(self, name)) != len(_STRIDES):
                raise ValueError(f"{name} must have 4 entries, got {getattr(self, name)}")
        if not self.out_indices or not all(0 <= i <= 3 for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..3, got {self.out_indices}")
        rates = iter(drop_path_rates(drop_path_rate, sum(self.num_layers)))
        size = pretrain_image_size
        self.layers = Stack()
        for index in range(max(self.out_indices) + 1):
            heads = self.num_heads[index]
            channels = embed_dims * heads
            size //= _STRIDES[index]
            patch_size, padding = (row[index] for row in VARIANTS[version])
            blocks = [Positions(channels, size)] if version == 1 else []
            blocks += [
                PyramidBlock(
                    channels,
                    heads,
                    self.mlp_ratios[index] * channels,
                    self.sr_ratios[index],
                    next(rates),
                    version,
                )
                for _ in range(self.num_layers[index])
            ]
            embedding = PatchEmbedding(
                channels,
                patch_size,
                _STRIDES[index],
                padding,
                _EPSILON,
                kernel_initializer=_kaiming(patch_size, channels),
            )
            stage = [embedding, Stack(blocks)]
            if version == 2:
                stage.append(LayerNormalization(_EPSILON))
            self.layers.append(Stack(stage))

    def call(self, x, training=None):
        maps = []
        for index, stage in enumerate(self.layers):
            x = stage(x, training=training)
            if index in self.out_indices:
                maps.append(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "version": self.version,
            "embed_dims": self.embed_dims,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "sr_ratios": self.sr_ratios,
            "mlp_ratios": self.mlp_ratios,
            "out_indices": self.out_indices,
            "drop_path_rate": self.drop_path_rate,
            "pretrain_image_size": self.pretrain_image_size,
        }
