"""Attribute paths as names of weights."""

import keras
import numpy as np
import pytest

from keras_pose.layers import BatchNormalization, Composite, Conv2D, Stack
from keras_pose.layers.naming import (
    copy_fitting_variables,
    load_state_dict,
    load_variables,
    named_variables,
    state_dict,
)


class Net(Composite):
    """One layer of every kind that has names of its own, and every way of holding layers."""

    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.stem = Stack([Conv2D(width, 3, padding=1), keras.layers.ReLU(), BatchNormalization()])
        self.depthwise = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)
        self.branches = [Conv2D(width, 1), [Conv2D(width, 1, use_bias=False)]]
        self.up = keras.layers.Conv2DTranspose(5, 2, 2)
        self.norm = keras.layers.LayerNormalization()
        self.fc = keras.layers.Dense(2)

    def call(self, x, training=None):
        x = self.depthwise(self.stem(x, training=training))
        x = self.branches[0](x) + self.branches[1][0](x)
        return self.fc(self.norm(self.up(x)))


def _net(width=4):
    net = Net(width)
    net.build((None, 4, 4, 3))
    random = np.random.default_rng(width)
    net.set_weights([random.standard_normal(w.shape).astype("f4") for w in net.get_weights()])
    return net


@pytest.fixture(scope="module")
def net():
    return _net()


SHAPES = {
    "stem.0.weight": (4, 3, 3, 3),
    "stem.0.bias": (4,),
    "stem.2.weight": (4,),
    "stem.2.bias": (4,),
    "stem.2.running_mean": (4,),
    "stem.2.running_var": (4,),
    "depthwise.weight": (4, 1, 3, 3),
    "branches.0.weight": (4, 4, 1, 1),
    "branches.0.bias": (4,),
    "branches.1.0.weight": (4, 4, 1, 1),
    "up.weight": (4, 5, 2, 2),
    "up.bias": (5,),
    "norm.weight": (5,),
    "norm.bias": (5,),
    "fc.weight": (2, 5),
    "fc.bias": (2,),
}


def test_names_and_layouts_are_pytorchs(net):
    arrays = state_dict(net)
    assert {name: array.shape for name, array in arrays.items()} == SHAPES


def test_kernels_are_transposed_not_reshaped(net):
    arrays = state_dict(net)
    kernel = keras.ops.convert_to_numpy(net.stem[0].kernel)
    assert arrays["stem.0.weight"][2, 1, 0, 2] == kernel[0, 2, 1, 2]
    up = keras.ops.convert_to_numpy(net.up.kernel)
    assert arrays["up.weight"][3, 4, 0, 1] == up[0, 1, 4, 3]


def test_every_variable_has_one_name(net):
    named = named_variables(net)
    assert len(named) == len(net.weights)
    assert {id(variable) for _, variable in named.values()} == {id(v) for v in net.weights}


def _forget(net):
    net.set_weights([np.zeros_like(w) for w in net.get_weights()])


def test_a_state_dict_is_loaded_again_exactly(net):
    weights, arrays = net.get_weights(), state_dict(net)
    _forget(net)
    load_state_dict(net, {**arrays, "stem.2.num_batches_tracked": np.array(7)})
    for a, b in zip(weights, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_variables_are_loaded_in_keras_layout(net):
    weights = net.get_weights()
    arrays = {
        path: keras.ops.convert_to_numpy(variable)
        for path, (_, variable) in named_variables(net).items()
    }
    assert arrays["stem.0.kernel"].shape == (3, 3, 3, 4)
    _forget(net)
    load_variables(net, arrays)
    for a, b in zip(weights, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("fc.bias"), r"1 missing: fc\.bias"),
        (lambda arrays: arrays.update(extra=np.zeros(1)), "1 unused: extra"),
        (
            lambda arrays: arrays.update({"up.weight": np.zeros((5, 4, 2, 2))}),
            r"up\.weight has shape \(2, 2, 4, 5\), not \(2, 2, 5, 4\)",
        ),
        (
            lambda arrays: arrays.update({"fc.weight": np.zeros(3)}),
            r"fc\.weight has shape \(3,\), not \(5, 2\)",
        ),
        (lambda arrays: arrays.clear(), r"16 missing: .*, \.\.\."),
    ],
)
def test_what_does_not_fit_is_listed_and_nothing_is_changed(net, change, message):
    before = net.get_weights()
    arrays = {name: np.zeros_like(array) for name, array in state_dict(net).items()}
    change(arrays)
    with pytest.raises(ValueError, match=message) as error:
        load_state_dict(net, arrays)
    assert "\n" not in str(error.value)
    for a, b in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_copying_keeps_what_fits_and_names_the_rest(net):
    source, target = net, _net(6)
    fresh = target.get_weights()
    left = copy_fitting_variables(source, target)
    assert set(named_variables(target)) - set(left) == {
        "up.bias",
        "norm.gamma",
        "norm.beta",
        "fc.kernel",
        "fc.bias",
    }
    np.testing.assert_array_equal(target.fc.get_weights()[0], source.fc.get_weights()[0])
    np.testing.assert_array_equal(target.stem[0].get_weights()[0], fresh[0])


def test_layers_of_functional_models_go_by_their_own_names():
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 3, name="first")(inputs)
    inner = keras.Sequential([keras.Input((2, 2, 2)), keras.layers.Conv2D(1, 1)], name="inner")
    model = keras.Model(inputs, inner(x))
    assert list(state_dict(model)) == [
        "first.weight",
        "first.bias",
        "inner.0.weight",
        "inner.0.bias",
    ]


def test_a_variable_without_a_name_is_reported(net):
    holder = keras.layers.Layer()
    holder._hidden = net.fc
    with pytest.raises(ValueError, match="belongs to a layer that no attribute of its parent"):
        named_variables(holder)
