"""MMPose's backbones; see `types.Type`."""

from keras_pose.checkpoints.mmpose.types import Type

TYPES = {
    "ResNet": Type(
        "ResNet",
        {"depth": "depth", "out_indices": "out_indices", "base_channels": "base_channels"},
        {
            "style": ("pytorch",),
            "deep_stem": (False,),
            "avg_down": (False,),
            "num_stages": (4,),
            "strides": ((1, 2, 2, 2),),
            "dilations": ((1, 1, 1, 1),),
            "stem_channels": (64,),
            "in_channels": (3,),
            "zero_init_residual": None,
        },
    ),
    "MobileNetV2": Type(
        "MobileNetV2",
        {"widen_factor": "widen_factor", "out_indices": "out_indices"},
        {"act_cfg": ({"type": "ReLU6"},), "conv_cfg": (None,)},
    ),
}
