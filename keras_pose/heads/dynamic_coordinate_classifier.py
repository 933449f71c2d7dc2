"""RTMO's dynamic coordinate classifier (https://arxiv.org/abs/2312.07526)."""

import math

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.decoding import constant
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Dense,
    GatedAttentionUnit,
    LazyInitialization,
    Stack,
)

# A box grows by this factor before it is cut into bins.
_PADDING = 1.25
_TEMPERATURE = 300.0
_LARGEST_LOGIT = 5e4
_LEAST_SIGMA = 1e-3
# Bins whose encodings are multiplied at once; the fewer, the more often tokens are turned.
_LONGEST_RUN = 32
# PyTorch's own draw for linear layers: +-1/sqrt(inputs).
_UNIFORM = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


class Factor(LazyInitialization, keras.layers.Layer):
    """Multiplies everything by one learnt number."""

    def __init__(self, value=1.0, **kwargs):
        super().__init__(**kwargs)
        self._value = value

    def build(self, input_shape):
        initializer = keras.initializers.Constant(self._value)
        self.scale = self.add_weight(shape=(), initializer=initializer, name="scale")
        self.built = True

    def call(self, x):
        return x * self.scale

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class DynamicCoordinateClassifier(LazyInitialization, Composite):
    """Where the keypoints of people are, by classifying bins that lie around their boxes.

    Each box, enlarged by a quarter, is cut into bins along x and y. A bin is encoded by sines and
    cosines of its distance to the person's prior point, a keypoint by a token made of the person's
    pose vector; their products are the logits of the bins.

    Args:
        num_keypoints: int, K.
        channels: int, width of tokens.
        bins: (number along x, number along y).
        encoding_channels: int, even, width of a bin's encoding before the dense layer.
        attention: settings of the `GatedAttentionUnit` beside its width.
    """

    def __init__(
        self,
        num_keypoints,
        channels=128,
        bins=(192, 256),
        encoding_channels=128,
        attention=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if encoding_channels % 2:
            raise ValueError(f"encoding_channels must be even, got {encoding_channels}")
        self._count = num_keypoints
        self._channels = channels
        self._bins = tuple(bins)
        self._encoding_channels = encoding_channels
        half = encoding_channels // 2
        self._lengths = (_TEMPERATURE ** (np.arange(half) / half)).astype("float32")
        self.pose_to_kpts = Stack([_dense(num_keypoints * channels), BatchNormalization()])
        self.gau = GatedAttentionUnit(channels, **{"key_units": channels, **(attention or {})})
        self.gau.uv.kernel_initializer = keras.initializers.GlorotUniform()
        self.gau.o.kernel_initializer = _UNIFORM.clone()
        self.x_fc = _dense(channels)
        self.y_fc = _dense(channels)
        # The activation stands where the checkpoint counts it.
        self.sigma_fc = Stack(
            [_dense(num_keypoints), keras.layers.Activation("sigmoid"), Factor(0.1)]
        )

    def build(self, input_shape):
        """Of pose vectors `(M, C)`."""
        tokens = (None, self._count, self._channels)
        self.pos_enc = self.add_weight(
            name="pos_enc",
            shape=(self._count, self.gau.key_units),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        self.pose_to_kpts[0].build(input_shape)
        self.pose_to_kpts[1].build((None, self._count * self._channels))
        self.gau.build(tokens)
        for layer in (self.x_fc, self.y_fc):
            layer.build((None, self._encoding_channels))
        self.sigma_fc[0].build(input_shape)
        self.sigma_fc[2].build((None, self._count))
        self.built = True

    def tokens(self, vectors, training=False, counted=None):
        """One token a keypoint `(M, K, channels)`, float32, from pose vectors `(M, C)`.

        Args:
            counted: `(M,)`, 1 for rows that enter the statistics of a training step; default all.
        """
        dense, norm = self.pose_to_kpts
        mask = None
        if training and counted is not None:
            # Where nothing counts everything does: there is no mean of nothing.
            mask = (counted > 0) | (ops.sum(counted) == 0)
        x = norm(dense(vectors), training=training, mask=mask)
        x = ops.reshape(x, (-1, self._count, self._channels))
        positions = ops.convert_to_tensor(self.pos_enc)[None]
        return ops.cast(self.gau(x, positions=positions, training=training), "float32")

    def places(self, boxes) -> tuple:
        """Where the bins lie: x `(M, columns)` and y `(M, rows)` in input pixels.

        Args:
            boxes: `(M, 4)` xyxy in input pixels, not cut at the input's borders.
        """
        return tuple(
            0.5 * (low + high) + (high - low) * constant(np.linspace(-0.5, 0.5, count) * _PADDING)
            for low, high, count in (
                (boxes[:, 0:1], boxes[:, 2:3], self._bins[0]),
                (boxes[:, 1:2], boxes[:, 3:4], self._bins[1]),
            )
        )

    def logits(self, tokens, places, points) -> tuple:
        """How likely each bin is: x `(M, K, columns)` and y `(M, K, rows)`.

        Args:
            tokens: of `tokens`.
            places: of `places`.
            points: `(M, 2)`, the prior points in input pixels.
        """
        return tuple(
            self._products(tokens, place - points[:, axis : axis + 1], layer)
            for axis, (place, layer) in enumerate(zip(places, (self.x_fc, self.y_fc), strict=True))
        )

    def _products(self, tokens, distance, layer):
        """Products of tokens with what a dense layer makes of the encoded distances `(M, n)`.

        Bins lie evenly, in runs of equal length. By the addition theorems the sines and cosines of
        a run's first bin turn the few tokens, and all runs meet the same sines and cosines of the
        distances inside a run, which are far fewer than the bins.
        """
        bins = distance.shape[1]
        run = math.gcd(bins, _LONGEST_RUN)
        kernel = ops.cast(ops.convert_to_tensor(layer.kernel), "float32")
        bias = ops.cast(ops.convert_to_tensor(layer.bias), "float32")
        # The few tokens go through the layer backwards, instead of the many bins forwards.
        turned = ops.matmul(tokens, ops.transpose(kernel))[:, :, None]
        half = self._encoding_channels // 2
        cosines, sines = turned[..., :half], turned[..., half:]

        lengths = constant(self._lengths)
        first = (distance[:, ::run, None] / lengths)[:, None]
        inside = (distance[:, :run] - distance[:, :1])[..., None] / lengths
        inside = ops.concatenate([ops.cos(inside), ops.sin(inside)], axis=-1)
        cos, sin = ops.cos(first), ops.sin(first)
        turned = ops.concatenate(
            [cosines * cos + sines * sin, sines * cos - cosines * sin], axis=-1
        )
        turned = ops.reshape(turned, (-1, tokens.shape[1] * (bins // run), 2 * half))
        products = ops.matmul(turned, ops.transpose(inside, (0, 2, 1)))
        products = ops.reshape(products, (-1, tokens.shape[1], bins))
        return products + ops.sum(tokens * bias, axis=-1, keepdims=True)

    def call(self, vectors, boxes, points, training=False, counted=None):
        """Keypoints of M people.

        Args:
            vectors: `(M, C)`, pose vectors.
            boxes: `(M, 4)` xyxy in input pixels, not cut at the input's borders.
            points: `(M, 2)`, prior points in input pixels.
            counted: see `tokens`.

        Returns:
            `keypoints` `(M, K, 2)` in input pixels, and of x and y each the `places` and the
            `probabilities` of their bins.
        """
        places = self.places(boxes)
        logits = self.logits(self.tokens(vectors, training, counted), places, points)
        weights = [_weights(each) for each in logits]
        totals = [ops.sum(weight, axis=-1) + 1e-8 for weight in weights]
        # Divided once a keypoint: probabilities are for training.
        keypoints = [
            ops.sum(weight * place[:, None], axis=-1) / total
            for weight, place, total in zip(weights, places, totals, strict=True)
        ]
        return {
            "keypoints": ops.stack(keypoints, axis=-1),
            "places": places,
            "probabilities": tuple(
                weight / total[..., None] for weight, total in zip(weights, totals, strict=True)
            ),
        }

    def sigmas(self, vectors):
        """How unsure each keypoint is `(M, K)`, float32, in units of the person's size."""
        return ops.maximum(ops.cast(self.sigma_fc(vectors), "float32"), _LEAST_SIGMA)


def _dense(units):
    return Dense(units, kernel_initializer=_UNIFORM.clone())


def _weights(logits):
    """What the probabilities of bins are proportional to; the likeliest has 1."""
    logits = ops.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    logits = logits - ops.max(logits, axis=-1, keepdims=True)
    # Nothing smaller counts, and processors are slow with numbers below 1e-38.
    return ops.exp(ops.maximum(logits, -60.0))
