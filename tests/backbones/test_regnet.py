import pytest

from keras_pose.backbones import RegNet
from keras_pose.backbones.regnet import VARIANTS, stages_of
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import state_dict


# Widths, blocks and group widths of the published networks.
@pytest.mark.parametrize(
    ("name", "widths", "blocks", "groups"),
    [
        ("regnetx_400mf", (32, 64, 160, 384), (1, 2, 7, 12), (16,) * 4),
        ("regnetx_800mf", (64, 128, 288, 672), (1, 3, 7, 5), (16,) * 4),
        ("regnetx_1.6gf", (72, 168, 408, 912), (2, 4, 10, 2), (24,) * 4),
        ("regnetx_3.2gf", (96, 192, 432, 1008), (2, 6, 15, 2), (48,) * 4),
        ("regnetx_4.0gf", (80, 240, 560, 1360), (2, 5, 14, 2), (40,) * 4),
        ("regnetx_6.4gf", (168, 392, 784, 1624), (2, 4, 10, 1), (56,) * 4),
        ("regnetx_8.0gf", (80, 240, 720, 1920), (2, 5, 15, 1), (80, 120, 120, 120)),
        ("regnetx_12gf", (224, 448, 896, 2240), (2, 5, 11, 1), (112,) * 4),
    ],
)
def test_stages(name, widths, blocks, groups):
    assert list(zip(*stages_of(**VARIANTS[name]), strict=True)) == [blocks, widths, groups]


def test_weights_have_the_names_of_a_resnet():
    net = RegNet("regnetx_400mf", out_indices=(1,))
    with skip_initialization():
        net.build((None, 64, 32, 3))
    shapes = {name: array.shape for name, array in state_dict(net).items()}
    assert shapes["conv1.weight"] == (32, 3, 3, 3)
    assert shapes["bn1.weight"] == (32,)
    assert shapes["layer2.0.conv1.weight"] == (64, 32, 1, 1)
    assert shapes["layer2.0.conv2.weight"] == (64, 16, 3, 3)
    assert shapes["layer2.0.conv3.weight"] == (64, 64, 1, 1)
    assert shapes["layer2.0.downsample.0.weight"] == (64, 32, 1, 1)
    assert shapes["layer2.0.downsample.1.running_var"] == (64,)
    assert "layer2.1.downsample.0.weight" not in shapes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "regnety_400mf"}, 'arch must be one of .*, got "regnety_400mf"'),
        ({"arch": {"w0": 8}}, "arch must be a name or have the keys"),
        ({"arch": {**VARIANTS["regnetx_400mf"], "depth": 2}}, "arch must give four stages, got 2"),
        ({"arch": "regnetx_400mf", "deep_stem": True}, "deep_stem is not available for RegNet"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RegNet(**settings)
