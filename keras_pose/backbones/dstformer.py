"""Dual-stream spatio-temporal transformer of MotionBERT (Zhu et al., 2022,
https://arxiv.org/abs/2210.06551)."""

import keras
from keras import ops

from keras_pose.layers import (
    Composite,
    Dense,
    DropPath,
    LayerNormalization,
    LazyInitialization,
    SelfAttention,
    Stack,
    activation,
    drop_path_rates,
)


class DualStreamBlock(Composite):
    """Attention among the joints of a frame and among the frames of a joint, each with an MLP.

    Args:
        order: "st" for joints first, "ts" for frames first.
        (others): as in `DSTFormer`.
    """

    def __init__(self, channels, heads, hidden, order, epsilon, drop_path_rate, **kwargs):
        super().__init__(**kwargs)
        self._order = order
        self.drop_path = DropPath(drop_path_rate)
        # The names that checkpoints have: s among joints (space), t among frames (time).
        for kind in "st":
            setattr(self, f"norm1_{kind}", LayerNormalization(epsilon))
            setattr(self, f"attn_{kind}", SelfAttention(channels, heads))
            setattr(self, f"norm2_{kind}", LayerNormalization(epsilon))
            setattr(self, f"mlp_{kind}", _mlp(channels, hidden))

    def call(self, x, training=None):
        for kind in self._order:
            norm1, attention, norm2, mlp = (
                getattr(self, f"{part}_{kind}") for part in ("norm1", "attn", "norm2", "mlp")
            )
            y = _among_joints if kind == "s" else _among_frames
            x = x + self.drop_path(y(attention, norm1(x)), training=training)
            x = x + self.drop_path(mlp(norm2(x)), training=training)
        return x


@keras.saving.register_keras_serializable(package="keras_pose")
class DSTFormer(LazyInitialization, Composite):
    """Two streams of spatial and temporal attention over 2D poses, mixed after every layer.

    Args:
        channels: int, width of the tokens.
        depth: int, layers.
        num_heads: int, divides the channels.
        mlp_ratio: float, width of the MLPs in channels.
        frames: int, the most frames of a sequence; each has a learned embedding.
        att_fuse: bool, learn for every token how to weigh the streams; else their mean.
        drop_path_rate: float, stochastic depth of the last layer; grows from 0 in the first.
        epsilon: float, of the layer normalisations.

    Returns:
        List of one `(B, T, K, channels)`, of poses `(B, T, K, D)`.

    Raises:
        ValueError: if a sequence has more than `frames` frames.
    """

    def __init__(
        self,
        channels=512,
        depth=5,
        num_heads=8,
        mlp_ratio=2.0,
        frames=243,
        att_fuse=True,
        drop_path_rate=0.0,
        epsilon=1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels, self.depth, self.num_heads = channels, depth, num_heads
        self.mlp_ratio, self.frames, self.att_fuse = mlp_ratio, frames, att_fuse
        self.drop_path_rate, self.epsilon = drop_path_rate, epsilon
        self.joints_embed = Dense(channels)
        rates, hidden = drop_path_rates(drop_path_rate, depth), int(channels * mlp_ratio)
        for order in ("st", "ts"):
            blocks = [
                DualStreamBlock(channels, num_heads, hidden, order, epsilon, rate) for rate in rates
            ]
            setattr(self, f"blocks_{order}", Stack(blocks))
        self.norm = LayerNormalization(epsilon)
        if att_fuse:
            # Both streams weigh the same at first.
            start = {"kernel_initializer": "zeros"}
            start["bias_initializer"] = keras.initializers.Constant(0.5)
            self.attn_regress = Stack([Dense(2, **start) for _ in range(depth)])

    def build(self, input_shape):
        normal = keras.initializers.TruncatedNormal(stddev=0.02)
        self.temp_embed = self.add_weight(
            name="temp_embed", shape=(1, self.frames, 1, self.channels), initializer=normal
        )
        self.spat_embed = self.add_weight(
            name="spat_embed", shape=(1, input_shape[2], self.channels), initializer=normal.clone()
        )
        super().build(input_shape)

    def call(self, x, training=None):
        frames = x.shape[1]
        if frames > self.frames:
            raise ValueError(
                f"the network reads at most {self.frames} frames at a time, got sequences of "
                f"{frames}; cut them"
            )
        x = self.joints_embed(x)
        x = x + ops.cast(self.spat_embed[None], x.dtype)
        x = x + ops.cast(self.temp_embed[:, :frames], x.dtype)
        for i, (st, ts) in enumerate(zip(self.blocks_st, self.blocks_ts, strict=True)):
            first, second = st(x, training=training), ts(x, training=training)
            if self.att_fuse:
                logits = self.attn_regress[i](ops.concatenate([first, second], axis=-1))
                weights = ops.cast(ops.softmax(ops.cast(logits, "float32")), first.dtype)
                x = first * weights[..., :1] + second * weights[..., 1:]
            else:
                x = 0.5 * (first + second)
        return [self.norm(x)]

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "depth": self.depth,
            "num_heads": self.num_heads,
            "mlp_ratio": self.mlp_ratio,
            "frames": self.frames,
            "att_fuse": self.att_fuse,
            "drop_path_rate": self.drop_path_rate,
            "epsilon": self.epsilon,
        }


def _mlp(channels, hidden):
    # The layer without weights stands where checkpoints count the activation.
    first = Dense(hidden, activation=activation("gelu"))
    return Stack([first, keras.layers.Identity(), Dense(channels)])


def _among_joints(attention, x):
    frames, joints, channels = x.shape[1:]
    tokens = ops.reshape(x, (-1, joints, channels))
    return ops.reshape(attention(tokens), (-1, frames, joints, channels))


def _among_frames(attention, x):
    frames, joints, channels = x.shape[1:]
    tokens = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, frames, channels))
    tokens = ops.reshape(attention(tokens), (-1, joints, frames, channels))
    return ops.transpose(tokens, (0, 2, 1, 3))
