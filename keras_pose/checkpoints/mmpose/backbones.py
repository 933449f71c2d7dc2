"""MMPose's backbones; see `types.Type`."""

from keras_pose.checkpoints.mmpose import (
    high_resolution,
    lifting,
    mobile,
    residual,
    rtmpose,
    transformers,
)
from keras_pose.checkpoints.mmpose.types import Type, same


def _vgg(config):
    """No `norm_cfg` means no normalisation, and no `out_indices` the last stage."""
    config["norm_cfg"] = "batch" if config.get("norm_cfg") else None
    return {key: value for key, value in config.items() if (key, value) != ("out_indices", None)}


TYPES = {
    **high_resolution.TYPES,
    **transformers.TYPES,
    **residual.TYPES,
    **mobile.TYPES,
    **lifting.BACKBONES,
    "VGG": Type(
        "VGG",
        {**same("depth", "out_indices", "ceil_mode", "with_last_pool"), "norm_cfg": "norm"},
        {
            "num_classes": (-1,),
            "num_stages": (5,),
            "dilations": ((1, 1, 1, 1, 1),),
            "act_cfg": ({"type": "ReLU"},),
            "conv_cfg": (None,),
        },
        prepare=_vgg,
    ),
    "CPM": Type(
        "CPM",
        {"out_channels": "num_keypoints", **same("num_stages", "feat_channels", "middle_channels")},
        {"in_channels": (3,)},
    ),
    "HourglassNet": Type(
        "Hourglass",
        {
            **same("downsample_times", "num_stacks", "stage_channels", "stage_blocks"),
            "feat_channel": "feat_channels",
        },
    ),
    "HourglassAENet": Type(
        "HourglassAE",
        same("downsample_times", "num_stacks", "out_channels", "stage_channels", "feat_channels"),
    ),
    "AlexNet": Type("AlexNet", ignored={"num_classes": (-1,)}),
    "MobileNetV2": Type(
        "MobileNetV2",
        {"widen_factor": "widen_factor", "out_indices": "out_indices"},
        {"act_cfg": ({"type": "ReLU6"},), "conv_cfg": (None,)},
    ),
    "CSPDarknet": Type(
        "CSPDarknet",
        {
            **same("arch", "deepen_factor", "widen_factor", "out_indices"),
            **same("norm_epsilon", "norm_momentum", "activation"),
            "use_depthwise": "separable",
            "spp_kernal_sizes": "pool_sizes",
        },
        {"conv_cfg": (None,)},
        prepare=rtmpose.csp_network,
    ),
    "CSPNeXt": Type(
        "CSPNeXt",
        {
            **same("arch", "deepen_factor", "widen_factor", "out_indices"),
            **same("norm_epsilon", "norm_momentum", "activation"),
            **same("expand_ratio", "channel_attention"),
            "use_depthwise": "separable",
            "spp_kernel_sizes": "pool_sizes",
        },
        {"conv_cfg": (None,)},
        prepare=rtmpose.csp_network,
    ),
}
