"""MMPose's necks; see `types.Type`."""

from keras_pose.checkpoints.mmpose import one_stage, rtmo, rtmpose
from keras_pose.checkpoints.mmpose.types import Type, same


def _activation(config):
    """`act_cfg` as the name of an activation; MMPose says None or nothing, or a type."""
    named = config.pop("act_cfg", None)
    return {**config, "activation": named["type"].lower() if named else None}


def _fpn(config):
    config = _activation(config)
    config["in_channels"] = len(config["in_channels"])
    config["norm_cfg"] = "batch" if config.get("norm_cfg") else None
    if config.get("add_extra_convs") is True:
        config["add_extra_convs"] = "on_input"
    return config


def _channel_mapper(config):
    config = _activation({"act_cfg": {"type": "ReLU"}, **config})
    config["in_channels"] = len(config["in_channels"])
    norm = config.get("norm_cfg") or {}
    config["norm_cfg"] = _NORMALIZATIONS[norm.get("type")]
    return {**config, "norm_groups": norm.get("num_groups", 32)}


def _pose_warper(config):
    blocks = config.pop("res_blocks_cfg", None) or {}
    if blocks.get("block", "BASIC") != "BASIC":
        raise ValueError(f"PoseWarperNeck with blocks {blocks['block']!r} has no counterpart here")
    if "trans_conv_kernel" in config:
        kernel = config["trans_conv_kernel"]
        config["trans_conv_kernel"] = None if kernel == -1 else max(kernel, 1)
    return {**config, "num_blocks": blocks.get("num_blocks", 20)}


_NORMALIZATIONS = {None: None, "BN": "batch", "SyncBN": "batch", "GN": "group"}
_FPN = ("start_level", "end_level", "add_extra_convs", "relu_before_extra_convs", "out_channels")

TYPES = {
    **one_stage.NECKS,
    **rtmo.NECKS,
    "GlobalAveragePooling": Type("GlobalAveragePooling"),
    "FeatureMapProcessor": Type(
        "FeatureMapProcessor",
        same("select_index", "concat", "scale_factor", "apply_relu", "align_corners"),
    ),
    "FPN": Type(
        "FPN",
        {
            **same(*_FPN, "no_norm_on_lateral", "activation"),
            "in_channels": "num_inputs",
            "num_outs": "num_outputs",
            "norm_cfg": "norm",
        },
        {"conv_cfg": (None,), "upsample_cfg": ({"mode": "nearest"},)},
        prepare=_fpn,
    ),
    "ChannelMapper": Type(
        "ChannelMapper",
        {
            **same("out_channels", "kernel_size", "norm_groups", "activation"),
            "in_channels": "num_inputs",
            "num_outs": "num_outputs",
            "norm_cfg": "norm",
        },
        {"conv_cfg": (None,), "bias": ("auto",)},
        prepare=_channel_mapper,
    ),
    "PoseWarperNeck": Type(
        "PoseWarperNeck",
        {
            **same("out_channels", "inner_channels", "deform_groups", "dilations", "num_blocks"),
            "trans_conv_kernel": "transfer_kernel",
            "freeze_trans_layer": "freeze_transfer",
        },
        {
            "in_channels": None,
            "offsets_kernel": (3,),
            "deform_conv_kernel": (3,),
            "in_index": (0,),
            "input_transform": (None,),
            "im2col_step": None,
        },
        prepare=_pose_warper,
    ),
    "CSPNeXtPAFPN": Type(
        "CSPNeXtPAFPN",
        {
            **same("in_channels", "out_channels", "out_indices", "expand_ratio"),
            **same("norm_epsilon", "norm_momentum", "activation"),
            "num_csp_blocks": "blocks",
            "use_depthwise": "separable",
        },
        {"conv_cfg": (None,), "upsample_cfg": ({"scale_factor": 2, "mode": "nearest"},)},
        prepare=rtmpose.csp_network,
    ),
}
