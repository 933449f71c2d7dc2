"""COCO AP of every engine that is installed, against pycocotools and xtcocotools.

`coco_eval` is one evaluation of the size of val2017. From `coco_metric` every COCO case is run
except `coco_converters` (needs a keypoint mapping): its own `kept` and `score` arrays stand for the
scoring and suppression that come before the evaluation. The CrowdPose cases have an evaluation of
their own (people are ignored by another rule, images are split by crowd index).
"""

import json

import numpy as np
import pytest

from keras_pose.evaluation.coco import AREA_RANGES, COCO_SIGMAS, METRICS, coco_keypoint_ap
from keras_pose.evaluation.coco_matching import OKS_THRESHOLDS, curves, match, size_groups
from keras_pose.evaluation.coco_records import GroundTruthTable, ResultTable, read_records

SLOW = ("faster-coco-eval", "pycocotools")


def test_val2017_size(engine, golden, reference_names, backend):
    if engine in SLOW and backend != "jax":
        pytest.skip("takes seconds and does not depend on the backend: runs under jax")
    folder = golden / "metrics" / "coco_eval"
    actual = coco_keypoint_ap(folder / "gt.json.gz", folder / "results.json.gz", engine=engine)
    expected = json.loads((folder / "expected.json").read_text())["stats"]
    for name, reference in zip(METRICS, reference_names, strict=True):
        assert actual[name] == pytest.approx(expected[reference], abs=1e-9), name


def test_curves_of_val2017_size(golden):
    folder = golden / "metrics" / "coco_eval"
    truth = GroundTruthTable.from_coco(read_records(folder / "gt.json.gz", "truth"))
    found = ResultTable.from_coco(read_records(folder / "results.json.gz", "results"), truth)
    ranges = np.array(list(AREA_RANGES.values()), np.float64)
    ignored = truth.ignored | ~size_groups(truth.areas, ranges)
    matches = match(truth, found, np.array(COCO_SIGMAS), 20, ignored, ranges)
    values = curves(truth, found, matches, ignored)
    arrays = np.load(folder / "arrays.npz")
    expected = json.loads((folder / "expected.json").read_text())
    precision, recall = values["precision"][:, :, 0], values["recall"][:, 0]
    np.testing.assert_allclose(precision, arrays["precision"], atol=1e-9)
    np.testing.assert_allclose(recall, arrays["recall"], atol=1e-9)
    counts = {
        "images": len(truth.image_ids),
        "annotations": len(truth.areas),
        "annotations_with_keypoints": int((truth.labelled > 0).sum()),
        "crowd": int(truth.crowd.sum()),
        "labelled_keypoints": int(truth.labelled.sum()),
        "detections": len(found.scores),
        "distinct_scores": len(np.unique(found.scores)),
        "images_with_detections": len(np.unique(found.images)),
    }
    assert counts.items() <= expected["counts"].items()
    assert expected["stats_xtcocotools"] == pytest.approx(expected["stats"], abs=1e-12)
    np.testing.assert_allclose(OKS_THRESHOLDS, expected["oks_thresholds"], atol=1e-12)
    for size, end in enumerate(("", "_medium", "_large")):
        by_threshold = precision[:, :, size].mean(1)
        np.testing.assert_allclose(by_threshold, expected[f"ap_per_threshold{end}"], atol=1e-9)
    np.testing.assert_allclose(recall[:, 0], expected["ar_per_threshold"], atol=1e-9)
    # The best annotation of a detection, in images whose similarities are stored.
    nearest = dict(zip(matches.rows.tolist(), matches.similarity.tolist(), strict=True))
    for name in (name for name in arrays.files if name.startswith("oks/")):
        image = name.partition("/")[2]
        stored = arrays[name]
        if stored.size:
            rows = [int(position) - 1 for position in arrays[f"dt_ids/{image}"]]
            ours = [nearest[row] for row in rows]
            np.testing.assert_allclose(ours, stored.max(1), rtol=1e-9, atol=1e-12)


def test_coco_metric_cases(engine, golden, reference_names):
    folder = golden / "metrics"
    arrays = np.load(folder / "coco_metric.npz")
    index = json.loads((folder / "coco_metric.json").read_text())
    truths, done = {}, 0
    for case in index["cases"]:
        if not case["id"].startswith("coco_") or case["id"] == "coco_converters":
            continue
        path = case["args"]["gt"]
        truth = truths.setdefault(path, json.loads((folder / path).read_text()))
        entries = dict(
            e.split("=") if "=" in e else (e, f"{case['id']}/in/{e}") for e in case["in"]
        )
        inputs = {name: arrays[key] for name, key in entries.items()}
        kept = arrays[f"{case['id']}/out/kept"]
        results = make_results(inputs, kept, arrays[f"{case['id']}/out/score"], case["args"])
        actual = coco_keypoint_ap(
            truth,
            results,
            sigmas=None,
            image_ids=set(inputs["img_id"].tolist()) if "gt_from" in case["args"] else None,
            use_area=case["args"].get("use_area", True),
            engine=engine,
        )
        for name, reference in zip(METRICS, reference_names, strict=True):
            expected = case["expect"][f"coco/{reference}"]
            assert actual[name] == pytest.approx(expected, abs=1e-9), f"{case['id']} {name}"
        done += 1
    assert done >= 40


def make_results(inputs, kept, scores, args) -> list[dict]:
    """COCO results of one case, without those that xtcocotools drops: all keypoint scores are 0."""
    results = []
    for position, score in zip(kept, scores, strict=True):
        if not (inputs["keypoint_scores"][position] > 0).any():
            continue
        points = np.c_[inputs["keypoints"][position], inputs["keypoint_scores"][position]]
        result = {
            "image_id": int(inputs["img_id"][position]),
            "category_id": 1,
            "keypoints": points.ravel().tolist(),
            "score": float(score),
        }
        if args.get("pred_bboxes"):
            x0, y0, x1, y1 = inputs["bboxes"][position].tolist()
            result["bbox"] = [x0, y0, x1 - x0, y1 - y0]
        results.append(result)
    return results
