"""MMPose's parts of DEKR; see `types.Type`."""

from collections.abc import Mapping

import numpy as np

from keras_pose.checkpoints.mmpose.types import Type, same


def _head(config):
    config = dict(config)
    skeleton, rescore = config.pop("skeleton", None), config.pop("rescore_cfg", None)
    if rescore:
        config["rescore_net"] = _rescorer(rescore, skeleton)
    losses = {name: config.pop(name, default) for name, default in _LOSSES.items()}
    return {**config, "loss": {"type": "DEKRLoss", **losses}}


_LOSSES = {
    "heatmap_loss": {"type": "KeypointMSELoss", "use_target_weight": True},
    "displacement_loss": {
        "type": "SoftWeightSmoothL1Loss",
        "use_target_weight": True,
        "supervise_empty": False,
    },
}


def _rescorer(config: Mapping, skeleton: Mapping) -> dict:
    """The network that judges poses, which looks at the links of the data set."""
    names = [keypoint["name"] for keypoint in skeleton["keypoints"]]
    links = [[names.index(link[end]) for end in ("from", "to")] for link in skeleton["links"]]
    wanted = 3 * len(links) + len(names)
    if config["in_channels"] != wanted:
        raise ValueError(
            f"DEKRHead with rescore_cfg in_channels {config['in_channels']} does not fit the "
            f"skeleton {skeleton['name']}, whose {len(links)} links and {len(names)} keypoints "
            f"make {wanted}"
        )
    return {"type": "PoseRescorer", "links": links, "norm_indexes": config["norm_indexes"]}


def _codec(config):
    input_size, map_size = config.pop("input_size"), config.pop("heatmap_size")
    strides = {whole / part for whole, part in zip(input_size, map_size, strict=True)}
    stride = strides.pop()
    if strides or stride != int(stride):
        raise ValueError(
            f"SPR with input_size {list(input_size)} and heatmap_size {list(map_size)} has no "
            "counterpart here: one must be a multiple of the other"
        )
    return {"generate_keypoint_heatmaps": False, **config, "stride": int(stride)}


def current_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A checkpoint of MMPose 0.x under the names, and in the conventions, of MMPose 1.x.

    Displacements led from keypoints to the root, the root's heatmap came first, and the network
    that judges poses was no part of the head.

    Args:
        arrays: those of a whole network, under other names already current; where they are those
            of MMPose 1.x nothing changes.
    """
    if not any("offset_conv_layers" in name for name in arrays):
        return dict(arrays)
    changed = {}
    for old, value in arrays.items():
        name = old.replace("offset_conv_layers", "displacement_conv_layers")
        name = f"head.{name}" if name.startswith("rescore_net.") else name
        if name.startswith("head.displacement_conv_layers.3."):
            value = -np.asarray(value)
        elif name.startswith("head.heatmap_conv_layers.2."):
            value = np.roll(value, -1, axis=0)
        changed[name] = value
    return changed


HEADS = {
    "DEKRHead": Type(
        "DEKRHead",
        {
            **same("num_keypoints", "rescore_net"),
            "num_heatmap_filters": "heatmap_filters",
            "num_displacement_filters_per_keypoint": "keypoint_filters",
            "decoder": "codec",
            "loss": "loss_module",
        },
        {"in_channels": None},
        prepare=_head,
    ),
    # No type of MMPose's: the `rescore_cfg` of its DEKRHead with the links of the data set.
    "PoseRescorer": Type("PoseRescorer", {"links": "links", "norm_indexes": "unit_links"}),
}
CODECS = {
    "SPR": Type(
        "SPR",
        {
            **same("stride", "sigma", "root_type", "background_weight"),
            "generate_keypoint_heatmaps": "keypoint_heatmaps",
            "minimal_diagonal_length": "minimal_diagonal",
            "decode_max_instances": "max_people",
            "decode_nms_kernel": "nms_kernel",
            "decode_thr": "root_threshold",
        },
        test={
            "shift_heatmap": ("shift_flipped", False),
            "nms_dist_thr": ("nms_distance", 0.05),
            "nms_joints_thr": ("nms_joints", None),
        },
        prepare=_codec,
    ),
}
LOSSES = {
    # No type of MMPose's: the two losses of its DEKRHead.
    "DEKRLoss": Type("DEKRLoss", same("heatmap_loss", "displacement_loss")),
}
