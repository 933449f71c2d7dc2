"""MMPose's necks; see `types.Type`."""

from keras_pose.checkpoints.mmpose import rtmpose
from keras_pose.checkpoints.mmpose.types import Type, same

TYPES = {
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
