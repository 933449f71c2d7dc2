import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import activation

X = np.linspace(-5, 5, 41, dtype=np.float32)
# 1/6 in half precision.
SIXTH = float(np.float16(1 / 6))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", np.maximum(X, 0)),
        ("relu6", np.clip(X, 0, 6)),
        ("silu", X / (1 + np.exp(-X))),
        ("hard_swish", X * np.clip(X + 3, 0, 6) / 6),
        ("mish", X * np.tanh(np.log1p(np.exp(X)))),
        ("hard_sigmoid", np.clip(X + 3, 0, 6) / 6),
        ("hard_swish_float16", X * np.clip(X + 3, 0, 6) * SIXTH),
        ("hard_sigmoid_float16", np.clip(X + 3, 0, 6) * SIXTH),
    ],
)
def test_values(name, expected):
    """Symbols are accepted too: layers are built with them."""
    assert activation(name)(keras.KerasTensor((None, 3))).shape == (None, 3)
    actual = ops.convert_to_numpy(activation(name)(ops.convert_to_tensor(X)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)


def test_gelu_is_the_exact_one():
    # The usual approximation by a tanh gives 0.84119 here.
    value = activation("gelu")(ops.convert_to_tensor(np.float32([1.0])))
    np.testing.assert_allclose(ops.convert_to_numpy(value), 0.8413447, rtol=0, atol=1e-6)


def test_no_activation_is_none():
    assert activation(None) is None


def test_gelu_is_made_of_what_onnx_has(backend):
    if backend != "tensorflow":
        pytest.skip("only TensorFlow's own GELU needs what ONNX lacks")
    import tensorflow as tf

    function = tf.function(activation("gelu"))
    graph = function.get_concrete_function(tf.TensorSpec((2, 3))).graph
    assert {"Erf", "Erfc"} & {op.type for op in graph.get_operations()} == {"Erf"}
