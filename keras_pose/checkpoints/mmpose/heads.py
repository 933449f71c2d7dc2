"""MMPose's heads; see `types.Type`."""

from keras_pose.checkpoints.mmpose import (
    bottomup_heatmap,
    dekr,
    lifting,
    one_stage,
    rtmo,
    rtmpose,
    spatial,
)
from keras_pose.checkpoints.mmpose.types import Type, empty_if_none, same

_REGRESSION = {"num_joints": "num_keypoints", "decoder": "codec", "loss": "loss_module"}
_INTEGRAL = {
    **_REGRESSION,
    "deconv_out_channels": "deconv_filters",
    "deconv_kernel_sizes": "deconv_kernels",
    "beta": "beta",
    "debias": "debias",
}
_INTEGRAL_IGNORED = {
    "in_channels": None,
    "in_featuremap_size": None,
    "conv_out_channels": (None, [], ()),
    "conv_kernel_sizes": (None, [], ()),
    "final_layer": ({"kernel_size": 1},),
}


def _dsnt(config):
    losses = [{"type": name, "use_target_weight": True} for name in _DSNT_LOSSES]
    loss = {"type": "MultipleLossWrapper", "losses": losses}
    prepare = empty_if_none("deconv_out_channels", "deconv_kernel_sizes")
    return {"loss": loss, **prepare(config)}


_DSNT_LOSSES = ("SmoothL1Loss", "JSDiscretLoss")

_CONVOLUTIONS = {
    "conv_out_channels": "conv_filters",
    "conv_kernel_sizes": "conv_kernels",
    "final_layer": "final_kernel",
}
_KERNELS = {
    "deconv_out_channels": "deconv_kernel_sizes",
    "conv_out_channels": "conv_kernel_sizes",
}
_no_list = empty_if_none(*_KERNELS, *_KERNELS.values())


