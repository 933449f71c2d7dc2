"""MMPose's backbones of many resolutions; the first have their settings nested in `extra`."""

from collections.abc import Mapping, Sequence

from keras_pose.checkpoints.mmpose.types import Type, same


def _hrnet(config: Mapping) -> dict:
    """Settings of our HRNet; see `types.Type.prepare`."""
    extra, settings = _taken(config)
    settings.update(_stages("HRNet", extra, "BASIC"))
    upsample = {"mode": "nearest", "align_corners": None, **(extra.get("upsample") or {})}
    settings["interpolation"] = upsample["mode"]
    settings["align_corners"] = bool(upsample["align_corners"])
    return settings


def _hrformer(config: Mapping) -> dict:
    """Settings of our HRFormer; see `types.Type.prepare`."""
    extra, settings = _taken(config)
    settings.update(_stages("HRFormer", extra, "HRFORMERBLOCK"))
    later = [extra[f"stage{i}"] for i in (2, 3, 4)]
    settings["heads"] = list(later[-1]["num_heads"])
    settings["drop_path_rate"] = extra.get("drop_path_rate", 0.0)
    sizes = {size for stage in later for size in stage.get("window_sizes", [7])}
    ratios = {ratio for stage in later for ratio in stage.get("mlp_ratios", [4])}
    if len(sizes) != 1 or len(ratios) != 1:
        raise ValueError(
            "HRFormer with windows or MLP ratios that differ between branches has no counterpart "
            f"here, got window_sizes {sorted(sizes)} and mlp_ratios {sorted(ratios)}"
        )
    settings["window_size"], settings["mlp_ratio"] = sizes.pop(), ratios.pop()
    for key, needed in (("with_rpe", True), ("with_pad_mask", False)):
        if extra.get(key, needed) is not needed:
            raise ValueError(f"HRFormer with {key}={extra[key]!r} has no counterpart here")
    for stage in later:
        _check_growing("HRFormer", "num_heads", stage["num_heads"], settings["heads"])
    return settings


def _litehrnet(config: Mapping) -> dict:
    """Settings of our LiteHRNet; see `types.Type.prepare`."""
    extra, settings = _taken(config)
    stem, stages = extra["stem"], extra["stages_spec"]
    settings.update(
        stem_channels=stem["stem_channels"],
        stem_out_channels=stem["out_channels"],
        stem_expansion=stem["expand_ratio"],
        channels=list(stages["num_channels"][-1]),
        num_modules=list(stages["num_modules"]),
        with_head=extra["with_head"],
    )
    for key, ours in (("num_blocks", "num_blocks"), ("reduce_ratios", "reduction")):
        settings[ours] = _shared("LiteHRNet", key, stages[key])
    for i, channels in enumerate(stages["num_channels"]):
        _check_growing("LiteHRNet", "num_channels", channels, settings["channels"])
        needed = {"num_branches": i + 2, "module_type": "LITE", "with_fuse": True}
        for key, value in needed.items():
            if stages[key][i] != value:
                raise ValueError(
                    f"LiteHRNet with {key} {stages[key][i]!r} in stage {i} has no counterpart here"
                )
    return settings


def _taken(config) -> tuple[dict, dict]:
    """The `extra` settings, and the others."""
    return dict(config["extra"]), {k: v for k, v in config.items() if k != "extra"}


def _stages(name: str, extra: Mapping, block: str) -> dict:
    """What HRNet and HRFormer say of their four stages in the same way."""
    first, *later = (extra[f"stage{i}"] for i in (1, 2, 3, 4))
    channels = list(later[-1]["num_channels"])
    if first["block"] != "BOTTLENECK" or list(first["num_channels"]) != [64]:
        raise ValueError(f"{name} whose stage 1 is not 64 channels of BOTTLENECK is unknown here")
    for number, stage in enumerate(later, start=2):
        if stage["block"] != block or len(stage["num_channels"]) != number:
            raise ValueError(
                f"{name} whose stage {number} is not {number} branches of {block} "
                "has no counterpart here"
            )
        _check_growing(name, "num_channels", stage["num_channels"], channels)
    return {
        "channels": channels,
        "num_modules": [stage["num_modules"] for stage in later],
        "num_blocks": [
            _shared(name, "num_blocks", stage["num_blocks"]) for stage in (first, *later)
        ],
        "multiscale_output": bool(later[-1].get("multiscale_output", False)),
    }


def _shared(name: str, key: str, values: Sequence):
    """The value that all entries share."""
    if len(set(values)) != 1:
        raise ValueError(f"{name} with different {key} {list(values)} has no counterpart here")
    return values[0]


def _check_growing(name: str, key: str, values: Sequence, final: Sequence) -> None:
    """Branches keep their settings from stage to stage."""
    if list(values) != list(final[: len(values)]):
        raise ValueError(
            f"{name} whose {key} change from {list(values)} to {list(final)} has no counterpart "
            "here"
        )


def _multi_stage(config):
    """The number of levels is that of the entries of `num_blocks`."""
    config = {"num_blocks": [2, 2, 2, 2], "num_units": 4, **config}
    units = config.pop("num_units")
    if units != len(config["num_blocks"]):
        raise ValueError(f"num_blocks must have {units} entries, got {config['num_blocks']}")
    return config


_MULTI_STAGE = same("num_stages", "num_blocks", "unit_channels")
TYPES = {
    "HRNet": Type(
        "HRNet",
        {
            **same("channels", "num_modules", "num_blocks", "multiscale_output"),
            **same("interpolation", "align_corners"),
        },
        {"in_channels": (3,), "conv_cfg": (None,), "zero_init_residual": None},
        prepare=_hrnet,
    ),
    "HRFormer": Type(
        "HRFormer",
        {
            **same("channels", "num_modules", "num_blocks", "multiscale_output", "heads"),
            **same("window_size", "mlp_ratio", "drop_path_rate"),
        },
        {
            "in_channels": (3,),
            "conv_cfg": (None,),
            "zero_init_residual": None,
            "transformer_norm_cfg": ({"type": "LN", "eps": 1e-6},),
        },
        prepare=_hrformer,
    ),
    "LiteHRNet": Type(
        "LiteHRNet",
        {
            **same("channels", "num_modules", "num_blocks", "reduction", "with_head"),
            **same("stem_channels", "stem_out_channels", "stem_expansion"),
        },
        {"in_channels": (3,), "conv_cfg": (None,)},
        prepare=_litehrnet,
    ),
    "MSPN": Type("MSPN", _MULTI_STAGE, {"res_top_channels": (64,)}, prepare=_multi_stage),
    "RSN": Type(
        "RSN",
        {**_MULTI_STAGE, **same("num_steps", "expand_times")},
        {"res_top_channels": (64,)},
        prepare=_multi_stage,
    ),
}
