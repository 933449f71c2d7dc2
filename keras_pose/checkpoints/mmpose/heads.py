"""MMPose's heads; see `types.Type`."""

from keras_pose.checkpoints.mmpose.types import Type, empty_if_none

TYPES = {
    "HeatmapHead": Type(
        "HeatmapHead",
        {
            "out_channels": "num_keypoints",
            "deconv_out_channels": "deconv_filters",
            "deconv_kernel_sizes": "deconv_kernels",
            "decoder": "codec",
            "loss": "loss_module",
        },
        {
            "in_channels": None,
            "conv_out_channels": (None, [], ()),
            "conv_kernel_sizes": (None, [], ()),
            "final_layer": ({"kernel_size": 1},),
        },
        prepare=empty_if_none("deconv_out_channels", "deconv_kernel_sizes"),
    ),
}
