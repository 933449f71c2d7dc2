"""MMPose's codecs; see `types.Type`."""

from keras_pose.checkpoints.mmpose.types import Type

TYPES = {
    "MSRAHeatmap": Type(
        "MSRAHeatmap",
        {"input_size": "input_size", "heatmap_size": "heatmap_size", "sigma": "sigma"},
        {"unbiased": (False,), "blur_kernel_size": None},
        test={"shift_heatmap": ("shift_flipped", False)},
    ),
}
