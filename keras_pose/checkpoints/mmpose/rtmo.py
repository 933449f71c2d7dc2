"""Types of MMPose's RTMO with their settings in this package's terms."""

from collections.abc import Mapping

from keras_pose.checkpoints.mmpose import one_stage, rtmpose
from keras_pose.checkpoints.mmpose.types import Type, same

_LOSSES = (
    *("loss_cls", "loss_bbox", "loss_oks", "loss_vis", "loss_mle", "loss_bbox_aux"),
    *("assigner", "overlaps_power", "proxy_target_cc", "use_aux_loss", "sigmas"),
)


def _fixed(config: dict, kind: str, **values) -> None:
    """Removes settings, which may have no other values than these."""
    for key, value in values.items():
        found = config.pop(key, value)
        if found != value:
            raise ValueError(f"{kind} with {key}={found!r} has no counterpart here")


def _head(config):
    """Layers and prior points have settings of their own there, and so has each loss."""
    kind = config["type"]
    module = rtmpose.csp_network({"type": kind, **config.pop("head_module_cfg")})
    _fixed(module, kind, type=kind, num_classes=1)
    module.pop("in_channels", None)
    widen = module.pop("widen_factor", 1.0)
    points = config.pop("prior_generator", {})
    if not points.get("centralize_points") or points.get("offset", 0):
        raise ValueError(f"{kind} with prior_generator={points!r} has no counterpart here")
    return {
        "type": kind,
        "num_keypoints": config["num_keypoints"],
        "stacked_convs": module.pop("stacked_convs", 2),
        "cls_filters": int(module.pop("cls_feat_channels", 256) * widen),
        "channels_per_group": int(module.pop("channels_per_group", 36) * widen),
        "vector_channels": module.pop("pose_vec_channels", -1),
        "strides": config.pop("featmap_strides", points["strides"]),
        **module,
        "classifier": _classifier(kind, dict(config.pop("dcc_cfg"))),
        "decoder": {"type": "RTMOCodec"},
        "loss": {"type": "RTMOLoss", **one_stage.losses(config, _LOSSES)},
    }


def _classifier(kind: str, config: dict) -> dict:
    """Settings of our DynamicCoordinateClassifier."""
    config.pop("in_channels", None)
    attention = dict(config.pop("gau_cfg", {}))
    _fixed(attention, f"{kind}'s gau_cfg", pos_enc="add")
    settings = {"type": kind, "gau_cfg": attention}
    return {
        "channels": config.pop("feat_channels", 128),
        "bins": list(config.pop("num_bins", (192, 256))),
        "encoding_channels": config.pop("spe_channels", 128),
        "attention": rtmpose.attending_head(settings)["attention"],
        **config,
    }


def _encoder(config):
    kind, layer = config["type"], config.pop("encoder_cfg", {})
    attention, mlp = dict(layer.get("self_attn_cfg", {})), dict(layer.get("ffn_cfg", {}))
    hidden = config.pop("hidden_dim", 256)
    _fixed(attention, f"{kind}'s self_attn_cfg", embed_dims=hidden, batch_first=True)
    _fixed(mlp, f"{kind}'s ffn_cfg", embed_dims=hidden, num_fcs=2, act_cfg={"type": "GELU"})
    dropout = attention.pop("dropout", 0.0)
    _fixed(mlp, f"{kind}'s ffn_cfg", ffn_drop=dropout)
    levels = len(config.pop("in_channels"))
    _fixed(config, kind, use_encoder_idx=[levels - 1], pe_temperature=10000)
    return {
        **config,
        "num_inputs": levels,
        "hidden": hidden,
        "heads": attention.pop("num_heads", 8),
        "feedforward": mlp.pop("feedforward_channels", 1024),
        "dropout_rate": dropout,
        "projector": _projected(kind, config.pop("projector", None)),
    }


def _projected(kind: str, config: Mapping | None) -> int | None:
    """Channels of the last convolutions."""
    if config is None:
        return None
    settings = dict(config)
    levels = len(settings.pop("in_channels"))
    norm = {"type": "BN"}
    name = f"{kind}'s projector"
    _fixed(settings, name, type="ChannelMapper", kernel_size=1, act_cfg=None, num_outs=levels)
    _fixed(settings, name, norm_cfg=norm)
    return settings["out_channels"]


NECKS = {
    "HybridEncoder": Type(
        "HybridEncoder",
        {
            **same("num_inputs", "hidden", "heads", "feedforward", "dropout_rate"),
            **same("deepen_factor", "widen_factor"),
            "num_encoder_layers": "encoder_layers",
            "output_indices": "out_indices",
            "projector": "out_channels",
        },
        {"act_cfg": ({"type": "SiLU"}, {"type": "SiLU", "inplace": True})},
        prepare=_encoder,
    ),
}
HEADS = {
    "RTMOHead": Type(
        "RTMOHead",
        {
            **same("num_keypoints", "strides", "cls_filters", "channels_per_group"),
            **same("stacked_convs", "vector_channels", "classifier"),
            **same("norm_epsilon", "norm_momentum", "activation"),
            "decoder": "codec",
            "loss": "loss_module",
        },
        prepare=_head,
    ),
}
CODECS = {
    # No type of MMPose's: how its RTMOHead decodes.
    "RTMOCodec": Type(
        "RTMOCodec",
        test={"score_thr": ("score_threshold", 0.1), "nms_thr": ("iou_threshold", 0.65)},
    ),
}
# No type of MMPose's: the losses of its RTMOHead.
LOSSES = {"RTMOLoss": Type("RTMOLoss", same(*_LOSSES))}
