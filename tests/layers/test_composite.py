import h5py
import keras
import numpy as np
import pytest

from keras_pose.layers import (
    Composite,
    Conv2D,
    ConvModule,
    SeparableConvModule,
    SqueezeExcite,
    Stack,
    component,
    serialized,
)
from keras_pose.layers.naming import state_dict

SHAPE = (None, 6, 6, 4)


class Pair(Composite):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = Stack([Conv2D(3, 1), keras.layers.Dropout(0.5), Conv2D(3, 1)])

    def call(self, x, training=None):
        return self.blocks(x, training=training)


def _datasets(path):
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda n, item: names.append(n) if isinstance(item, h5py.Dataset) else None)
    return names


def test_build_makes_every_variable():
    pair = Pair()
    pair.build(SHAPE)
    assert pair.built and len(pair.variables) == 4 + 1  # and the dropout's seed


def test_a_stack_saves_its_numbered_layers(tmp_path):
    """PyTorch's modules hide names that begin with a digit from dir(), and so from Keras."""
    model = keras.Sequential([keras.Input(SHAPE[1:]), Pair()])
    path = tmp_path / "a.weights.h5"
    model.save_weights(path)
    names = _datasets(path)
    assert len(names) == len(model.weights)
    assert any(name.endswith("blocks/2/vars/0") for name in names)
    weights = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in weights])
    model.load_weights(path)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stack_is_indexed_like_a_list():
    first, second = Conv2D(3, 1), keras.layers.ReLU()
    stack = Stack([first])
    stack.append(second)
    assert len(stack) == 2 and list(stack) == [first, second] and stack[-1] is second
    with pytest.raises(IndexError):
        stack[2]


def test_a_stack_passes_training_on():
    pair = Pair()
    x = np.ones((2, 2, 2, 4), np.float32)
    first, second = (keras.ops.convert_to_numpy(pair(x, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0
    first, second = (keras.ops.convert_to_numpy(pair(x, training=False)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_components_come_as_objects_or_configs():
    layer = keras.layers.Conv2D(3, (1, 3), name="c")
    assert component(layer) is layer
    assert component(None) is None and serialized(None) is None
    copy = component(serialized(layer))
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("layer", "names", "shape"),
    [
        (
            ConvModule(5, 3, 2),
            "conv.weight bn.weight bn.bias bn.running_mean bn.running_var",
            (3, 3, 5),
        ),
        (ConvModule(5, 3, norm=None), "conv.weight conv.bias", (6, 6, 5)),
        (ConvModule(None, 5, 2, norm=None, use_bias=False), "conv.weight", (3, 3, 4)),
        (
            ConvModule(8, 1, groups=2, norm=None, activation=None),
            "conv.weight conv.bias",
            (6, 6, 8),
        ),
        (
            SeparableConvModule(5, 3),
            "depthwise_conv.conv.weight pointwise_conv.conv.weight pointwise_conv.conv.bias",
            (6, 6, 5),
        ),
        (
            SqueezeExcite(4, 2, gate_bias=False),
            "conv1.conv.weight conv1.conv.bias conv2.conv.weight",
            (6, 6, 4),
        ),
    ],
)
def test_modules_have_the_names_of_checkpoints(layer, names, shape):
    layer.build(SHAPE)
    assert sorted(state_dict(layer)) == sorted(names.split())
    assert layer(keras.KerasTensor(SHAPE)).shape == (None, *shape)


def test_activation_comes_last():
    module = ConvModule(8, 1)
    x = np.random.default_rng(0).standard_normal((1, 6, 6, 4)).astype("f4")
    assert keras.ops.convert_to_numpy(module(x)).min() == 0


def test_a_gate_scales_channels_by_their_means():
    layer = SqueezeExcite(2, 1, gate="sigmoid")
    layer.build((None, 2, 2, 2))
    reduce, bias, expand, shift = [[1.0], [3.0]], [0.5], [[1.0, -1.0]], [0.0, 0.25]
    layer.set_weights(
        [
            np.array(v, "f4").reshape(w.shape)
            for v, w in zip((reduce, bias, expand, shift), layer.weights, strict=True)
        ]
    )
    x = np.arange(8, dtype="f4").reshape(1, 2, 2, 2) / 8
    hidden = max(x[..., 0].mean() + 3 * x[..., 1].mean() + 0.5, 0)
    gates = 1 / (1 + np.exp(-np.array([hidden, 0.25 - hidden])))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), x * gates, rtol=1e-5)
