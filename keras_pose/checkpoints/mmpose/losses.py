"""MMPose's losses; see `types.Type`."""

from keras_pose.checkpoints.mmpose import bottomup_heatmap, dekr, one_stage, rtmo
from keras_pose.checkpoints.mmpose.types import Type


def _unless_given(**defaults):
    """A `prepare` for settings whose default there is not ours."""
    return lambda config: {**defaults, **config}


_unweighted = _unless_given(use_target_weight=False)
_WEIGHTS = {"loss_weight": "loss_weight", "use_target_weight": "weighted"}


def _row(name, *settings, **renamed):
    """A loss without weights unless it asks for them, with settings of the same names."""
    same = {setting: setting for setting in settings}
    return Type(name, {**_WEIGHTS, **same, **renamed}, prepare=_unweighted)


def _bce(config):
    # The setting's name is the reverse of what it does: "sigmoid" means probabilities.
    config = _unweighted(config)
    return {**config, "use_sigmoid": not config.get("use_sigmoid", False)}


_DISCRETE = {"use_target_weight": "weighted"} | {
    name: name for name in ("beta", "label_softmax", "label_beta", "mask", "mask_weight")
}
_HEATMAP_MASKED = ("loss_weight", "skip_empty_channel")
# Weights apply whenever they are given, also in the reference.
_ALWAYS_WEIGHTED = {"use_target_weight": None}
# A file of the reference; the sigmas of skeletons are not known here.
_WITHOUT_SIGMAS = {"metainfo": (None,)}
_BOXES = ("loss_weight", "eps", "reduction")


def _same(name, *settings, ignored=None, prepare=None):
    return Type(name, {setting: setting for setting in settings}, ignored or {}, prepare=prepare)


TYPES = {
    **one_stage.LOSSES,
    **rtmo.LOSSES,
    **bottomup_heatmap.LOSSES,
    **dekr.LOSSES,
    "KeypointMSELoss": _same("KeypointMSELoss", *_HEATMAP_MASKED, ignored=_ALWAYS_WEIGHTED),
    "FocalHeatmapLoss": _same(
        "FocalHeatmapLoss", *_HEATMAP_MASKED, "alpha", "beta", ignored=_ALWAYS_WEIGHTED
    ),
    "KeypointOHKMMSELoss": _row("KeypointOHKMMSELoss", "topk"),
    "CombinedTargetMSELoss": _row("CombinedTargetMSELoss"),
    "AdaptiveWingLoss": _row("AdaptiveWingLoss", "alpha", "omega", "epsilon", "theta"),
    # No type of MMPose's: the two losses of its SKPSHead.
    "SKPSLoss": Type("SKPSLoss", {"heatmap_loss": "heatmap_loss", "offside_loss": "offset_loss"}),
    "SmoothL1Loss": _row("SmoothL1Loss"),
    "SoftWeightSmoothL1Loss": _row("SoftWeightSmoothL1Loss", "supervise_empty", "beta"),
    "L1Loss": _row("L1Loss", "reduction"),
    "MSELoss": _row("MSELoss", loss_name="term"),
    "WingLoss": _row("WingLoss", "omega", "epsilon"),
    "SoftWingLoss": _row("SoftWingLoss", "omega1", "omega2", "epsilon"),
    "MPJPELoss": _row("MPJPELoss", loss_name="term"),
    "MPJPEVelocityJointLoss": _row(
        "MPJPEVelocityJointLoss", "lambda_scale", "lambda_3d_velocity", loss_name="term"
    ),
    "SemiSupervisionLoss": _same(
        "SemiSupervisionLoss",
        *("joint_parents", "projection_loss_weight", "bone_loss_weight"),
        # Calls without a loss; who trains decides from when on it counts.
        ignored={"warmup_iterations": None},
    ),
    "BoneLoss": _row("BoneLoss", "joint_parents", loss_name="term"),
    "RLELoss": Type(
        "RLELoss",
        {
            "use_target_weight": "weighted",
            "size_average": "size_average",
            "residual": "residual",
            "q_distribution": "q_distribution",
        },
        prepare=_unweighted,
    ),
    "BCELoss": Type(
        "BCELoss",
        {**_WEIGHTS, "reduction": "reduction", "use_sigmoid": "from_logits"},
        prepare=_bce,
    ),
    "VariFocalLoss": _row("VariFocalLoss", "alpha", "gamma", "reduction"),
    "JSDiscretLoss": Type(
        "JSDiscretLoss", {"use_target_weight": "weighted", "size_average": "size_average"}
    ),
    "KLDiscretLoss": Type("KLDiscretLoss", _DISCRETE),
    # Of the RTMPose3D project.
    "KLDiscretLossWithWeight": Type(
        "KLDiscretLoss",
        _DISCRETE,
        fixed={"key": ["x", "y", "z"], "weights_per_axis": True, "term": "loss_kld"},
    ),
    "MLECCLoss": _row("MLECCLoss", "mode", "reduction"),
    "InfoNCELoss": _same("InfoNCELoss", "loss_weight", "temperature"),
    "OKSLoss": _same(
        "OKSLoss",
        *("loss_weight", "mode", "norm_target_weight", "reduction", "eps"),
        ignored=_WITHOUT_SIGMAS,
    ),
    # Of the old YOLOX-Pose project.
    "OksLoss": _same("BoxOKSLoss", "loss_weight", ignored=_WITHOUT_SIGMAS),
    "IoULoss": _same("IoULoss", *_BOXES, "mode"),
    "GIoULoss": _same("GIoULoss", *_BOXES),
    "DIoULoss": _same("DIoULoss", *_BOXES, prepare=_unless_given(eps=1e-6)),
    "CIoULoss": _same("CIoULoss", *_BOXES),
    # No type of MMPose's: the loss or losses of its MSPNHead, with its `level_indices`.
    "MultilevelLoss": _same("MultilevelLoss", "losses", "levels"),
    "MultipleLossWrapper": _same("MultipleLossWrapper", "losses"),
    "KDLoss": Type("KDLoss", {"weight": "loss_weight", "name": "term"}, {"use_this": (True,)}),
    "FeaLoss": Type(
        "FeaLoss",
        {
            "student_channels": "student_channels",
            "teacher_channels": "teacher_channels",
            "alpha_fea": "loss_weight",
            "name": "term",
        },
        {"use_this": (True,)},
    ),
}
