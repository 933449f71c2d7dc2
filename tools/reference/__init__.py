"""Models of the reference values, each as a case that a model of this package is compared with."""

import json
from pathlib import Path

from reference.bottomup import AssociativeEmbeddingCase, DEKRCase, OneStageCase
from reference.case import Case, Difference
from reference.lifting import LiftingCase
from reference.spatial import InterNetCase, RTMW3DCase
from reference.topdown import TopdownCase

# Folders of reference values with an index of models, and what they are called.
FOLDERS = {
    "models": "Top-down models",
    "models_bottomup": "Bottom-up and one-stage models",
    "models_3d": "3D models",
}
# Models that are not compared, and why.
LEFT_OUT = {"edpose_res50_8xb2-50e_coco-800x1333": "ED-Pose is not in this package"}
# By the type of the estimator, or of the head where that says more.
_CASES = {
    "PoseLifter": LiftingCase,
    "TopdownPoseEstimator": TopdownCase,
    "InternetHead": InterNetCase,
    "RTMW3DHead": RTMW3DCase,
    "AssociativeEmbeddingHead": AssociativeEmbeddingCase,
    "DEKRHead": DEKRCase,
    "RTMOHead": OneStageCase,
    "YOLOXPoseHead": OneStageCase,
}


def entries(golden: Path, folders=tuple(FOLDERS)) -> list[tuple[str, dict]]:
    """(folder, what its index says) of each model that is compared, small models first."""
    found = []
    for folder in folders:
        index = golden / folder / "index.json"
        if index.is_file():
            models = json.loads(index.read_text("utf-8"))["models"]
            found += [(folder, entry) for entry in models if entry["config"] not in LEFT_OUT]
    return sorted(found, key=lambda item: item[1]["params"])


def open_case(golden: Path, config: str) -> Case:
    """The case of a model by its config's name.

    Raises:
        ValueError: no values of it are stored, or it is not compared.
    """
    for folder, entry in entries(golden):
        if entry["config"] == config:
            model = entry["model"]
            kinds = (model["head"]["type"], model["type"])
            kind = next((_CASES[kind] for kind in kinds if kind in _CASES), None)
            if kind is None:
                raise ValueError(f"nothing compares models with a {kinds[0]} yet")
            return kind(golden, folder, entry)
    reason = LEFT_OUT.get(config, f"no values are stored below {golden}")
    raise ValueError(f"{config} cannot be compared: {reason}")
