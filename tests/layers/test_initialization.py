import contextlib

import keras
import numpy as np
import pytest

from keras_pose.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    ConvModule,
    DepthwiseConv2D,
    Stack,
    set_kernel_initializer,
    skip_initialization,
)

INITIALIZERS = keras.initializers


def _kernel(initializer, shape=(3, 3, 64, 128)):
    rows, columns, channels, filters = shape
    layer = Conv2D(filters, (rows, columns), kernel_initializer=initializer)
    layer.build((None, 4, 4, channels))
    return layer.get_weights()[0]


# fan in 3 * 3 * 64 = 576, fan out 3 * 3 * 128 = 1152.
@pytest.mark.parametrize(
    ("initializer", "mean", "std", "limit"),
    [
        ("he_normal", 0, np.sqrt(2 / 576), 2 * np.sqrt(2 / 576) / 0.8796),
        ("he_uniform", 0, np.sqrt(2 / 576), np.sqrt(6 / 576)),
        ("glorot_uniform", 0, np.sqrt(2 / (576 + 1152)), np.sqrt(6 / (576 + 1152))),
        ("glorot_normal", 0, np.sqrt(2 / (576 + 1152)), np.inf),
        ("lecun_normal", 0, np.sqrt(1 / 576), np.inf),
        (INITIALIZERS.VarianceScaling(2.0, "fan_out"), 0, np.sqrt(2 / 1152), np.inf),
        (
            INITIALIZERS.VarianceScaling(1.0, "fan_in", "untruncated_normal"),
            0,
            np.sqrt(1 / 576),
            np.inf,
        ),
        (INITIALIZERS.RandomNormal(1.0, 0.5), 1, 0.5, np.inf),
        (INITIALIZERS.TruncatedNormal(0.0, 0.5), 0, 0.5 * 0.8796, 1.0),
        (INITIALIZERS.RandomUniform(-1.0, 3.0), 1, 4 / np.sqrt(12), 3.0),
        (INITIALIZERS.Constant(0.25), 0.25, 0, 0.25),
        ("zeros", 0, 0, 0),
        ("ones", 1, 0, 1),
    ],
    ids=lambda value: getattr(value, "__class__", type(value)).__name__,
)
def test_moments(initializer, mean, std, limit):
    kernel = _kernel(initializer)
    assert kernel.dtype == np.float32
    # 73 728 draws: the mean strays by std / 271.
    assert kernel.mean() == pytest.approx(mean, abs=std / 50)
    assert kernel.std() == pytest.approx(std, rel=0.02)
    assert np.abs(kernel).max() <= limit * 1.0001


def test_one_seed_gives_the_same_weights_on_every_backend():
    """These numbers are NumPy's, so they hold for all three."""
    kernel = _kernel(INITIALIZERS.RandomNormal(0.0, 1.0, seed=3), (1, 1, 2, 2))
    expected = np.random.default_rng(3).normal(0, 1, (1, 1, 2, 2)).astype("float32")
    np.testing.assert_array_equal(kernel, expected)


def test_kerass_seed_repeats_the_weights():
    def kernels():
        keras.utils.set_random_seed(5)
        layer = Conv2DTranspose(4, 4, 2)
        layer.build((None, 2, 2, 3))
        return _kernel("he_normal", (1, 1, 3, 4)), layer.get_weights()[0]

    for first, second in zip(kernels(), kernels(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_two_layers_start_differently():
    assert np.abs(_kernel("he_normal") - _kernel("he_normal")).max() > 0


def test_an_initialiser_of_ones_own_is_called_as_it_is():
    kernel = _kernel(lambda shape, dtype=None: np.full(shape, 7, dtype), (1, 1, 2, 2))
    np.testing.assert_array_equal(kernel, 7)


@pytest.mark.parametrize(
    "layer",
    [Conv2D(4, 3), DepthwiseConv2D(3), Conv2DTranspose(4, 2, 2), BatchNormalization()],
    ids=lambda layer: type(layer).__name__,
)
def test_skipped_variables_are_zero_and_the_config_does_not_know(layer):
    config = layer.get_config()
    with skip_initialization():
        layer.build((None, 4, 4, 3))
    assert all(np.abs(w).max() == 0 for w in layer.get_weights())
    assert layer.get_config() == config
    fresh = type(layer).from_config(config)
    fresh.build((None, 4, 4, 3))
    assert np.abs(fresh.get_weights()[0]).max() > 0


def test_skipping_ends_with_its_block():
    with contextlib.suppress(RuntimeError), skip_initialization():
        raise RuntimeError
    assert np.abs(_kernel("he_normal")).max() > 0


def test_skipping_draws_no_random_numbers(monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", lambda *_: pytest.fail("numbers were drawn"))
    with skip_initialization():
        _kernel("he_normal")


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "mixed_bfloat16"])
def test_variables_have_the_dtype_of_the_policy(policy):
    layer = Conv2D(4, 3, dtype=policy)
    layer.build((None, 4, 4, 3))
    assert layer.kernel.dtype == ("float32" if policy.startswith("mixed") else policy)


def test_a_network_of_convolutions_gets_another_initialiser():
    net = Stack([ConvModule(8, 1), Stack([DepthwiseConv2D(3, padding=1), Conv2DTranspose(8, 2)])])
    set_kernel_initializer(net, INITIALIZERS.Constant(0.25))
    net(np.zeros((1, 4, 4, 3), np.float32))
    kernels = [w for w in net.weights if w.name == "kernel"]
    assert len(kernels) == 3
    assert all((keras.ops.convert_to_numpy(kernel) == 0.25).all() for kernel in kernels)
