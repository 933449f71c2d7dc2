"""MMPose's parts of networks that draw heatmaps of everybody at once; see `types.Type`."""

from collections.abc import Mapping

from keras_pose.checkpoints.mmpose.types import Type, empty_if_none, same

# The network's; configs that enlarge the maps before decoding say nothing about it.
_STRIDE = 4


def _with_stride(config):
    """Sizes of input and maps as the one number that they share."""
    input_size, map_size = config.pop("input_size"), config.pop("heatmap_size")
    strides = {whole // part for whole, part in zip(input_size, map_size, strict=True)}
    if len(strides) > 1 or any(w % p for w, p in zip(input_size, map_size, strict=True)):
        raise ValueError(
            f"{config['type']} with input_size {list(input_size)} and heatmap_size "
            f"{list(map_size)} has no counterpart here: one must be a multiple of the other"
        )
    stride = strides.pop()
    return {**config, "stride": _STRIDE if stride == 1 else stride}


def _embedding_codec(config):
    # None there means any number.
    config["decode_max_instances"] = config.get("decode_max_instances") or 30
    return _with_stride(config)


def _embedding_head(config):
    config = empty_if_none("deconv_out_channels", "deconv_kernel_sizes")(config)
    final = config.pop("final_layer", None) or {"kernel_size": 1}
    losses = [
        config.pop("keypoint_loss", {"type": "KeypointMSELoss"}),
        config.pop("tag_loss", {"type": "AssociativeEmbeddingLoss"}),
    ]
    for widths, kernels in _KERNELS.items():
        if not config.get(widths):
            config[widths] = config[kernels] = []
    return {
        **config,
        "final_layer": final["kernel_size"],
        "loss": {"type": "MultipleLossWrapper", "losses": losses},
    }


def _cid_head(config):
    losses = {
        "coupled": {"type": "FocalHeatmapLoss"},
        "decoupled": {"type": "FocalHeatmapLoss"},
        "contrastive": {"type": "InfoNCELoss"},
    }
    for ours, theirs in _CID_LOSSES.items():
        losses[ours] = config.pop(theirs, losses[ours])
    return {**config, "loss": {"type": "CIDLoss", **losses}}


_CID_LOSSES = {
    "coupled": "coupled_heatmap_loss",
    "decoupled": "decoupled_heatmap_loss",
    "contrastive": "contrastive_loss",
}
# Names of CID's layers in checkpoints of MMPose 0.x, and what they are now.
_CID_NAMES = {
    "keypoint_center_conv": "iia_module.keypoint_root_conv",
    "conv_down": "gfd_module.conv_down",
    "c_attn": "gfd_module.channel_attention",
    "s_attn": "gfd_module.spatial_attention",
    "fuse_attn": "gfd_module.fuse_attention",
    "heatmap_conv": "gfd_module.heatmap_conv",
}


def current_cid_arrays(arrays: Mapping) -> dict:
    """Arrays of a model with a `CIDHead`, by name, under the names of MMPose 1.x."""

    def renamed(name):
        part, _, rest = name.partition(".")
        layer = rest.partition(".")[0]
        if part != "head" or layer not in _CID_NAMES:
            return name
        return f"head.{_CID_NAMES[layer]}{rest.removeprefix(layer)}"

    return {renamed(name): value for name, value in arrays.items()}


_KERNELS = {
    "deconv_out_channels": "deconv_kernel_sizes",
    "conv_out_channels": "conv_kernel_sizes",
}
_FLIP = {"shift_heatmap": ("shift_flipped", False)}

HEADS = {
    "AssociativeEmbeddingHead": Type(
        "AssociativeEmbeddingHead",
        {
            **same("num_keypoints", "tag_dim"),
            "deconv_out_channels": "deconv_filters",
            "deconv_kernel_sizes": "deconv_kernels",
            "conv_out_channels": "conv_filters",
            "conv_kernel_sizes": "conv_kernels",
            "final_layer": "final_kernel",
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None, "tag_per_keypoint": (True,)},
        prepare=_embedding_head,
    ),
    "CIDHead": Type(
        "CIDHead",
        {
            **same("num_keypoints", "gfd_channels", "max_train_instances"),
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None, "prior_prob": (0.01,)},
        prepare=_cid_head,
    ),
}
CODECS = {
    "AssociativeEmbedding": Type(
        "AssociativeEmbedding",
        {
            **same("stride", "sigma", "use_udp"),
            "decode_keypoint_order": "keypoint_order",
            "decode_nms_kernel": "nms_kernel",
            "decode_gaussian_kernel": "gaussian_kernel",
            "decode_keypoint_thr": "keypoint_threshold",
            "decode_tag_thr": "tag_threshold",
            "decode_topk": "topk",
            "decode_center_shift": "center_shift",
            "decode_max_instances": "max_people",
        },
        test={**_FLIP, "restore_heatmap_size": ("resize", False)},
        prepare=_embedding_codec,
    ),
    "DecoupledHeatmap": Type(
        "DecoupledHeatmap",
        {
            **same("stride", "root_type", "encode_max_instances"),
            "heatmap_min_overlap": "min_overlap",
        },
        prepare=_with_stride,
    ),
}
LOSSES = {
    "AssociativeEmbeddingLoss": Type(
        "AssociativeEmbeddingLoss", same("loss_weight", "push_loss_factor")
    ),
    # No type of MMPose's: the losses of its CIDHead.
    "CIDLoss": Type("CIDLoss", same("coupled", "decoupled", "contrastive")),
}
