"""Swin transformer (Liu et al., 2021, https://arxiv.org/abs/2103.14030)."""

import keras
from keras import ops

from keras_pose.layers import (
    Composite,
    Dense,
    DropPath,
    LayerNormalization,
    Stack,
    WindowAttention,
    drop_path_rates,
)
from keras_pose.layers.transformer import FeedForward, PatchEmbedding


class ShiftedWindows(Composite):
    """Attention in windows, under the name that checkpoints have for it."""

    def __init__(self, channels, heads, window_size, shift, qkv_bias, qk_scale, **kwargs):
        super().__init__(**kwargs)
        self.w_msa = WindowAttention(
            channels, heads, window_size, shift, qkv_bias=qkv_bias, scale=qk_scale
        )

    def call(self, x):
        return self.w_msa(x)


class SwinBlock(Composite):
    """Attention in windows and an MLP, each on normalised pixels and added to its input."""

    def __init__(self, channels, hidden, drop_path_rate, attention, **kwargs):
        super().__init__(**kwargs)
        self.norm1 = LayerNormalization()
        self.attn = attention
        self.norm2 = LayerNormalization()
        self.ffn = FeedForward(channels, hidden)
        self.drop_path = DropPath(drop_path_rate)

    def call(self, x, training=None):
        x = x + self.drop_path(self.attn(self.norm1(x)), training=training)
        return x + self.drop_path(self.ffn(self.norm2(x)), training=training)


class PatchMerging(Composite):
    """Joins the channels of 2x2 pixels and halves them."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.norm = LayerNormalization()
        self.reduction = Dense(channels, use_bias=False)

    def call(self, x):
        x = _filled(x, 2)
        height, width, channels = x.shape[1:]
        pixels = [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        # Pixel by pixel within each channel, as PyTorch's unfold orders them.
        x = ops.reshape(ops.stack(pixels, axis=-1), (-1, height // 2, width // 2, 4 * channels))
        return self.reduction(self.norm(x))


class Stage(Composite):
    """Blocks whose windows are shifted in every second one."""

    def __init__(self, blocks, **kwargs):
        super().__init__(**kwargs)
        self.blocks = Stack(blocks)
        self.downsample = None

    def call(self, x, training=None):
        return self.blocks(x, training=training)


@keras.saving.register_keras_serializable(package="keras_pose")
class SwinTransformer(Composite):
    """Swin transformer: images to feature maps.

    Args:
        embed_dims: int, width of the first stage; doubles in each further one.
        depths: numbers of blocks of the four stages.
        num_heads: numbers of heads of the four stages.
        window_size: int, pixels of a stage's map.
        mlp_ratio: hidden channels of the MLPs as a multiple of the stage's width.
        patch_size: int, stride of the first stage.
        out_indices: which stages to return (strides 4, 8, 16, 32), fine to coarse; each is
            normalised.
        qkv_bias: bool.
        qk_scale: float, default: one over the square root of a head's width.
        drop_path_rate: float, stochastic depth of the last block; grows from 0 in the first.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(
        self,
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        mlp_ratio=4,
        patch_size=4,
        out_indices=(0, 1, 2, 3),
        qkv_bias=True,
        qk_scale=None,
        drop_path_rate=0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.embed_dims = embed_dims
        self.depths = tuple(depths)
        self.num_heads = tuple(num_heads)
        self.window_size = window_size
        self.mlp_ratio = mlp_ratio
        self.patch_size = patch_size
        self.out_indices = tuple(out_indices)
        self.qkv_bias = qkv_bias
        self.qk_scale = qk_scale
        self.drop_path_rate = drop_path_rate
        if len(self.depths) != len(self.num_heads):
            raise ValueError(
                f"depths and num_heads must be equally long, got {self.depths} and {self.num_heads}"
            )
        last = len(self.depths) - 1
        if not self.out_indices or not all(0 <= i <= last for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..{last}, got {self.out_indices}")
        self.patch_embed = PatchEmbedding(embed_dims, patch_size, epsilon=1e-5)
        self.stages = Stack()
        rates = iter(drop_path_rates(drop_path_rate, sum(self.depths)))
        channels = embed_dims
        for index in range(max(self.out_indices) + 1):
            if index:
                self.stages[-1].downsample = PatchMerging(2 * channels)
                channels *= 2
            blocks = []
            for number in range(self.depths[index]):
                shift = window_size // 2 if number % 2 else 0
                attention = ShiftedWindows(
                    channels, self.num_heads[index], window_size, shift, qkv_bias, qk_scale
                )
                hidden = int(mlp_ratio * channels)
                blocks.append(SwinBlock(channels, hidden, next(rates), attention))
            self.stages.append(Stage(blocks))
            if index in self.out_indices:
                setattr(self, f"norm{index}", LayerNormalization())

    def call(self, x, training=None):
        x = self.patch_embed(_filled(x, self.patch_size))
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x, training=training)
            if index in self.out_indices:
                maps.append(getattr(self, f"norm{index}")(x))
            if stage.downsample is not None:
                x = stage.downsample(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "embed_dims": self.embed_dims,
            "depths": self.depths,
            "num_heads": self.num_heads,
            "window_size": self.window_size,
            "mlp_ratio": self.mlp_ratio,
            "patch_size": self.patch_size,
            "out_indices": self.out_indices,
            "qkv_bias": self.qkv_bias,
            "qk_scale": self.qk_scale,
            "drop_path_rate": self.drop_path_rate,
        }


def _filled(x, size):
    """Maps with zeros at the bottom and right, up to multiples of `size`."""
    down, across = -x.shape[1] % size, -x.shape[2] % size
    if not (down or across):
        return x
    return ops.pad(x, ((0, 0), (0, down), (0, across), (0, 0)))
