"""MMPose's backbones for small devices; see `types.Type`."""

from collections.abc import Mapping

from keras_pose.checkpoints.mmpose.types import Type, same

_ACTIVATIONS = {"ReLU": "relu", "HSwish": "hard_swish"}
_RELU = {"act_cfg": ({"type": "ReLU"},), "conv_cfg": (None,)}
# What a config may leave out; the first entry of each list is the stem's.
_VIPNAS_RESNET = {
    "wid": (48, 80, 160, 304, 608),
    "expan": (None, 1, 1, 1, 1),
    "dep": (None, 4, 6, 7, 3),
    "ks": (7, 3, 5, 5, 5),
    "group": (None, 16, 16, 16, 16),
    "att": (None, True, False, True, True),
}
_VIPNAS_MOBILENET = {
    "wid": (16, 16, 24, 40, 80, 112, 160),
    "expan": (None, 1, 5, 4, 5, 5, 6),
    "dep": (None, 1, 4, 4, 4, 4, 4),
    "ks": (3, 3, 7, 7, 5, 7, 5),
    "group": (None, 8, 120, 20, 100, 280, 240),
    "att": (None, True, True, False, True, True, True),
    "act": ("HSwish", "ReLU", "ReLU", "ReLU", "HSwish", "HSwish", "HSwish"),
    "stride": (2, 1, 2, 2, 2, 1, 2),
}
_MOBILENET_V3 = {"small": ("small", 11), "big": ("large", 15)}


def _vipnas_resnet(config: Mapping) -> dict:
    stem, rows, settings = _rows(config, _VIPNAS_RESNET)
    return {**settings, "stages": rows, "stem_channels": stem["wid"], "stem_kernel": stem["ks"]}


def _vipnas_mobilenet(config: Mapping) -> dict:
    columns = {key: config.get(key, default) for key, default in _VIPNAS_MOBILENET.items()}
    unknown = [name for name in columns["act"] if name not in _ACTIVATIONS]
    if unknown:
        raise ValueError(
            f"ViPNAS_MobileNetV3 with act={unknown[0]!r} has no counterpart here; known are "
            f"{', '.join(_ACTIVATIONS)}"
        )
    columns["act"] = [_ACTIVATIONS[name] for name in columns["act"]]
    stem, rows, settings = _rows({**config, **columns}, _VIPNAS_MOBILENET)
    if (stem["ks"], stem["stride"]) != (3, 2):
        raise ValueError(
            "ViPNAS_MobileNetV3 with another stem than a 3x3 convolution of stride 2 has no "
            f"counterpart here, got ks[0]={stem['ks']} and stride[0]={stem['stride']}"
        )
    return {
        **settings,
        "stages": rows,
        "stem_channels": stem["wid"],
        "stem_activation": stem["act"],
    }


def _rows(config: Mapping, defaults: Mapping) -> tuple[dict, list, dict]:
    """The stem's values, a row of values for each stage, and the other settings."""
    columns = {key: config.get(key, default) for key, default in defaults.items()}
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{', '.join(lengths)} must be equally long, got {lengths}")
    stem = {key: column[0] for key, column in columns.items()}
    rows = [list(row) for row in zip(*(column[1:] for column in columns.values()), strict=True)]
    return stem, rows, {key: value for key, value in config.items() if key not in defaults}


def _mobilenet_v3(config: Mapping) -> dict:
    """Variants by our names, and outputs by the names of their layers."""
    settings = dict(config)
    arch = settings.get("arch", "small")
    if arch not in _MOBILENET_V3:
        raise ValueError(f"arch must be one of {', '.join(_MOBILENET_V3)}, got {arch!r}")
    settings["arch"], count = _MOBILENET_V3[arch]
    indices = {range(count)[index] for index in settings.get("out_indices", (-1,))}
    settings["out_indices"] = [f"layer{index + 1}" for index in sorted(indices)]
    return settings


TYPES = {
    "MobileNetV3": Type(
        "MobileNetV3",
        {"arch": "blocks", "out_indices": "outputs"},
        {"conv_cfg": (None,)},
        {"hard_sigmoid": "hard_sigmoid_half"},
        prepare=_mobilenet_v3,
    ),
    "ShuffleNetV1": Type("ShuffleNetV1", same("groups", "widen_factor", "out_indices"), _RELU),
    "ShuffleNetV2": Type("ShuffleNetV2", same("widen_factor", "out_indices"), _RELU),
    "ViPNAS_ResNet": Type(
        "ViPNASResNet",
        same(
            "stages",
            "stem_channels",
            "stem_kernel",
            "out_indices",
            "strides",
            "deep_stem",
            "avg_down",
        ),
        {
            "depth": (50,),
            "num_stages": (4,),
            "in_channels": (3,),
            "dilations": ((1, 1, 1, 1),),
            "style": ("pytorch",),
            "conv_cfg": (None,),
            "zero_init_residual": None,
        },
        prepare=_vipnas_resnet,
    ),
    "ViPNAS_MobileNetV3": Type(
        "ViPNASMobileNetV3",
        same("stages", "stem_channels", "stem_activation"),
        {"conv_cfg": (None,)},
        prepare=_vipnas_mobilenet,
    ),
}
