"""Activations by the names that configs use."""

import keras
from keras import ops

# 1/6 as the networks that were stored in float16 hold it.
_SIXTH_FLOAT16 = 0.1666259765625


def _hard_sigmoid_float16(x):
    return ops.relu6(x + 3.0) * _SIXTH_FLOAT16


def _hard_swish_float16(x):
    # In this order: x * (relu6 * sixth) is what TensorFlow's oneDNN optimizer takes for the exact
    # hard swish and replaces, constant included.
    return (x * ops.relu6(x + 3.0)) * _SIXTH_FLOAT16


def _gelu(x):
    if keras.backend.backend() != "tensorflow":
        return ops.gelu(x, approximate=False)
    # TensorFlow's own is written with erfc, which ONNX does not have.
    return 0.5 * x * (1.0 + ops.erf(x * 0.7071067811865476))


_FUNCTIONS = {
    None: None,
    "gelu": _gelu,
    # Keras' own functions of these names refuse the symbolic tensors that layers are built with.
    "hard_silu": ops.hard_silu,
    "hard_swish": ops.hard_silu,
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
    "hard_sigmoid_half": lambda x: ops.clip(0.5 * x + 0.5, 0.0, 1.0),
    "hard_sigmoid_float16": _hard_sigmoid_float16,
    "hard_swish_float16": _hard_swish_float16,
}


def activation(name: str | None):
    """The function of an activation name, or None.

    Names are Keras' own ("relu", "relu6", "silu", "hard_swish", ...); "gelu" is the exact one.
    "hard_sigmoid_half" has slope 1/2, as OpenMMLab's networks, where Keras' and PyTorch's has 1/6.
    "hard_swish_float16" and "hard_sigmoid_float16" use 1/6 rounded to float16, as networks do whose
    graphs were stored in half precision (0.05 px and 0.001 of score apart from the exact ones).
    """
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    return keras.activations.get(name)