def _heatmap_head(config):
    config = _no_list(config)
    final = config.get("final_layer", {"kernel_size": 1})
    if final is not None:
        kernel = final.get("kernel_size", 1)
        if final not in (
            {"kernel_size": kernel, "padding": (kernel - 1) // 2},
            {"kernel_size": 1},
        ):
            raise ValueError(f"{config['type']} with final_layer={final!r} has no counterpart here")
        config["final_layer"] = kernel
    # Without widths the kernels, which have defaults, are not read.
    for widths, kernels in _KERNELS.items():
        if not config.get(widths, True):
            config[kernels] = []
    decoder = config.get("decoder") or {}
    if decoder.get("heatmap_type") == "combined":
        config["out_channels"] //= 3
    return config


def _vipnas_head(config):
    config = _heatmap_head(config)
    if not config.get("deconv_out_channels", True):
        config["deconv_num_groups"] = []
    return config


def _cpm_head(config):
    losses = config.get("loss") or {"type": "KeypointMSELoss"}
    return {**_heatmap_head(config), "loss": {"type": "MultilevelLoss", "losses": losses}}


def _mspn_head(config):
    codec = config["decoder"]
    size = codec["codecs"][-1]["heatmap_size"] if "codecs" in codec else codec["heatmap_size"]
    shape = config.pop("out_shape", (64, 48))
    if list(shape) != list(size)[::-1]:
        raise ValueError(
            f"MSPNHead with out_shape {list(shape)} does not fit heatmap_size {list(size)}"
        )
    losses = config.get("loss") or {"type": "KeypointMSELoss"}
    levels = config.pop("level_indices", None) or None
    return {**config, "loss": {"type": "MultilevelLoss", "losses": losses, "levels": levels}}


def _skps_head(config):
    config = _heatmap_head(config)
    losses = {key: config.pop(key) for key in ("heatmap_loss", "offside_loss") if key in config}
    return {**config, "loss": {"type": "SKPSLoss", **losses}}


def _visibility_head(config):
    # Without weights, and of probabilities whether or not the reference computes it of logits.
    loss = {"type": "BCELoss", **config.get("loss", {})}
    return {**config, "loss": {**loss, "use_target_weight": False, "use_sigmoid": True}}


# The numbers of bins follow from the codec, those of pixels from the map.
_BINS = {"input_size": None, "in_featuremap_size": None, "simcc_split_ratio": None}

TYPES = {
    **one_stage.HEADS,
    **rtmo.HEADS,
    **bottomup_heatmap.HEADS,
    **dekr.HEADS,
    **lifting.HEADS,
    **spatial.HEADS,
    "HeatmapHead": Type(
        "HeatmapHead",
        {
            "out_channels": "num_keypoints",
            "deconv_out_channels": "deconv_filters",
            "deconv_kernel_sizes": "deconv_kernels",
            **_CONVOLUTIONS,
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None},
        prepare=_heatmap_head,
    ),
    "ViPNASHead": Type(
        "HeatmapHead",
        {
            "out_channels": "num_keypoints",
            "deconv_out_channels": "deconv_filters",
            "deconv_kernel_sizes": "deconv_kernels",
            "deconv_num_groups": "deconv_groups",
            **_CONVOLUTIONS,
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None},
        {"deconv_filters": [144, 144, 144], "deconv_groups": [16, 16, 16]},
        prepare=_vipnas_head,
    ),
    "CPMHead": Type(
        "CPMHead",
        {
            "num_stages": "num_stages",
            "out_channels": "num_keypoints",
            "deconv_out_channels": "deconv_filters",
            "deconv_kernel_sizes": "deconv_kernels",
            "final_layer": "final_kernel",
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None},
        prepare=_cpm_head,
    ),
    "MSPNHead": Type(
        "MSPNHead",
        {
            "out_channels": "num_keypoints",
            "num_stages": "num_stages",
            "num_units": "num_units",
            "unit_channels": "unit_channels",
            "use_prm": "use_prm",
            "decoder": "codec",
            "loss": "loss_module",
        },
        prepare=_mspn_head,
    ),
    "SKPSHead": Type(
        "SKPSHead",
        {
            "out_channels": "num_keypoints",
            **_CONVOLUTIONS,
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None},
        prepare=_skps_head,
    ),
    "VisPredictHead": Type(
        "VisPredictHead",
        {"pose_cfg": "pose_head", "loss": "visibility_loss"},
        prepare=_visibility_head,
    ),
    "SimCCHead": Type(
        "SimCCHead",
        {
            "out_channels": "num_keypoints",
            "deconv_head": "deconv_head",
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None, "final_layer": ({"kernel_size": 1},), **_BINS},
        prepare=rtmpose.simcc_head,
    ),
    "RTMCCHead": Type(
        "RTMCCHead",
        {
            **same("hidden", "attention"),
            "out_channels": "num_keypoints",
            "final_layer_kernel_size": "kernel_size",
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None, **_BINS},
        prepare=rtmpose.attending_head,
    ),
    "RTMWHead": Type(
        "RTMWHead",
        {
            **same("in_channels", "hidden", "attention"),
            "out_channels": "num_keypoints",
            "final_layer_kernel_size": "kernel_size",
            "decoder": "codec",
            "loss": "loss_module",
        },
        _BINS,
        prepare=rtmpose.attending_head,
    ),
    "RegressionHead": Type("RegressionHead", _REGRESSION, {"in_channels": None}),
    "RLEHead": Type("RLEHead", _REGRESSION, {"in_channels": None}),
    "IntegralRegressionHead": Type(
        "IntegralRegressionHead",
        _INTEGRAL,
        _INTEGRAL_IGNORED,
        prepare=empty_if_none("deconv_out_channels", "deconv_kernel_sizes"),
    ),
    "DSNTHead": Type(
        "IntegralRegressionHead",
        _INTEGRAL,
        # From an epoch on the loss of the coordinates alone; -1 for never.
        {**_INTEGRAL_IGNORED, "lambda_t": (-1,)},
        prepare=_dsnt,
    ),
}
