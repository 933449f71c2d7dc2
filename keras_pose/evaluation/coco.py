"""COCO keypoint average precision, by this package or by an evaluation library."""

import contextlib
import gc
import importlib
import importlib.util
import io
import numbers
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_pose.evaluation.coco_matching import OKS_THRESHOLDS, curves, match, size_groups
from keras_pose.evaluation.coco_records import GroundTruthTable, ResultTable, read_records

# This package's own evaluation, the fastest: tables need not become records again.
OWN_ENGINE = "keras-pose"

# name on the package index -> (annotations class, evaluation class), the fastest first. All four
# share the interface of pycocotools as far as `_evaluate` uses it.
LIBRARIES = {
    "hotcoco": ("hotcoco:COCO", "hotcoco:COCOeval"),
    "ultrafast-pycocotools": ("ultrafast_pycocotools:COCO", "ultrafast_pycocotools:COCOeval"),
    "faster-coco-eval": ("faster_coco_eval:COCO", "faster_coco_eval:COCOeval_faster"),
    "pycocotools": ("pycocotools.coco:COCO", "pycocotools.cocoeval:COCOeval"),
}

ENGINES = (OWN_ENGINE, *LIBRARIES)

# Per-keypoint constants of the 17 COCO keypoints, https://cocodataset.org/#keypoints-eval.
COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
    0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
)  # fmt: skip

# Square pixels, limits inclusive.
AREA_RANGES = {"all": (0, 1e5**2), "medium": (32**2, 96**2), "large": (96**2, 1e5**2)}

# metric -> (recall or precision, OKS threshold or None for the mean of 0.50:0.05:0.95, area range)
METRICS = {
    "AP": ("precision", None, "all"),
    "AP50": ("precision", 0.5, "all"),
    "AP75": ("precision", 0.75, "all"),
    "AP_M": ("precision", None, "medium"),
    "AP_L": ("precision", None, "large"),
    "AR": ("recall", None, "all"),
    "AR50": ("recall", 0.5, "all"),
    "AR75": ("recall", 0.75, "all"),
    "AR_M": ("recall", None, "medium"),
    "AR_L": ("recall", None, "large"),
}


class CocoMetrics(dict):
    """Numbers by name, as a dict.

    Args:
        values: name to number.
        notes: sentences about what the results lack.
    """

    def __init__(self, values: Mapping, notes: tuple[str, ...] = ()):
        super().__init__(values)
        self.notes = notes


def coco_engine(name: str = "auto") -> str:
    """What `coco_keypoint_ap` computes with.

    Args:
        name: `keras-pose` for this package's own evaluation, which `auto` takes; or a library:
            `hotcoco`, `ultrafast-pycocotools`, `faster-coco-eval` or `pycocotools`.

    Raises:
        ValueError: for another name.
        ImportError: if the library is missing.
    """
    if name not in ("auto", *ENGINES):
        raise ValueError(f"engine must be 'auto' or one of {list(ENGINES)}, got {name!r}")
    if name in ("auto", OWN_ENGINE):
        return OWN_ENGINE
    module = LIBRARIES[name][0].partition(":")[0].partition(".")[0]
    if importlib.util.find_spec(module) is None:
        raise ImportError(f"the evaluation engine {name} is not installed: pip install {name}")
    return name


def coco_keypoint_ap(
    ground_truth: Mapping | str | Path,
    results: Sequence[Mapping] | str | Path,
    sigmas: Sequence[float] | None = None,
    max_detections: int = 20,
    image_ids: Iterable | None = None,
    use_area: bool = True,
    engine: str = "auto",
) -> CocoMetrics:
    """COCO keypoint average precision and recall, equal to pycocotools.

    Odd input is settled before an engine sees it, so that all engines agree:

    - `num_keypoints` is counted (visibility above 0). Annotations with no labelled keypoint or with
      `iscrowd` are regions in which detections count neither as right nor as wrong; an `ignore`
      field has no effect. A missing `iscrowd` is 0. Annotation ids are not used.
    - Only categories with keypoints count; several are averaged, as pycocotools does.
    - An empty list of results gives 0; a metric without any annotated person of its size gives -1.
    - Numbers that are not finite, results of images or categories that the ground truth does not
      have, and a missing area raise, where pycocotools counts NaN as a hit, ignores, or crashes.
    - If results carry `bbox`, its area and not the extent of the keypoints sorts unmatched
      detections into medium and large (AP_M and AP_L change, the others do not).

    Args:
        ground_truth: COCO annotation dict, or path of its JSON file (also gzipped).
        results: list of COCO keypoint results (`image_id`, `category_id`, `keypoints` as flat
            x, y, score in image pixels, `score`), or path of its JSON file (also gzipped).
        sigmas: `(K,)` constants of object keypoint similarity. Default: the 17 of COCO.
        max_detections: results per image that count, best first.
        image_ids: images to evaluate; default all of the ground truth.
        use_area: whether people have the annotated `area`; otherwise it is 0.53 of the box, as
            xtcocotools evaluates data sets without areas (AI Challenger, CrowdPose).
        engine: see `coco_engine`.

    Returns:
        `CocoMetrics`: floats `AP`, `AP50`, `AP75`, `AP_M`, `AP_L`, `AR`, `AR50`, `AR75`, `AR_M`,
        `AR_L`; its `notes` say for which images with people there is no result.

    Raises:
        ValueError: for malformed input.
        FileNotFoundError: for a path that does not exist.
        ImportError: if the engine is not installed.
    """
    with _garbage_collection_paused():
        truth = GroundTruthTable.from_coco(
            read_records(ground_truth, "ground_truth"), image_ids, use_area
        )
        detections = ResultTable.from_coco(read_records(results, "results"), truth)
        values = table_ap(truth, detections, sigmas, max_detections, engine)
        return CocoMetrics(values, truth.without_results(detections))


