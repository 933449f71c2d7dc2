"""MMEngine's parameter schedulers as rows of a `ChainedSchedule`."""

from collections.abc import Mapping
from typing import Any

from keras_pose.training.schedule import unknown

# Type -> our rule, its settings by their names in MMEngine.
_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "LinearLR": ("linear", {"start_factor": "start", "end_factor": "stop"}),
    "MultiStepLR": ("multistep", {"milestones": "milestones", "gamma": "gamma"}),
    "StepLR": ("step", {"step_size": "every", "gamma": "gamma"}),
    "ExponentialLR": ("exponential", {"gamma": "gamma"}),
    "ConstantLR": ("constant", {"factor": "factor"}),
    "CosineAnnealingLR": (
        "cosine",
        {"T_max": "period", "eta_min": "floor", "eta_min_ratio": "floor_ratio"},
    ),
    "QuadraticWarmupLR": ("quadratic", {}),
}


def schedule_row(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a `ChainedSchedule` that one entry of `param_scheduler` describes.

    Raises:
        ValueError: for a type or setting without a counterpart, by name.
    """
    settings = {key: value for key, value in scheduler.items() if key != "_scope_"}
    kind = str(settings.pop("type", None)).rpartition(".")[2]
    if kind not in _TYPES:
        raise ValueError(f"param_scheduler: {unknown('type', kind, _TYPES)}")
    rule, names = _TYPES[kind]
    unit = "epoch" if settings.pop("by_epoch", True) else "step"
    row = {"rule": rule, "unit": unit, "smooth": settings.pop("convert_to_iter_based", False)}
    names = {**names, "begin": "begin", "end": "end"}
    for key, value in settings.items():
        if key not in names:
            raise ValueError(f"{kind}: {unknown('setting', key, names)}")
        row[names[key]] = value
    if not row["smooth"]:
        del row["smooth"]
    if rule == "cosine" and "floor" not in row and "floor_ratio" not in row:
        row["floor"] = 0.0
    return row
