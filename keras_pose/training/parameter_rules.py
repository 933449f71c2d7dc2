"""Learning rates and weight decays of single parameters, by the names of published checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras

from keras_pose.layers.naming import checkpoint_name, named_variables
from keras_pose.training.schedule import unknown

_NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)
_KEY_SETTINGS = ("rate", "decay")


@dataclass(frozen=True)
class Parameter:
    """What rules look at.

    Args:
        name: as in a checkpoint, such as "backbone.layer1.0.conv1.weight".
        dimensions: int, number of axes.
        kind: "norm" for scale and bias of a batch, layer or group normalisation, "depthwise" for
            a depthwise convolution, else "other".
    """

    name: str
    dimensions: int
    kind: str = "other"


@dataclass(frozen=True)
class ParameterRules:
    """Factors of learning rate and weight decay by kind and name, as MMEngine's constructors do.

    For each parameter the longest of `keys` that occurs in its name decides; without one the rules
    by kind do: the first that applies of norm, bias, depthwise, flat. What is None changes nothing.
    Sources: `DefaultOptimWrapperConstructor` of https://mmengine.readthedocs.io, and MMPose's
    `ForceDefaultOptimWrapperConstructor`.

    Args:
        norm_decay: float, decay factor of scales and biases of normalisation.
        bias_decay, bias_rate: floats, for parameters named exactly `bias`; the rate is not for
            biases of normalisation.
        depthwise_decay: float, for kernels of depthwise convolutions.
        flat_decay: float, for all other parameters with one axis.
        keys: dict from a part of names to {"rate": float, "decay": float}.
        always: bool, let the rules by kind act after a key too.

    Raises:
        ValueError: for unknown settings of keys.
    """

    norm_decay: float | None = None
    bias_decay: float | None = None
    bias_rate: float | None = None
    depthwise_decay: float | None = None
    flat_decay: float | None = None
    keys: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    always: bool = False

    def __post_init__(self):
        for key, settings in self.keys.items():
            for name in settings:
                if name not in _KEY_SETTINGS:
                    raise ValueError(f"keys of {key!r}: {unknown('setting', name, _KEY_SETTINGS)}")

    def factors(self, parameter: Parameter) -> tuple[float, float]:
        """(learning-rate factor, weight-decay factor) of a parameter."""
        # As in the reference, names of parameters that the model itself holds begin with a dot.
        name = parameter.name if "." in parameter.name else f".{parameter.name}"
        keys = sorted(sorted(self.keys), key=len, reverse=True)
        found = next((key for key in keys if key in name), None)
        settings = self.keys[found] if found is not None else {}
        rate, decay = settings.get("rate", 1.0), settings.get("decay", 1.0)
        if found is not None and not self.always:
            return float(rate), float(decay)
        norm, bias = parameter.kind == "norm", name.rpartition(".")[2] == "bias"
        if bias and not norm and self.bias_rate is not None:
            rate = self.bias_rate
        for applies, value in (
            (norm, self.norm_decay),
            (bias, self.bias_decay),
            (parameter.kind == "depthwise", self.depthwise_decay),
            (parameter.dimensions == 1, self.flat_decay),
        ):
            if applies and value is not None:
                decay = value
                break
        return float(rate), float(decay)


# Names that belong to the input of a transformer.
_FIRST = ("backbone.cls_token", "backbone.mask_token", "backbone.pos_embed")


@dataclass(frozen=True)
class LayerDecay:
    """Learning rates that fall from a transformer's last layer to its first.

    Layer i of n learns with `rate ** (n + 1 - i)`: 0 is the embedding, 1 the first block, and all
    that is neither (final normalisation, neck, head) n + 1. Parameters with one axis, biases and
    position embeddings do not decay. As ViTPose trains (https://arxiv.org/abs/2204.12484,
    `LayerDecayOptimWrapperConstructor` of MMPose). Of a Swin transformer, whose blocks have
    other names, only the embedding learns slower, as in the reference.

    Args:
        rate: float, from one layer to the one before it.
        layers: int, number of blocks.
    """

    rate: float
    layers: int

    def layer(self, name: str) -> int:
        """The number of the layer that a parameter belongs to."""
        if name in _FIRST or name.startswith("backbone.patch_embed"):
            return 0
        if name.startswith("backbone.layers."):
            return int(name.split(".")[2]) + 1
        return self.layers + 1

    def factors(self, parameter: Parameter) -> tuple[float, float]:
        """(learning-rate factor, weight-decay factor) of a parameter."""
        name = parameter.name
        still = parameter.dimensions == 1 or name.endswith(".bias") or "pos_embed" in name
        return self.rate ** (self.layers + 1 - self.layer(name)), 0.0 if still else 1.0


def parameters(model: keras.Model) -> list[Parameter]:
    """The trainable parameters of a model, in the order of `model.trainable_variables`."""
    known = {}
    for path, (layer, variable) in named_variables(model).items():
        kind = "norm" if isinstance(layer, _NORMS) else "other"
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kind = "depthwise"
        name, _ = checkpoint_name(path, layer)
        known[id(variable)] = Parameter(name, len(variable.shape), kind)
    return [known[id(variable)] for variable in model.trainable_variables]


def parameter_factors(
    model: keras.Model, rules: ParameterRules | LayerDecay
) -> list[tuple[float, float]]:
    """The `factors` of an optimizer, which follow from the names and kinds of a model's variables.

    Args:
        model: a built model; layers that shall not learn are frozen already.
        rules: ParameterRules or LayerDecay.

    Example:
        >>> parameter_factors(estimator, ParameterRules(norm_decay=0, bias_decay=0))
    """
    return [rules.factors(parameter) for parameter in parameters(model)]


def useless_keys(model: keras.Model, rules: ParameterRules | LayerDecay) -> list[str]:
    """A sentence about each key of rules that is part of no name, with the nearest parts.

    Published recipes have such keys, so they are no error.
    """
    names = [f".{parameter.name}" for parameter in parameters(model)]
    parts = {part for name in names for part in _prefixes(name[1:])}
    return [
        f"no parameter has this in its name: {unknown('key', key, parts)}"
        for key in getattr(rules, "keys", ())
        if not any(key in name for name in names)
    ]


def _prefixes(name: str) -> list[str]:
    words = name.split(".")
    return [*words, *(".".join(words[:i]) for i in range(2, min(4, len(words)) + 1))]
