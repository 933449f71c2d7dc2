"""RT-DETR's hybrid encoder (https://arxiv.org/abs/2304.08069) as RTMO uses it.

Paper of RTMO: https://arxiv.org/abs/2312.07526.
"""

import keras
import numpy as np
from keras import ops

from keras_pose.layers import (
    Composite,
    LayerNormalization,
    MultiheadAttention,
    Stack,
    activation,
    upsample,
)
from keras_pose.layers.csp import CSPConv
from keras_pose.layers.transformer import FeedForward

_TEMPERATURE = 10000.0


def sine_positions(height, width, channels: int):
    """What tells the cells of a map from each other: cosines and sines of rows and columns.

    Args:
        height, width: ints, or tensors where a compiled step does not know them.
        channels: int, a multiple of 4: a quarter each for the cosines of y, sines of y, cosines of
            x and sines of x.

    Returns:
        `(1, height * width, channels)` float32, row by row.
    """
    module = np if isinstance(height, int) and isinstance(width, int) else ops
    quarter = channels // 4
    # In float32, as published checkpoints hold it.
    lengths = np.float32(_TEMPERATURE) ** (np.arange(quarter, dtype="float32") / quarter)
    lengths = lengths.astype("float32")[None]
    if module is ops:
        lengths = ops.convert_to_tensor(lengths)
    y, x = (module.arange(side, dtype="float32")[:, None] / lengths for side in (height, width))
    y, x = (module.concatenate([module.cos(each), module.sin(each)], axis=1) for each in (y, x))
    rows = module.broadcast_to(y[:, None], (height, width, 2 * quarter))
    columns = module.broadcast_to(x[None], (height, width, 2 * quarter))
    both = module.concatenate([rows, columns], axis=-1)
    return module.reshape(both, (1, height * width, channels))


class SelfAttention(Composite):
    """`MultiheadAttention` under the name that it has in checkpoints."""

    def __init__(self, channels, heads, **kwargs):
        super().__init__(**kwargs)
        self.attn = MultiheadAttention(channels, heads)

    def call(self, x, positions=None):
        return self.attn(x, positions=positions)


class EncoderLayer(Composite):
    """Attention, then an MLP; each is added to its input and the sum normalised."""

    def __init__(self, channels, heads, hidden, dropout_rate, **kwargs):
        super().__init__(**kwargs)
        self.self_attn = SelfAttention(channels, heads)
        self.ffn = FeedForward(channels, hidden)
        self.norms = Stack([LayerNormalization(), LayerNormalization()])
        self.dropout = keras.layers.Dropout(dropout_rate) if dropout_rate else None

    def call(self, x, positions=None, training=None):
        x = self.norms[0](x + self._dropped(self.self_attn(x, positions=positions), training))
        return self.norms[1](x + self._dropped(self.ffn(x), training))

    def _dropped(self, x, training):
        return x if self.dropout is None else self.dropout(x, training=training)


class Encoder(Composite):
    """Pixels of a map `(B, h, w, C)` that attend to each other, layer by layer."""

    def __init__(self, channels, heads, hidden, layers, dropout_rate, **kwargs):
        super().__init__(**kwargs)
        self.layers = Stack(
            [EncoderLayer(channels, heads, hidden, dropout_rate) for _ in range(layers)]
        )

    def call(self, x, training=None):
        height, width, channels = *ops.shape(x)[1:3], x.shape[3]
        positions = sine_positions(height, width, channels)
        positions = ops.convert_to_tensor(positions, dtype=x.dtype)
        tokens = ops.reshape(x, (-1, height * width, channels))
        for layer in self.layers:
            tokens = layer(tokens, positions=positions, training=training)
        return ops.reshape(tokens, (-1, height, width, channels))


