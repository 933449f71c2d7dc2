"""Models of the reference values, each as a case that a model of this package is compared with."""

from pathlib import Path

from reference.bottomup import AssociativeEmbeddingCase, CIDCase, DEKRCase, OneStageCase
from reference.case import Case
from reference.index import LEFT_OUT, entries
from reference.lifting import LiftingCase
from reference.spatial import InterNetCase, RTMW3DCase
from reference.topdown import TopdownCase

# By the type of the estimator, or of the head where that says more.
_CASES = {
    "PoseLifter": LiftingCase,
    "TopdownPoseEstimator": TopdownCase,
    "InternetHead": InterNetCase,
    "RTMW3DHead": RTMW3DCase,
    "AssociativeEmbeddingHead": AssociativeEmbeddingCase,
    "CIDHead": CIDCase,
    "DEKRHead": DEKRCase,
    "RTMOHead": OneStageCase,
    "YOLOXPoseHead": OneStageCase,
}


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
