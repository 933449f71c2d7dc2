"""MMPose's parts of networks that see poses in space in single images; see `types.Type`."""

from collections.abc import Mapping

from keras_pose.checkpoints.mmpose import rtmpose
from keras_pose.checkpoints.mmpose.types import Type, same


def _attending_head(config: Mapping) -> dict:
    """The losses of a list are those of one head."""
    config = rtmpose.attending_head(config)
    losses = config.get("loss")
    if isinstance(losses, list | tuple):
        config["loss"] = {"type": "MultipleLossWrapper", "losses": list(losses)}
    return config


def _simcc(config: Mapping) -> dict:
    """One axis beside the two of SimCC."""
    width, height, depth = config["input_size"]
    sigma = config.get("sigma", 6.0)
    sigma = list(sigma) if isinstance(sigma, list | tuple) else [sigma] * 3
    return {
        **config,
        "input_size": [width, height],
        "depth_size": depth,
        "sigma": sigma[:2],
        "depth_sigma": sigma[2],
    }


def _internet_head(config: Mapping) -> dict:
    hands = config["keypoint_head_cfg"]
    depth, joints = hands["depth_size"], config["decoder"]["depth_size"]
    if depth != joints or hands["out_channels"] % depth:
        raise ValueError(
            f"InternetHead with out_channels {hands['out_channels']} and depth_size {depth} does "
            f"not fit a decoder with depth_size {joints}"
        )
    settings = {key: value for key, value in config.items() if not key.endswith("_cfg")}
    for key, (names, ignored) in _PARTS.items():
        for name, value in config[key].items():
            if name in names:
                settings[name if key == "keypoint_head_cfg" else f"{key}.{name}"] = value
            elif name not in ignored:
                raise ValueError(
                    f"InternetHead: {key} has a setting {name!r} that is not known here"
                )
    return {**settings, "num_keypoints": 2 * hands["out_channels"] // depth}


# Settings of each part that mean something here, and those that follow from others.
_PARTS = {
    "keypoint_head_cfg": (
        ("deconv_out_channels", "deconv_kernel_sizes"),
        ("in_channels", "out_channels", "depth_size"),
    ),
    "root_head_cfg": (("hidden_dims",), ("in_channels", "heatmap_size")),
    "hand_type_head_cfg": (("hidden_dims",), ("in_channels", "num_labels")),
}


def _hand_volumes(config: Mapping) -> dict:
    width, height, depth = config["heatmap_size"]
    if depth != config.get("depth_size", depth):
        raise ValueError(
            f"Hand3DHeatmap with heatmap_size {config['heatmap_size']} does not fit depth_size "
            f"{config['depth_size']}"
        )
    return {**config, "heatmap_size": [width, height], "depth_size": depth}


HEADS = {
    # Of the RTMPose3D project.
    "RTMW3DHead": Type(
        "RTMW3DHead",
        {
            **same("in_channels", "hidden", "attention"),
            "out_channels": "num_keypoints",
            "final_layer_kernel_size": "kernel_size",
            "decoder": "codec",
            "loss": "loss_module",
        },
        # The numbers of bins follow from the codec, those of pixels from the map.
        {"input_size": None, "in_featuremap_size": None, "simcc_split_ratio": None},
        prepare=_attending_head,
    ),
    "InternetHead": Type(
        "InterNetHead",
        {
            "num_keypoints": "num_keypoints",
            "decoder": "codec",
            "deconv_out_channels": "deconv_filters",
            "deconv_kernel_sizes": "deconv_kernels",
            "root_head_cfg.hidden_dims": "root_hidden",
            "hand_type_head_cfg.hidden_dims": "hand_type_hidden",
        },
        prepare=_internet_head,
    ),
}
CODECS = {
    "SimCC3DLabel": Type(
        "SimCC3DLabel",
        {
            **same("input_size", "sigma", "depth_size", "depth_sigma", "root_index"),
            **same("label_smooth_weight", "normalize", "use_dark"),
            **same("decode_visibility", "decode_beta"),
            "simcc_split_ratio": "split_ratio",
            "smoothing_type": "smoothing",
            "z_range": "depth_range",
        },
        prepare=_simcc,
    ),
    "Hand3DHeatmap": Type(
        "Hand3DHeatmap",
        {
            **same("heatmap_size", "depth_size", "sigma", "root_depth_bound", "joint_indices"),
            "image_size": "input_size",
            "root_heatmap_size": "root_size",
            "max_bound": "peak",
            "heatmap3d_depth_bound": "depth_bound",
        },
        # Weights of a data set's joints are labels here. One number of bins serves both ways: in
        # the reference this one only encodes.
        {"use_different_joint_weights": None, "heatmap_size_root": None},
        prepare=_hand_volumes,
    ),
}
