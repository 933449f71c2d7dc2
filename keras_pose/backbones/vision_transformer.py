"""Plain vision transformer as ViTPose uses it (Dosovitskiy et al., 2020,
https://arxiv.org/abs/2010.11929; Xu et al., 2022, https://arxiv.org/abs/2204.12484)."""

import keras
from keras import ops

from keras_pose.layers import (
    Composite,
    DropPath,
    LayerNormalization,
    LazyInitialization,
    SelfAttention,
    Stack,
    drop_path_rates,
)
from keras_pose.layers.transformer import FeedForward, PatchEmbedding

# Channels, blocks, heads, hidden channels of the MLPs; tables 1 and 2 of the ViTPose paper.
VARIANTS = {
    "small": (384, 12, 12, 1536),
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
    "huge": (1280, 32, 16, 5120),
}
_KEYS = ("embed_dims", "num_layers", "num_heads", "feedforward_channels")


class TransformerBlock(Composite):
    """Attention and an MLP, each on normalised tokens and added to its input."""

    def __init__(
        self, channels, heads, hidden, drop_path_rate, qkv_bias, epsilon, experts, **kwargs
    ):
        super().__init__(**kwargs)
        self.ln1 = LayerNormalization(epsilon)
        self.attn = SelfAttention(channels, heads, qkv_bias)
        self.ln2 = LayerNormalization(epsilon)
        self.ffn = FeedForward(channels, hidden, *experts)
        self.drop_path = DropPath(drop_path_rate)

    def call(self, x, training=None):
        x = x + self.drop_path(self.attn(self.ln1(x)), training=training)
        return x + self.drop_path(self.ffn(self.ln2(x)), training=training)


@keras.saving.register_keras_serializable(package="keras_pose")
class VisionTransformer(LazyInitialization, Composite):
    """Vision transformer without class token: images of one size to feature maps.

    Args:
        arch: "small", "base", "large" or "huge" (ViTPose's, which has 12 heads in "small"), or a
            dict of `embed_dims`, `num_layers`, `num_heads` and `feedforward_channels`.
        image_size: (height, width) in pixels, for which there are learned positions.
        patch_size: int, pixels.
        patch_padding: int, zeros around the image; ViTPose has 2.
        out_indices: which blocks' maps to return, shallow to deep; negative ones count from the
            end.
        drop_path_rate: float, stochastic depth of the last block; grows from 0 in the first.
        qkv_bias: bool.
        final_norm: bool, whether the last block's map is normalised.
        epsilon: float, of the layer normalisations.
        num_experts: int, experts in each MLP, of which one is used: ViTPose++ has one for each
            data set that it was trained on. 0 for none.
        expert_channels: int, width of the experts' part of the channels.
        dataset_index: int, the expert that is used.

    Returns:
        List of maps `(B, h, w, C)` of stride `patch_size`.
    """

    def __init__(
        self,
        arch="base",
        image_size=(256, 192),
        patch_size=16,
        patch_padding=2,
        out_indices=(-1,),
        drop_path_rate=0.0,
        qkv_bias=True,
        final_norm=True,
        epsilon=1e-6,
        num_experts=0,
        expert_channels=0,
        dataset_index=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        channels, depth, heads, hidden = _sizes(arch)
        self.arch = arch
        self.image_size = tuple(image_size)
        self.patch_size = patch_size
        self.patch_padding = patch_padding
        self.out_indices = tuple(out_indices)
        self.drop_path_rate = drop_path_rate
        self.qkv_bias = qkv_bias
        self.final_norm = final_norm
        self.epsilon = epsilon
        self.num_experts = num_experts
        self.expert_channels = expert_channels
        self.dataset_index = dataset_index
        if not self.out_indices or not all(-depth <= i < depth for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..{depth - 1}, got {self.out_indices}")
        if num_experts and not 0 <= dataset_index < num_experts:
            raise ValueError(f"dataset_index must lie in 0..{num_experts - 1}, got {dataset_index}")
        if num_experts and not 0 < expert_channels < channels:
            raise ValueError(
                f"expert_channels must lie in 1..{channels - 1}, got {expert_channels}"
            )
        self._outputs = sorted(i % depth for i in self.out_indices)
        self._channels = channels
        self._grid = tuple(
            (size + 2 * patch_padding - patch_size) // patch_size + 1 for size in self.image_size
        )
        self.patch_embed = PatchEmbedding(channels, patch_size, padding=patch_padding)
        experts = (num_experts, expert_channels, dataset_index)
        rates = drop_path_rates(drop_path_rate, depth)[: self._outputs[-1] + 1]
        self.layers = Stack(
            [
                TransformerBlock(channels, heads, hidden, rate, qkv_bias, epsilon, experts)
                for rate in rates
            ]
        )
        if final_norm and self._outputs[-1] == depth - 1:
            self.ln1 = LayerNormalization(epsilon)

    def build(self, input_shape):
        if tuple(input_shape[1:3]) != self.image_size:
            height, width = self.image_size
            raise ValueError(
                f"this VisionTransformer has positions for images of {height}x{width} pixels, got "
                f"{input_shape[1]}x{input_shape[2]}"
            )
        rows, columns = self._grid
        self.pos_embed = self.add_weight(
            name="pos_embed",
            shape=(1, rows * columns, self._channels),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )
        super().build(input_shape)

    def call(self, x, training=None):
        rows, columns = self._grid
        x = ops.reshape(self.patch_embed(x), (-1, rows * columns, self._channels))
        x = x + self.pos_embed
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x, training=training)
            if index in self._outputs:
                is_last = hasattr(self, "ln1") and index == len(self.layers) - 1
                y = self.ln1(x) if is_last else x
                maps.append(ops.reshape(y, (-1, rows, columns, self._channels)))
        return maps

    @property
    def sizes(self) -> dict[str, int]:
        """`arch` as a dict."""
        return dict(zip(_KEYS, _sizes(self.arch), strict=True))

    def get_config(self):
        return {
            **super().get_config(),
            "arch": self.arch,
            "image_size": self.image_size,
            "patch_size": self.patch_size,
            "patch_padding": self.patch_padding,
            "out_indices": self.out_indices,
            "drop_path_rate": self.drop_path_rate,
            "qkv_bias": self.qkv_bias,
            "final_norm": self.final_norm,
            "epsilon": self.epsilon,
            "num_experts": self.num_experts,
            "expert_channels": self.expert_channels,
            "dataset_index": self.dataset_index,
        }


def _sizes(arch):
    if isinstance(arch, str):
        if arch not in VARIANTS:
            raise ValueError(f'arch must be one of {", ".join(VARIANTS)} or a dict, got "{arch}"')
        return VARIANTS[arch]
    if set(arch) != set(_KEYS):
        raise ValueError(f"arch must have the keys {', '.join(_KEYS)}, got {', '.join(arch)}")
    return tuple(arch[key] for key in _KEYS)