def table_ap(
    truth: GroundTruthTable,
    detections: ResultTable,
    sigmas: Sequence[float] | None = None,
    max_detections: int = 20,
    engine: str = "auto",
) -> dict[str, float]:
    """`coco_keypoint_ap` for records that were read before."""
    engine = coco_engine(engine)
    if not isinstance(max_detections, numbers.Integral) or max_detections < 1:
        raise ValueError(f"max_detections must be a positive integer, got {max_detections!r}")
    if not len(detections.scores) or truth.ignored.all():
        return _without_matches(truth)
    sigmas = checked_sigmas(sigmas, truth.num_keypoints)
    values = _curves(engine, truth, detections, sigmas, int(max_detections))
    return {name: summarize(values, *metric) for name, metric in METRICS.items()}


@contextlib.contextmanager
def _garbage_collection_paused():
    """Reading makes a million objects without cycles; looking for cycles costs a quarter more."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def checked_sigmas(sigmas: Sequence[float] | None, num_keypoints: int) -> np.ndarray:
    """`(K,)` float64 sigmas, those of COCO for None; ValueError for others than K positive ones."""
    if sigmas is None:
        if num_keypoints != len(COCO_SIGMAS):
            raise ValueError(
                f"sigmas are needed for {num_keypoints} keypoints, only the 17 of COCO are known"
            )
        sigmas = COCO_SIGMAS
    sigmas = np.asarray(sigmas, dtype=np.float64)
    if sigmas.shape != (num_keypoints,) or not (np.isfinite(sigmas) & (sigmas > 0)).all():
        raise ValueError(
            f"sigmas must be {num_keypoints} positive numbers, one a keypoint, "
            f"got shape {sigmas.shape} with values {np.round(sigmas, 4).tolist()}"
        )
    return sigmas


def _curves(engine, truth, detections, sigmas, max_detections) -> dict[str, np.ndarray]:
    """Precision `(T, R, C, A)` and recall `(T, C, A)`, -1 where nothing is annotated."""
    if engine != OWN_ENGINE:
        return _of_library(engine, truth.to_coco(), detections.to_coco(), sigmas, max_detections)
    ranges = np.array(list(AREA_RANGES.values()), np.float64)
    ignored = truth.ignored | ~size_groups(truth.areas, ranges)
    matches = match(truth, detections, sigmas, max_detections, ignored, ranges)
    return curves(truth, detections, matches, ignored)


def _of_library(engine, ground_truth, results, sigmas, max_detections) -> dict[str, np.ndarray]:
    annotations, evaluation = (_load(path) for path in LIBRARIES[engine])
    with contextlib.redirect_stdout(io.StringIO()):
        truth = annotations()
        truth.dataset = ground_truth
        truth.createIndex()
        evaluator = evaluation(truth, truth.loadRes(results), "keypoints")
        evaluator.params.kpt_oks_sigmas = sigmas
        evaluator.params.maxDets = [max_detections]
        evaluator.evaluate()
        evaluator.accumulate()
    return {name: np.asarray(evaluator.eval[name])[..., 0] for name in ("precision", "recall")}


def _load(path):
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def summarize(values: Mapping, kind: str, threshold: float | None, area: str) -> float:
    """The number of one row of `METRICS`, of the curves of an evaluation."""
    values = values[kind][..., list(AREA_RANGES).index(area)]
    if threshold is not None:
        values = values[np.isclose(OKS_THRESHOLDS, threshold)]
    values = values[values > -1]
    return float(np.mean(values)) if values.size else -1.0


def _without_matches(truth) -> dict[str, float]:
    """Without results a metric is 0; where nobody is annotated it is -1."""
    areas = truth.areas[~truth.ignored]
    present = {name: np.any((areas >= a) & (areas <= b)) for name, (a, b) in AREA_RANGES.items()}
    return {name: 0.0 if present[area] else -1.0 for name, (_, _, area) in METRICS.items()}
