"""MMPose's settings of ResNet and its kin, VGG and AlexNet; the defaults are the reference's."""

import keras
import pytest

import keras_pose  # noqa: F401, registers the classes
from keras_pose.checkpoints.mmpose.translation import translate_part
from keras_pose.layers import skip_initialization

RESIDUAL = {
    "depth": 50,
    "in_channels": 3,
    "stem_channels": 64,
    "base_channels": 64,
    "expansion": None,
    "num_stages": 4,
    "strides": [1, 2, 2, 2],
    "dilations": [1, 1, 1, 1],
    "out_indices": [3],
    "style": "pytorch",
    "deep_stem": False,
    "avg_down": False,
    "conv_cfg": None,
    "zero_init_residual": True,
}
GROUPED = {**RESIDUAL, "groups": 32, "width_per_group": 4}
RESNEST = {
    **RESIDUAL,
    "groups": 1,
    "width_per_group": 4,
    "radix": 2,
    "reduction_factor": 4,
    "avg_down_stride": True,
}
VGG = {
    "depth": 16,
    "num_classes": -1,
    "num_stages": 5,
    "dilations": [1, 1, 1, 1, 1],
    "out_indices": None,
    "conv_cfg": None,
    "norm_cfg": None,
    "act_cfg": {"type": "ReLU"},
    "ceil_mode": False,
    "with_last_pool": True,
}
DEFAULTS = {
    "ResNet": RESIDUAL,
    "ResNetV1d": RESIDUAL,
    "ResNeXt": GROUPED,
    "SEResNet": {**RESIDUAL, "se_ratio": 16},
    "SEResNeXt": {**GROUPED, "se_ratio": 16},
    "SCNet": RESIDUAL,
    "ResNeSt": RESNEST,
    "VGG": VGG,
    "AlexNet": {"num_classes": -1},
}
SMALL = {"w0": 8, "wa": 8, "wm": 2, "depth": 6, "group_w": 4}


def _layer(kind, **settings):
    """The layer that one of MMPose's configs describes."""
    config = translate_part({"type": kind, **settings}, "backbone")
    with skip_initialization():
        return keras.saving.deserialize_keras_object(config)


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_change_nothing(kind):
    needed = {"depth": 50 if "Res" in kind or "SC" in kind else 16} if kind != "AlexNet" else {}
    plain, spelt = _layer(kind, **needed), _layer(kind, **{**DEFAULTS[kind], **needed})
    configs = [{**layer.get_config(), "name": ""} for layer in (plain, spelt)]
    assert configs[0] == configs[1]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ResNet", {"groups": 1, "se_ratio": 0, "deep_stem": False, "avg_down": False}),
        ("ResNetV1d", {"groups": 1, "se_ratio": 0, "deep_stem": True, "avg_down": True}),
        ("ResNeXt", {"groups": 32, "width_per_group": 4, "se_ratio": 0}),
        ("SEResNet", {"groups": 1, "se_ratio": 16}),
        ("SEResNeXt", {"groups": 32, "width_per_group": 4, "se_ratio": 16}),
    ],
)
def test_kin_are_settings_of_resnet(kind, settings):
    config = _layer(kind, depth=50).get_config()
    assert {key: config[key] for key in settings} == settings


def test_the_ratio_of_seresnext_is_never_read():
    assert _layer("SEResNeXt", depth=50, se_ratio=8).se_ratio == 16
    assert _layer("SEResNet", depth=50, se_ratio=8).se_ratio == 8


def test_the_stem_keeps_its_width_when_the_stages_lose_theirs():
    assert _layer("ResNet", depth=18, base_channels=8).stem_channels == 64


def test_vgg_is_normalised_where_the_config_says_so():
    assert _layer("VGG", depth=11).norm is None
    assert _layer("VGG", depth=11, norm_cfg={"type": "SyncBN"}).norm == "batch"


def test_regnet_is_known_by_name_and_by_numbers():
    assert _layer("RegNet", arch="regnetx_400mf").layer4[0].conv1.filters == 384
    assert _layer("RegNet", arch={**SMALL, "bot_mul": 1.0}).arch == SMALL


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ResNet", {"depth": 50, "in_channels": 1}),
        ("ResNeSt", {"depth": 50, "radix": 1}),
        ("SCNet", {"depth": 50, "dilations": [1, 1, 2, 4]}),
        ("RegNet", {"arch": "regnetx_400mf", "deep_stem": True}),
        ("VGG", {"depth": 16, "num_classes": 1000}),
        ("AlexNet", {"num_classes": 1000}),
    ],
)
def test_what_is_not_supported_is_refused(kind, settings):
    with pytest.raises(ValueError, match=f"{kind} with .* has no counterpart here"):
        _layer(kind, **settings)
