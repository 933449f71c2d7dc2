"""What only ShuffleNets, ViPNAS' networks and MMPose's MobileNetV3 have."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.backbones import (
    MobileNetV3,
    ShuffleNetV1,
    ShuffleNetV2,
    ViPNASMobileNetV3,
    ViPNASResNet,
)
from keras_pose.backbones.vipnas_resnet import GlobalContext
from keras_pose.checkpoints.mmpose.backbones import TYPES
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import load_state_dict, state_dict


def built(net):
    with skip_initialization():
        net.build((None, 64, 64, 3))
    return net


def translated(config):
    """The settings of our class for one of MMPose's."""
    row = TYPES[config["type"]]
    settings = row.prepare(config)
    known = {ours: settings[theirs] for theirs, ours in row.settings.items() if theirs in settings}
    return {**row.fixed, **known}


@pytest.mark.parametrize(
    ("arch", "count", "strides", "last"), [("small", 11, 32, 96), ("large", 15, 32, 160)]
)
def test_mobilenet_v3_as_in_mmpose(arch, count, strides, last):
    with skip_initialization():
        net = MobileNetV3(arch, hard_sigmoid="hard_sigmoid_half")
        maps = net(keras.KerasTensor((None, 64, 32, 3)))
    assert [x.shape for x in maps] == [(None, 64 // strides, 32 // strides, last)]
    names = state_dict(net)
    # The first block expands although its width stays.
    assert names["layer1.expand_conv.conv.weight"].shape == (16, 16, 1, 1)
    assert f"layer{count}.se.conv2.conv.bias" in names
    assert f"layer{count + 1}.linear_conv.conv.weight" not in names


def test_settings_of_mmposes_mobilenet_v3():
    assert translated({"type": "MobileNetV3", "arch": "big"}) == {
        "blocks": "large",
        "outputs": ["layer15"],
        "hard_sigmoid": "hard_sigmoid_half",
    }
    settings = translated({"type": "MobileNetV3", "out_indices": (-1, 3)})
    assert settings["blocks"] == "small"
    assert settings["outputs"] == ["layer4", "layer11"]


def test_an_unknown_mobilenet_v3_is_refused():
    with pytest.raises(ValueError, match='blocks must be rows, "small" or "large", got \'big\''):
        MobileNetV3("big")
    with pytest.raises(ValueError, match="arch must be one of small, big, got 'large'"):
        translated({"type": "MobileNetV3", "arch": "large"})


def test_the_published_searches_are_mmposes_defaults():
    for kind, net in (("ViPNAS_ResNet", ViPNASResNet), ("ViPNAS_MobileNetV3", ViPNASMobileNetV3)):
        settings = translated({"type": kind})
        with skip_initialization():
            assert net(**settings).get_config() | {"name": ""} == net().get_config() | {"name": ""}


def test_other_searches():
    settings = translated({"type": "ViPNAS_MobileNetV3", "wid": [8, 8, 12, 16, 20, 24, 28]})
    assert settings["stem_channels"] == 8
    assert settings["stages"][1] == [12, 5, 4, 7, 120, True, "relu", 2]
    with pytest.raises(ValueError, match="must be equally long"):
        translated({"type": "ViPNAS_ResNet", "wid": [48, 80]})
    with pytest.raises(ValueError, match=r"another stem .* got ks\[0\]=5"):
        translated({"type": "ViPNAS_MobileNetV3", "ks": [5, 3, 7, 7, 5, 7, 5]})
    with pytest.raises(ValueError, match="act='GELU'"):
        translated({"type": "ViPNAS_MobileNetV3", "act": ["GELU"] * 7})


def test_stages_are_rows():
    with pytest.raises(ValueError, match="stages must be four rows of six values"):
        ViPNASResNet([(8, 1, 2, 3, 2, True)])
    with pytest.raises(ValueError, match="stages must be rows of eight values"):
        ViPNASMobileNetV3([(8, 1, 2, 3, 2, True)])


def test_global_context(compiled):
    """Against the definition, with checkpoint names and shapes."""
    random = np.random.default_rng(0)
    layer = GlobalContext(32)
    layer.build((None, 3, 2, 32))
    arrays = {
        name: random.standard_normal(array.shape).astype("float32")
        for name, array in state_dict(layer).items()
    }
    assert arrays["channel_add_conv.1.weight"].shape == (16, 1, 1)
    load_state_dict(layer, arrays)
    x = random.standard_normal((2, 3, 2, 32)).astype("float32")
    w = {name: array.reshape(array.shape[:2]).squeeze() for name, array in arrays.items()}
    pixels = x.reshape(2, 6, 32)
    logits = pixels @ w["conv_mask.weight"]
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (pixels * share[:, :, None]).sum(1) @ w["channel_add_conv.0.weight"].T
    y = y + w["channel_add_conv.0.bias"]
    y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)
    y = np.maximum(y * w["channel_add_conv.1.weight"] + w["channel_add_conv.1.bias"], 0)
    y = y @ w["channel_add_conv.3.weight"].T + w["channel_add_conv.3.bias"]
    np.testing.assert_allclose(compiled(layer)(x), x + y[:, None, None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("groups", "width"), [(1, 576), (2, 800), (3, 960), (4, 1088), (8, 1536)])
def test_shufflenet_v1_widths(groups, width):
    with skip_initialization():
        net = ShuffleNetV1(groups)
        maps = net(keras.KerasTensor((None, 64, 32, 3)))
    assert [x.shape for x in maps] == [(None, 2, 1, width)]
    first, second = net.layers[0][0], net.layers[0][1]
    assert first.g_conv_1x1_compress.conv.groups == 1
    assert second.g_conv_1x1_compress.conv.groups == groups


@pytest.mark.parametrize(("factor", "width"), [(0.5, 192), (1.0, 464), (1.5, 704), (2.0, 976)])
def test_shufflenet_v2_widths(factor, width):
    with skip_initialization():
        maps = ShuffleNetV2(factor, out_indices=(2, 3))(keras.KerasTensor((None, 64, 32, 3)))
    last = 2048 if factor == 2 else 1024
    assert [x.shape for x in maps] == [(None, 2, 1, width), (None, 2, 1, last)]


@pytest.mark.parametrize("make", [ShuffleNetV1, ShuffleNetV2])
def test_shufflenets_start_from_numbers_of_their_own(make):
    net = make(out_indices=(0,))
    net.build((None, 32, 32, 3))
    kernels = [w for w in net.layers.weights if w.name == "kernel"]
    assert len(kernels) > 8
    for kernel in kernels:
        values = ops.convert_to_numpy(kernel)
        fan_in = 1 if values.shape[0] == 3 else values.shape[2]
        assert values.std() == pytest.approx(1 / fan_in, rel=0.2)
    shifts = [w for w in net.layers.weights if w.name == "beta"]
    assert all(ops.convert_to_numpy(shift) == pytest.approx(1e-4) for shift in shifts)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShuffleNetV1(5), "groups must be one of .*, got 5"),
        (lambda: ShuffleNetV1(out_indices=(3,)), r"out_indices must lie in 0\.\.2"),
        (lambda: ShuffleNetV2(0.7), "widen_factor must be one of .*, got 0.7"),
        (lambda: ShuffleNetV2(out_indices=(4,)), r"out_indices must lie in 0\.\.3"),
        (lambda: ShuffleNetV2(widths=(8, 7, 8, 8)), "the first three even"),
    ],
)
def test_unknown_shufflenets_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
