"""Evaluators of MMPose 1.3.2's configs as settings of this package's evaluations."""

from collections.abc import Mapping, Sequence
from typing import Any

_NORMS = {"bbox": "box", "head": "head", "torso": "torso"}
_ALIGNMENTS = {"mpjpe": "none", "p-mpjpe": "procrustes", "n-mpjpe": "scale"}


def evaluation_from_mmpose(evaluator: Mapping | Sequence[Mapping]) -> dict[str, Any]:
    """What an evaluator of a config stands for.

    Args:
        evaluator: `val_evaluator` of a config, a dict with `type` or a list of them. The files that
            it names, and `prefix`, are not looked at.

    Returns:
        Dict of `metrics`, as `evaluate_topdown` and `keypoint_metric` take them; and for metrics
        of all people of the images `score`, `nms` and `nms_threshold`.

    Raises:
        ValueError: for a type or a setting that has no equal here.

    Example:
        >>> evaluation_from_mmpose({"type": "CocoMetric", "score_mode": "bbox_rle"})
        {'metrics': ['ap'], 'score': 'bbox_rle', 'nms': 'oks_nms', 'nms_threshold': 0.9}
    """
    found = {"metrics": []}
    for entry in [evaluator] if isinstance(evaluator, Mapping) else evaluator:
        settings = dict(entry)
        kind = settings.pop("type", None)
        if kind not in _TYPES:
            raise ValueError(f"evaluator {kind!r} is not known; known are {', '.join(_TYPES)}")
        for unused in ("ann_file", "prefix", "collect_device"):
            settings.pop(unused, None)
        result = _TYPES[kind](settings)
        if settings:
            raise ValueError(f"{kind}'s settings {sorted(settings)} have no equal here")
        found["metrics"] += result.pop("metrics")
        found |= result
    return found


def _of_instances(name: str, settings: dict) -> dict[str, Any]:
    if settings.pop("keypoint_score_thr", 0.2) != 0.2:
        raise ValueError("keypoint_score_thr has no equal here but 0.2")
    return {
        "metrics": [name],
        "score": settings.pop("score_mode", "bbox_keypoint"),
        "nms": settings.pop("nms_mode", "oks_nms"),
        "nms_threshold": settings.pop("nms_thr", 0.9),
    }


def _coco(settings: dict) -> dict[str, Any]:
    use_area = settings.pop("use_area", True)
    crowd = settings.pop("iou_type", "keypoints") == "keypoints_crowd"
    if crowd and use_area:
        raise ValueError("CrowdPose's metric is always use_area=False here")
    found = _of_instances("crowdpose" if crowd else "ap", settings)
    if not (use_area or crowd):
        found["metrics"] = [{"name": "ap", "use_area": False}]
    return found


def _pck(settings: dict) -> dict[str, Any]:
    norms = settings.pop("norm_item", "bbox")
    threshold = settings.pop("thr", 0.05)
    norms = [norms] if isinstance(norms, str) else norms
    return {
        "metrics": [
            {"name": "pck", "norm": _NORMS[norm], "thresholds": [threshold]} for norm in norms
        ]
    }


def _mpii(settings: dict) -> dict[str, Any]:
    if settings.pop("norm_item", "head") != "head":
        raise ValueError("MpiiPCKAccuracy is always of the head here")
    return {"metrics": [{"name": "mpii", "threshold": settings.pop("thr", 0.5)}]}


def _jhmdb(settings: dict) -> dict[str, Any]:
    norms = settings.pop("norm_item", "bbox")
    norms = [_NORMS[norm] for norm in ([norms] if isinstance(norms, str) else norms)]
    return {"metrics": [{"name": "jhmdb", "norms": norms, "threshold": settings.pop("thr", 0.05)}]}


def _auc(settings: dict) -> dict[str, Any]:
    length, steps = settings.pop("norm_factor", 30), settings.pop("num_thrs", 20)
    return {"metrics": [{"name": "auc", "length": length, "steps": steps}]}


def _nme(settings: dict) -> dict[str, Any]:
    mode, item = settings.pop("norm_mode"), settings.pop("norm_item", None)
    if mode == "use_norm_item":
        return {"metrics": ["nme_box" if item == "bbox_size" else {"name": "nme", "norm": item}]}
    pair = settings.pop("keypoint_indices", None)
    return {"metrics": [{"name": "nme", "norm": list(pair)} if pair else "nme"]}


def _mpjpe(settings: dict) -> dict[str, Any]:
    metric = {
        "name": "mpjpe",
        "alignment": _ALIGNMENTS[settings.pop("mode", "mpjpe")],
        "actions": True,
        "skip": settings.pop("skip_list", []),
    }
    return {"metrics": [metric]}


def _interhand(settings: dict) -> dict[str, Any]:
    modes = settings.pop("modes", ["MPJPE", "MRRPE", "HandednessAcc"])
    return {"metrics": [{"name": "interhand", "modes": modes}]}


_TYPES = {
    "CocoMetric": _coco,
    "CocoWholeBodyMetric": lambda settings: _of_instances("wholebody", settings),
    "PoseTrack18Metric": lambda settings: _of_instances("posetrack18", settings),
    "PCKAccuracy": _pck,
    "MpiiPCKAccuracy": _mpii,
    "JhmdbPCKAccuracy": _jhmdb,
    "AUC": _auc,
    "EPE": lambda settings: {"metrics": ["epe"]},
    "NME": _nme,
    "MPJPE": _mpjpe,
    "InterHandMetric": _interhand,
}
