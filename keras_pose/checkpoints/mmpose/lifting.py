"""MMPose's parts of lifters; see `types.Type`."""

from collections.abc import Mapping

from keras_pose.checkpoints.mmpose.types import Type, same

# Of Human3.6M's pictures, (width, height): their heights are 1000 and 1002.
IMAGE_SIZE = (1000, 1002)


def _root_removed(codec: Mapping) -> bool:
    several = isinstance(codec.get("root_index", 0), list | tuple)
    return bool(codec.get("remove_root")) and codec.get("zero_center", True) and not several


def _named_loss(config, name):
    """Where no loss is given, the reference takes this one."""
    loss = config.get("loss") or {"type": "MSELoss", "use_target_weight": True}
    return {**config, "loss": {**loss, "loss_name": name}}


def _temporal_head(config):
    config["num_joints"] += int(_root_removed(config.get("decoder") or {}))
    return _named_loss(config, "loss_pose3d")


def _trajectory_head(config):
    return _named_loss(config, "loss_traj")


def _motion_head(config):
    config["num_joints"] = config["decoder"]["num_keypoints"]
    return _named_loss(config, "loss_pose3d")


def _tcn(config):
    kernels = config.get("kernel_sizes", (3, 3, 3))
    if config.get("num_blocks", len(kernels) - 1) != len(kernels) - 1:
        raise ValueError(
            f"TCN with num_blocks {config['num_blocks']} does not fit kernel_sizes {kernels}"
        )
    return {**config, "kernel_sizes": kernels}


def _dstformer(config):
    return {"feat_size": 256, "mlp_ratio": 4, **config}


BACKBONES = {
    "TCN": Type(
        "TCN",
        {**same("kernel_sizes", "dropout", "causal"), "stem_channels": "channels"},
        {
            "in_channels": None,
            "num_blocks": None,
            # The length of a sequence decides; weights and results are the same.
            "use_stride_conv": None,
            "residual": (True,),
            "max_norm": (None,),
        },
        prepare=_tcn,
    ),
    "DSTFormer": Type(
        "DSTFormer",
        {
            **same("depth", "num_heads", "mlp_ratio", "att_fuse", "drop_path_rate"),
            "feat_size": "channels",
            "seq_len": "frames",
        },
        {
            "in_channels": None,
            "num_joints": None,
            "qkv_bias": (True,),
            "qkv_scale": (None,),
            "drop_rate": (0, 0.0),
            "attn_drop_rate": (0, 0.0),
        },
        prepare=_dstformer,
    ),
}
_HEAD = {"num_joints": "num_keypoints", "loss": "loss_module"}
HEADS = {
    "TemporalRegressionHead": Type(
        "TemporalRegressionHead",
        {**_HEAD, "decoder": "codec"},
        {"in_channels": None},
        prepare=_temporal_head,
    ),
    "TrajectoryRegressionHead": Type(
        "TrajectoryRegressionHead",
        _HEAD,
        # The codec of the other head makes its targets.
        {"in_channels": None, "decoder": None},
        prepare=_trajectory_head,
    ),
    "MotionRegressionHead": Type(
        "MotionRegressionHead",
        {**_HEAD, "decoder": "codec", "embedding_size": "embedding_size"},
        {"in_channels": None, "out_channels": (3,)},
        prepare=_motion_head,
    ),
}
# What concerns the network's input is in the settings of `PoseLifter.preprocess`.
_INPUT = {"num_keypoints": None, "concat_vis": None, "reshape_keypoints": None, "save_index": None}
CODECS = {
    "ImagePoseLifting": Type(
        "ImagePoseLifting",
        same("root_index", "remove_root", "target_mean", "target_std"),
        {**_INPUT, "keypoints_mean": None, "keypoints_std": None},
    ),
    "VideoPoseLifting": Type(
        "VideoPoseLifting",
        same("root_index", "remove_root", "zero_center"),
        {**_INPUT, "normalize_camera": (False,)},
    ),
    "MotionBERTLabel": Type(
        "MotionBERTLabel",
        same("root_index", "mode", "rootrel"),
        {**_INPUT, "remove_root": (False,)},
        prepare=lambda config: {"mode": "test", **config},
    ),
}


def normalization(codec: Mapping) -> dict:
    """Settings of the `KeypointNormalization` that a codec does in MMPose."""
    width, height = IMAGE_SIZE
    mean, std = codec.get("keypoints_mean"), codec.get("keypoints_std")
    # A batch axis of one may stand before the keypoints.
    mean, std = (v[0] if v and isinstance(v[0][0], list | tuple) else v for v in (mean, std))
    return {
        "mean": [width / 2, height / 2] if mean is None else mean,
        "std": width / 2 if std is None else std,
        "visibility": bool(codec.get("concat_vis", False)),
    }
