"""COCO AP of every engine that is installed, against pycocotools and xtcocotools.

`coco_eval` is one evaluation of the size of val2017. From `coco_metric` every COCO case is run
except `coco_converters` (needs a keypoint mapping): its own `kept` and `score` arrays stand for the
scoring and suppression that come before the evaluation. The CrowdPose cases have an evaluation of
their own (people are ignored by another rule, images are split by crowd index).
"""

import json

import numpy as np
import pytest

from keras_pose.evaluation.coco import METRICS, coco_keypoint_ap

SLOW = ("faster-coco-eval", "pycocotools")


def test_val2017_size(engine, golden, reference_names, backend):
    if engine in SLOW and backend != "jax":
        pytest.skip("takes seconds and does not depend on the backend: runs under jax")
    folder = golden / "metrics" / "coco_eval"
    actual = coco_keypoint_ap(folder / "gt.json.gz", folder / "results.json.gz", engine=engine)
    expected = json.loads((folder / "expected.json").read_text())["stats"]
    for name, reference in zip(METRICS, reference_names, strict=True):
        assert actual[name] == pytest.approx(expected[reference], abs=1e-9), name


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
