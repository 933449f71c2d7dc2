"""MMPose's ResNet and its kin; see `types.Type`."""

from keras_pose.checkpoints.mmpose.types import Type, same

# What ResNet and its kin share.
_RESIDUAL = same(
    "depth", "out_indices", "base_channels", "stem_channels", "strides", "zero_init_residual"
)
_DEEP = same("deep_stem", "avg_down")
_RESNET = same("dilations", "style")
_GROUPS = same("groups", "width_per_group")
# Stages that no index names are not built, and no published network has any.
_ONLY = {"in_channels": (3,), "conv_cfg": (None,), "expansion": (None,), "num_stages": None}
_UNSTYLED = {"style": ("pytorch",), "dilations": ((1, 1, 1, 1),)}
_ALWAYS_DEEP = {"deep_stem": None, "avg_down": None}
_PLAIN = {"stem_channels": 64}
_GROUPED = {**_PLAIN, "groups": 32, "width_per_group": 4}


def _regnet(config):
    """An architecture given by its numbers, without the one that is always 1."""
    arch = config.get("arch")
    if isinstance(arch, dict) and arch.get("bot_mul") == 1:
        config["arch"] = {key: value for key, value in arch.items() if key != "bot_mul"}
    return config


TYPES = {
    "ResNet": Type("ResNet", {**_RESIDUAL, **_DEEP, **_RESNET}, _ONLY, _PLAIN),
    "ResNetV1d": Type(
        "ResNet",
        {**_RESIDUAL, **_RESNET},
        {**_ONLY, **_ALWAYS_DEEP},
        {**_PLAIN, "deep_stem": True, "avg_down": True},
    ),
    "ResNeXt": Type("ResNet", {**_RESIDUAL, **_DEEP, **_RESNET, **_GROUPS}, _ONLY, _GROUPED),
    "SEResNet": Type(
        "ResNet",
        {**_RESIDUAL, **_DEEP, **_RESNET, "se_ratio": "se_ratio"},
        _ONLY,
        {**_PLAIN, "se_ratio": 16},
    ),
    # The reference takes a ratio here and never reads it.
    "SEResNeXt": Type(
        "ResNet",
        {**_RESIDUAL, **_DEEP, **_RESNET, **_GROUPS},
        {**_ONLY, "se_ratio": None},
        {**_GROUPED, "se_ratio": 16},
    ),
    "SCNet": Type("SCNet", {**_RESIDUAL, **_DEEP}, {**_ONLY, **_UNSTYLED}, _PLAIN),
    "ResNeSt": Type(
        "ResNeSt",
        _RESIDUAL,
        {
            **_ONLY,
            **_UNSTYLED,
            **_ALWAYS_DEEP,
            "groups": (1,),
            "width_per_group": None,
            "radix": (2,),
            "reduction_factor": (4,),
            "avg_down_stride": (True,),
        },
        _PLAIN,
    ),
    "RegNet": Type(
        "RegNet",
        same("arch", "out_indices", "stem_channels", "strides", "avg_down", "zero_init_residual"),
        {**_ONLY, **_UNSTYLED, "base_channels": None, "deep_stem": (False,)},
        prepare=_regnet,
    ),
}
