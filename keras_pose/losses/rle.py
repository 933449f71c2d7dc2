"""Residual log-likelihood estimation: a regression loss with a learnt density of errors."""

import math

import keras
from keras import ops

from keras_pose.layers import Composite, Dense, Stack
from keras_pose.losses.comparison import check_choice, magnitude
from keras_pose.losses.loss import Loss


@keras.saving.register_keras_serializable(package="keras_pose")
class RealNVP(Composite):
    """A density of points in the plane, a normal one through learnt maps.

    Real NVP (https://arxiv.org/abs/1605.08803) with affine couplings that alternate between the
    coordinates, as the authors of RLE use it.

    Args:
        hidden: int, width of the networks of each coupling.
        couplings: int.

    Returns:
        Logarithms `(N,)` of the density at points `(N, 2)`.
    """

    def __init__(self, hidden=64, couplings=6, **kwargs):
        # Densities need the digits, whatever the network computes in.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.hidden = hidden
        self.couplings = couplings
        self.s = Stack([_network(hidden, True) for _ in range(couplings)])
        self.t = Stack([_network(hidden, False) for _ in range(couplings)])

    def build(self, input_shape):
        # Not by a symbolic call, which takes TensorFlow a second.
        for network in (*self.s, *self.t):
            width = input_shape[-1]
            for layer in network:
                if isinstance(layer, Dense):
                    layer.build((None, width))
                    width = layer.units
        self.built = True

    def call(self, x):
        z, log_det = x, 0.0
        for i in reversed(range(self.couplings)):
            # Which coordinate passes unchanged, and which is moved by it.
            kept = _constant([i % 2, 1 - i % 2])
            moved = _constant([1 - i % 2, i % 2])
            scale = self.s[i](z * kept) * moved
            shift = self.t[i](z * kept) * moved
            z = z * kept + (z - shift) * moved * ops.exp(-scale)
            log_det = log_det - ops.sum(scale, axis=-1)
        return log_det - 0.5 * ops.sum(ops.square(z), axis=-1) - math.log(2 * math.pi)

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden, "couplings": self.couplings}


def _constant(values):
    return ops.convert_to_tensor(values, dtype="float32")


def _leaky_relu(x):
    # As PyTorch's at 0, where JAX's derivative is 1.
    return ops.where(x > 0, x, 0.01 * x)


def _network(hidden, bounded):
    layers = []
    for filters, inputs in ((hidden, 2), (hidden, hidden), (2, hidden)):
        limit = inputs**-0.5
        layers += [
            Dense(
                filters,
                # Glorot's limits times 0.01: at first the density is nearly normal.
                kernel_initializer=keras.initializers.VarianceScaling(1e-4, "fan_avg", "uniform"),
                bias_initializer=keras.initializers.RandomUniform(-limit, limit),
                dtype="float32",
            ),
            keras.layers.Activation(_leaky_relu, dtype="float32"),
        ]
    last = [keras.layers.Activation("tanh", dtype="float32")] if bounded else []
    return Stack([*layers[:-1], *last], dtype="float32")


@keras.saving.register_keras_serializable(package="keras_pose")
class RLELoss(Composite, Loss):
    """Negative log-likelihood of coordinates (https://arxiv.org/abs/2107.11291).

    The error, in units of the sigma that the network says, is distributed as the product of a
    simple density and a learnt one. As in MMPose 1.3.2 the learnt logarithm counts once for each
    coordinate. The flow's weights are trained with the network; prediction does not need them.

    Args:
        weighted: bool, whether weights count.
        size_average: bool, divide the sum by the batch.
        residual: bool, multiply by the simple density.
        q_distribution: the simple density, "laplace" or "gaussian".
        hidden: int, width of the flow's networks.
    """

    terms = ("loss_kpt",)

    def __init__(
        self,
        weighted=True,
        size_average=True,
        residual=True,
        q_distribution="laplace",
        hidden=64,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        check_choice("q_distribution", q_distribution, ("laplace", "gaussian"))
        self.weighted = weighted
        self.size_average = size_average
        self.residual = residual
        self.q_distribution = q_distribution
        self.hidden = hidden
        self.flow_model = RealNVP(hidden)
        # A head's forward pass does not run its loss, so that nothing else would build it.
        self.flow_model.build((None, 2))
        self.built = True

    def call(self, targets, outputs):
        weights = targets.get("weights")
        value = self._value(
            outputs["coordinates"], outputs["sigmas"], targets["coordinates"], weights
        )
        return {"loss_kpt": value}

    def value(self, output, logits, target, weights=None):
        """The loss as the reference computes it.

        Args:
            output, target: coordinates `(B, K, 2)`.
            logits: `(B, K, 2)`, whose sigmoids are the sigmas.
            weights: `(B, K)` or `(B, K, 1 or 2)`.
        """
        return self._value(output, ops.sigmoid(logits), target, weights)

    def _value(self, output, sigma, target, weights):
        error = (output - target) / (sigma + 1e-9)
        log_density = self.flow_model(ops.reshape(error, (-1, 2)))
        log_density = ops.reshape(log_density, (*ops.shape(error)[:2], 1))
        value = ops.log(sigma) - log_density
        if self.residual and self.q_distribution == "laplace":
            value = value + ops.log(2 * sigma) + magnitude(error)
        elif self.residual:
            value = value + ops.log(sigma * math.sqrt(2 * math.pi)) + 0.5 * ops.square(error)
        if self.weighted and weights is not None:
            value = value * (weights[..., None] if len(weights.shape) == 2 else weights)
        value = ops.sum(value)
        return value / ops.shape(output)[0] if self.size_average else value

    def get_config(self):
        return {
            **super().get_config(),
            "weighted": self.weighted,
            "size_average": self.size_average,
            "residual": self.residual,
            "q_distribution": self.q_distribution,
            "hidden": self.hidden,
        }
