"""Types of MMPose's one-stage networks, each with its settings in this package's terms."""

from keras_pose.checkpoints.mmpose import rtmpose
from keras_pose.checkpoints.mmpose.types import Type, same

_NORM = ("norm_epsilon", "norm_momentum", "activation")
_UPSAMPLING = ({"scale_factor": 2, "mode": "nearest"},)
# What the reference computes once for itself, or reads from a file; the sigmas of skeletons come
# from the translation.
_OWN = ("metainfo",)


def _yolox_head(config):
    """Layers and prior points have settings of their own there, and so has each loss."""
    module = rtmpose.csp_network({"type": config["type"], **config.pop("head_module_cfg")})
    if module.pop("num_classes", 1) != 1:
        raise ValueError(f"{config['type']} with several classes has no counterpart here")
    module.pop("type")
    module.pop("in_channels", None)
    width = int(module.pop("feat_channels", 256) * module.pop("widen_factor", 1.0))
    points = config.pop("prior_generator", None) or {"strides": [8, 16, 32]}
    if points.get("offset", 0) or points.get("centralize_points"):
        raise ValueError(
            f"{config['type']} with prior_generator={points!r} has no counterpart here"
        )
    return {
        "type": config["type"],
        "num_keypoints": config["num_keypoints"],
        **module,
        "filters": width,
        "strides": config.pop("featmap_strides", points["strides"]),
        "decoder": {"type": "YOLOXPoseAnnotationProcessor"},
        "loss": {"type": "YOLOXPoseLoss", **losses(config, _YOLOX_LOSSES)},
    }


_YOLOX_LOSSES = (
    *("loss_obj", "loss_cls", "loss_bbox", "loss_oks", "loss_vis", "loss_bbox_aux"),
    *("assigner", "overlaps_power", "use_aux_loss", "sigmas"),
)


def losses(config: dict, names) -> dict:
    """Settings of our loss of a one-stage network among those of MMPose's head.

    Losses read weights, whether or not the reference asks for it: it computes them of positives
    only, here others have no weight.
    """
    found = {name: config[name] for name in names if name in config}
    for name, value in found.items():
        if isinstance(value, dict):
            value = {key: item for key, item in value.items() if key not in _OWN}
            weighted = {"use_target_weight": True} if value["type"] in _WEIGHTED else {}
            found[name] = {**value, **weighted}
    return found


_WEIGHTED = ("BCELoss", "L1Loss", "VariFocalLoss")

NECKS = {
    "YOLOXPAFPN": Type(
        "YOLOXPAFPN",
        {
            **same("in_channels", "out_channels", *_NORM),
            "num_csp_blocks": "blocks",
            "use_depthwise": "separable",
        },
        {"conv_cfg": (None,), "upsample_cfg": _UPSAMPLING},
        prepare=rtmpose.csp_network,
    ),
}
HEADS = {
    "YOLOXPoseHead": Type(
        "YOLOXPoseHead",
        {
            **same("num_keypoints", "strides", "filters", "stacked_convs", *_NORM),
            "decoder": "codec",
            "loss": "loss_module",
        },
        prepare=_yolox_head,
    ),
}
CODECS = {
    "YOLOXPoseAnnotationProcessor": Type(
        "YOLOXPoseCodec",
        # Whatever the boxes are: they come as labels.
        ignored={"input_size": None, "expand_bbox": None},
        test={"score_thr": ("score_threshold", 0.01), "nms_thr": ("iou_threshold", 0.65)},
    ),
}
LOSSES = {
    # No type of MMPose's: the losses of its YOLOXPoseHead.
    "YOLOXPoseLoss": Type("YOLOXPoseLoss", same(*_YOLOX_LOSSES)),
    "SimOTAAssigner": Type(
        "SimOTAAssigner",
        same(
            *("center_radius", "candidate_topk", "iou_weight", "oks_weight", "cls_weight"),
            *("use_keypoints_for_center", "sigmas"),
        ),
        {
            "dynamic_k_indicator": ("oks",),
            "vis_weight": (0, 0.0),
            "iou_calculator": None,
            "oks_calculator": None,
        },
    ),
}
