"""MMPose's codecs; see `types.Type`."""

from keras_pose.checkpoints.mmpose import bottomup_heatmap, dekr, lifting, one_stage, rtmo, spatial
from keras_pose.checkpoints.mmpose.types import Type, same

_MAPS = {"input_size": "input_size", "heatmap_size": "heatmap_size"}
_SHIFT_MAPS = {"shift_heatmap": ("shift_flipped", False)}
_SHIFT_COORDINATES = {"shift_coords": ("shift_flipped", True)}

TYPES = {
    **one_stage.CODECS,
    **rtmo.CODECS,
    **bottomup_heatmap.CODECS,
    **dekr.CODECS,
    **lifting.CODECS,
    **spatial.CODECS,
    "MSRAHeatmap": Type(
        "MSRAHeatmap",
        {**_MAPS, "sigma": "sigma", "unbiased": "unbiased", "blur_kernel_size": "blur_kernel_size"},
        test=_SHIFT_MAPS,
    ),
    "UDPHeatmap": Type(
        "UDPHeatmap",
        {
            **_MAPS,
            "heatmap_type": "heatmap_type",
            "sigma": "sigma",
            "radius_factor": "radius_factor",
            "blur_kernel_size": "blur_kernel_size",
        },
        # `plain_warp` is no key of MMPose's: the translation adds it.
        test={**_SHIFT_MAPS, "plain_warp": ("plain_warp", False)},
    ),
    "MegviiHeatmap": Type(
        "MegviiHeatmap", {**_MAPS, "kernel_size": "kernel_size"}, test=_SHIFT_MAPS
    ),
    # No type of MMPose's: the list of codecs that a data pipeline makes targets with.
    "MultilevelHeatmap": Type("MultilevelHeatmap", {"codecs": "codecs"}),
    "RegressionLabel": Type(
        "RegressionLabel", {"input_size": "input_size"}, test=_SHIFT_COORDINATES
    ),
    "IntegralRegressionLabel": Type(
        "IntegralRegressionLabel",
        {**_MAPS, "sigma": "sigma", "unbiased": "unbiased", "normalize": "normalize"},
        # Its maps are not decoded.
        {"blur_kernel_size": None},
        test={**_SHIFT_COORDINATES, "shift_heatmap": ("shift_flipped_heatmaps", False)},
    ),
    "SKPSHeatmap": Type("SKPSHeatmap", {**_MAPS, "sigma": "sigma"}, test=_SHIFT_MAPS),
    "SimCCLabel": Type(
        "SimCCLabel",
        {
            **same("input_size", "sigma", "label_smooth_weight", "normalize", "use_dark"),
            **same("decode_visibility", "decode_beta"),
            "simcc_split_ratio": "split_ratio",
            "smoothing_type": "smoothing",
        },
    ),
}