class RepVGGLayer(Composite):
    """A 3x3 and a 1x1 convolution side by side (https://arxiv.org/abs/2101.03697)."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.branch_3x3 = CSPConv(filters, 3, activation=None)
        self.branch_1x1 = CSPConv(filters, 1, activation=None)
        self._activation = activation("silu")

    def call(self, x, training=None):
        both = self.branch_3x3(x, training=training) + self.branch_1x1(x, training=training)
        return self._activation(both)


class CSPRepLayer(Composite):
    """One part of the channels passes through `RepVGGLayer`s, the other around them.

    Args:
        filters: int, output channels.
        width: int, channels of either part.
        blocks: int, number of blocks.
    """

    def __init__(self, filters, width, blocks, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = CSPConv(width, 1)
        self.conv2 = CSPConv(width, 1)
        self.bottlenecks = Stack([RepVGGLayer(width) for _ in range(blocks)])
        self.conv3 = CSPConv(filters, 1) if width != filters else None

    def call(self, x, training=None):
        through = self.bottlenecks(self.conv1(x, training=training), training=training)
        both = through + self.conv2(x, training=training)
        return both if self.conv3 is None else self.conv3(both, training=training)


class Projector(Composite):
    """A 1x1 convolution without activation for each level."""

    def __init__(self, filters, levels, **kwargs):
        super().__init__(**kwargs)
        self.convs = Stack([CSPConv(filters, 1, activation=None) for _ in range(levels)])

    def call(self, maps, training=None):
        return [
            convolution(x, training=training)
            for convolution, x in zip(self.convs, maps, strict=True)
        ]


@keras.saving.register_keras_serializable(package="keras_pose")
class HybridEncoder(Composite):
    """Pixels of the coarsest level attend to each other; then all levels see each other.

    Args:
        num_inputs: int, levels that come in, fine to coarse.
        hidden: int, channels of every level inside; a multiple of 4 and of `heads`.
        heads: int, of the attention.
        feedforward: int, hidden channels of the transformer's MLP.
        encoder_layers: int, transformer layers on the coarsest level.
        deepen_factor: float, multiplies the number of 3 blocks, which is rounded.
        widen_factor: float, multiplies the width of either path inside a block.
        out_indices: which levels to return, fine to coarse.
        out_channels: int, channels of a last 1x1 convolution of each of them; None for no such
            convolution.
        dropout_rate: float, part of the transformer's outputs that training zeroes.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(
        self,
        num_inputs=3,
        hidden=256,
        heads=8,
        feedforward=1024,
        encoder_layers=1,
        deepen_factor=1.0,
        widen_factor=1.0,
        out_indices=(1, 2),
        out_channels=None,
        dropout_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if hidden % 4:
            raise ValueError(f"hidden must be a multiple of 4, got {hidden}")
        self.num_inputs = num_inputs
        self.hidden = hidden
        self.heads = heads
        self.feedforward = feedforward
        self.encoder_layers = encoder_layers
        self.deepen_factor = deepen_factor
        self.widen_factor = widen_factor
        self.out_indices = tuple(out_indices)
        self.out_channels = out_channels
        self.dropout_rate = dropout_rate
        if not self.out_indices or not all(0 <= i < num_inputs for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..{num_inputs - 1}, got {self.out_indices}")
        steps = range(num_inputs - 1)

        def block():
            return CSPRepLayer(hidden, int(hidden * widen_factor), round(3 * deepen_factor))

        self.input_proj = Stack([CSPConv(hidden, 1, activation=None) for _ in range(num_inputs)])
        self.encoder = Stack([Encoder(hidden, heads, feedforward, encoder_layers, dropout_rate)])
        self.lateral_convs = Stack([CSPConv(hidden, 1) for _ in steps])
        self.fpn_blocks = Stack([block() for _ in steps])
        self.downsample_convs = Stack([CSPConv(hidden, 3, 2) for _ in steps])
        self.pan_blocks = Stack([block() for _ in steps])
        self.projector = None
        if out_channels is not None:
            self.projector = Projector(out_channels, len(self.out_indices))

    def call(self, features, training=None):
        maps = [
            projection(x, training=training)
            for projection, x in zip(self.input_proj, features, strict=True)
        ]
        x = self.encoder(maps[-1], training=training)
        laterals = []
        for step, finer in enumerate(maps[-2::-1]):
            lateral = self.lateral_convs[step](x, training=training)
            laterals.insert(0, lateral)
            x = ops.concatenate([upsample(lateral, 2, "nearest"), finer], axis=-1)
            x = self.fpn_blocks[step](x, training=training)
        maps = [x]
        for step, lateral in enumerate(laterals):
            x = self.downsample_convs[step](x, training=training)
            x = ops.concatenate([x, lateral], axis=-1)
            x = self.pan_blocks[step](x, training=training)
            maps.append(x)
        maps = [maps[i] for i in self.out_indices]
        return maps if self.projector is None else self.projector(maps, training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "num_inputs": self.num_inputs,
            "hidden": self.hidden,
            "heads": self.heads,
            "feedforward": self.feedforward,
            "encoder_layers": self.encoder_layers,
            "deepen_factor": self.deepen_factor,
            "widen_factor": self.widen_factor,
            "out_indices": self.out_indices,
            "out_channels": self.out_channels,
            "dropout_rate": self.dropout_rate,
        }
