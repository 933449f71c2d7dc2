"""The gated attention unit and its norm, against the formulas written with NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.layers import GatedAttentionUnit, ScaleNorm
from keras_pose.layers.naming import load_state_dict, state_dict

TOKENS, CHANNELS = 5, 8
SETTINGS = {
    "plain": {},
    "relu": {"activation": "relu", "expansion_factor": 1.5},
    "relative_bias": {"relative_bias": True},
    "rotary": {"rotary": True},
    "dropping": {"dropout_rate": 0.1, "drop_path_rate": 0.1},
}
every_setting = pytest.mark.parametrize("name", SETTINGS)


def _unit(name, **changes):
    return GatedAttentionUnit(CHANNELS, **{"key_units": 4, **SETTINGS[name], **changes})


def _expected(name, x, w):
    settings = SETTINGS[name]
    root = np.sqrt((x**2).mean(-1, keepdims=True))
    y = (x / root * w["ln.g"]) @ w["uv.weight"].T
    y = np.maximum(y, 0) if settings.get("activation") == "relu" else y / (1 + np.exp(-y))
    width = int(CHANNELS * settings.get("expansion_factor", 2))
    gate, values, base = np.split(y, [width, 2 * width], axis=-1)
    queries, keys = (base * w["gamma"][i] + w["beta"][i] for i in (0, 1))
    if "w" in w:
        # As RTMPose lays it out: one row per token, each a place further to the right.
        rows = np.tile(np.pad(w["w"], (0, TOKENS)), TOKENS)[:-TOKENS]
        bias = rows.reshape(TOKENS, -1)[:, TOKENS - 1 : 1 - TOKENS]
    else:
        bias = 0
    if settings.get("rotary"):
        # Halves are real and imaginary parts.
        angle = np.arange(TOKENS)[:, None] * np.array([1, 0.01])
        queries, keys = (
            np.concatenate([turned.real, turned.imag], axis=-1)
            for turned in (
                (each[..., :2] + 1j * each[..., 2:]) * np.exp(1j * angle)
                for each in (queries, keys)
            )
        )
    products = (queries @ keys.transpose(0, 2, 1) + bias) / 2
    branch = gate * (np.maximum(products, 0) ** 2 @ values)
    return x * w["res_scale.scale"] + branch @ w["o.weight"].T


@every_setting
def test_values_are_those_of_the_formulas(name, compiled):
    layer = _unit(name)
    layer.build((None, TOKENS, CHANNELS))
    random = np.random.default_rng(0)
    weights = {k: random.normal(0, 0.7, v.shape) for k, v in state_dict(layer).items()}
    load_state_dict(layer, weights)
    x = random.standard_normal((2, TOKENS, CHANNELS)).astype("f4")
    expected = _expected(name, x, weights)
    np.testing.assert_allclose(compiled(layer)(x), expected, rtol=0, atol=1e-4)


def test_names_are_those_of_published_checkpoints():
    layer = _unit("relative_bias")
    layer.build((None, TOKENS, CHANNELS))
    assert {name: array.shape for name, array in state_dict(layer).items()} == {
        "gamma": (2, 4),
        "beta": (2, 4),
        "w": (2 * TOKENS - 1,),
        "ln.g": (1,),
        "uv.weight": (36, CHANNELS),
        "o.weight": (CHANNELS, 16),
        "res_scale.scale": (CHANNELS,),
    }


@every_setting
def test_storing(parts, name, tmp_path):
    parts.check_storing(_unit(name), (TOKENS, CHANNELS), tmp_path / "a.weights.h5")


def test_half_precision(parts):
    parts.check_half_precision(lambda: _unit("relative_bias"), (TOKENS, CHANNELS), "float16")
    parts.check_half_precision(lambda: _unit("rotary"), (TOKENS, CHANNELS), "float16")


def test_training_drops_attention_or_the_whole_branch():
    x = np.random.default_rng(0).standard_normal((64, TOKENS, CHANNELS)).astype("f4")
    for settings in ({"dropout_rate": 0.5}, {"drop_path_rate": 0.5}):
        layer = GatedAttentionUnit(CHANNELS, key_units=4, **settings)
        still, moved = (
            ops.convert_to_numpy(layer(x, training=training)) for training in (False, True)
        )
        assert np.abs(still - moved).max() > 0
        if "drop_path_rate" in settings:
            unchanged = (moved == x).all(axis=(1, 2)).mean()
            assert 0.2 < unchanged < 0.8


def test_scale_norm_of_nothing_is_nothing():
    """Also in half precision, whose numbers have no square of the epsilon."""
    for dtype in ("float32", "mixed_float16"):
        layer = ScaleNorm(dtype=dtype)
        x = np.float32([[0, 0, 0, 0], [3, 4, 0, 0], [3000, 4000, 0, 0]])
        values = ops.convert_to_numpy(layer(x)).astype("f4")
        np.testing.assert_allclose(values[0], 0)
        np.testing.assert_allclose(values[1:], [[1.2, 1.6, 0, 0]] * 2, rtol=1e-3)


def test_scale_norm_is_restored_from_its_config():
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(ScaleNorm(0.1))
    )
    assert copy.epsilon == 0.1


def test_other_channels_than_announced_are_refused():
    with pytest.raises(ValueError, match="tokens must have 8 channels, got 6"):
        _unit("plain").build((None, TOKENS, 6))


def test_rotation_needs_pairs():
    with pytest.raises(ValueError, match="key_units must be even with rotary, got 3"):
        _unit("rotary", key_units=3)
