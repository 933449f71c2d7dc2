"""From arrays of poses to metrics: scores, suppression, CrowdPose and COCO-WholeBody."""

import json

import numpy as np
import pytest

from keras_pose.evaluation.coco import METRICS, coco_keypoint_ap
from keras_pose.evaluation.coco_selection import PoseSelection
from keras_pose.evaluation.coco_variants import crowdpose_ap, wholebody_ap
from keras_pose.geometry import nms

COCO_NAMES = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)")
COCO_NAMES += tuple(name.replace("AP", "AR") for name in COCO_NAMES)

# The case whose images have more equal scores than NumPy's sort keeps in order.
UNSTABLE = "metrics/coco_metric/crowdpose_1_oks_nms"


def unstable_order(values):
    """NumPy's argsort without vector instructions, which the reference values were made with.

    A quicksort (median of three, the shorter part later) that leaves parts of at most 16 to
    insertion, so that only they stay in order where values are equal.
    """
    order = list(range(len(values)))

    def above(i, j):
        return values[order[j]] < values[order[i]]

    def swap(i, j):
        order[i], order[j] = order[j], order[i]

    parts = [(0, len(order) - 1)]
    while parts:
        low, high = parts.pop()
        while high - low > 16:
            middle = low + (high - low) // 2
            for i, j in ((low, middle), (middle, high), (low, middle)):
                if above(i, j):
                    swap(i, j)
            swap(middle, high - 1)
            pivot, i, j = values[order[high - 1]], low + 1, high - 2
            while values[order[i]] < pivot:
                i += 1
            while pivot < values[order[j]]:
                j -= 1
            while i < j:
                swap(i, j)
                i, j = i + 1, j - 1
                while values[order[i]] < pivot:
                    i += 1
                while pivot < values[order[j]]:
                    j -= 1
            swap(i, high - 1)
            left, right = (low, i - 1), (i + 1, high)
            if i - low < high - i:
                parts.append(right)
                high = left[1]
            else:
                parts.append(left)
                low = right[0]
        for end in range(low + 1, high + 1):
            for place in range(end, low, -1):
                if not above(place - 1, place):
                    break
                swap(place - 1, place)
    return np.array(order)


@pytest.fixture(scope="module")
def stored(golden):
    folder, files = golden / "metrics", {}

    def read(file):
        if file not in files:
            path = folder / file
            files[file] = (
                json.loads(path.read_text()) if path.suffix == ".json" else dict(np.load(path))
            )
        return files[file]

    return read


def inputs_of(case, arrays):
    pairs = (item.partition("=")[::2] for item in case["in"])
    return {name: arrays[key or f"{case['id']}/in/{name}"] for name, key in pairs}


def selected(case, given, sigmas):
    """Rows and scores as the metric of the case makes them."""
    args = case["args"]
    points, scores = given["keypoints"], given["keypoint_scores"]
    if "pred_converter" in args:
        order = [source for source, _ in args["pred_converter"]["mapping"]]
        points, scores, sigmas = points[:, order], scores[:, order], sigmas[order]
    topdown = args.get("style", "topdown") == "topdown"
    box_scores = given["bbox_scores"]
    if not (topdown or args.get("pred_bbox_scores")):
        box_scores = np.ones_like(box_scores)
    selection = PoseSelection(
        args["score_mode"],
        args["nms_mode"],
        args.get("nms_thr", 0.9),
        args.get("keypoint_score_thr", 0.2),
    )
    ranks = selection.scores(scores, box_scores)
    order = np.arange(len(ranks)) if topdown else np.argsort(given["img_id"], kind="stable")
    rows = selection.rows(
        given["img_id"][order],
        points[order],
        scores[order],
        ranks[order],
        sigmas,
        given["bbox_scales"].prod(1)[order] if topdown and args.get("bbox_scales", True) else None,
        given["id"][order] if topdown else None,
    )
    rows = order[rows]
    return rows, ranks[rows], np.concatenate([points, scores[..., None]], -1)[rows]


def records(case, given, rows, ranks, poses):
    results = []
    for row, rank, pose in zip(rows.tolist(), ranks.tolist(), poses, strict=True):
        if not (pose[:, 2] > 0).any():  # xtcocotools drops them
            continue
        result = {"image_id": int(given["img_id"][row]), "category_id": 1, "score": float(rank)}
        result["keypoints"] = pose.ravel().tolist()
        if case["args"].get("pred_bboxes"):
            x0, y0, x1, y1 = given["bboxes"][row].tolist()
            result["bbox"] = [x0, y0, x1 - x0, y1 - y0]
        results.append(result)
    return results


def sigmas_of(index, count):
    known = index["sigmas"]
    if isinstance(known, dict):
        known = next(values for values in known.values() if len(values) == count)
    return np.array(known)


@pytest.mark.cases("metrics/coco_metric", "metrics/wholebody")
def test_metric(case, stored, monkeypatch):
    if f"{case['golden']}/{case['id']}" == UNSTABLE:
        monkeypatch.setattr(nms, "_best_first", lambda scores: unstable_order(scores)[::-1])
    args, file = case["args"], case["golden"].partition("/")[2]
    index, arrays = stored(f"{file}.json"), stored(f"{file}.npz")
    truth, given = stored(args["gt"]), inputs_of(case, arrays)
    sigmas = sigmas_of(index, given["keypoints"].shape[1])
    rows, ranks, poses = selected(case, given, sigmas)
    if "kept" in case["out"]:
        _, first, same = np.unique(
            given["keypoints"], axis=0, return_index=True, return_inverse=True
        )
        kept = first[same.reshape(-1)][rows]  # of samples given twice the file names the first
        np.testing.assert_array_equal(kept, arrays[f"{case['id']}/out/kept"])
    np.testing.assert_allclose(ranks, arrays[f"{case['id']}/out/score"], rtol=1e-6)
    results = records(case, given, rows, ranks, poses)
    expect = {name.partition("/")[2]: value for name, value in case["expect"].items()}
    if case["golden"].endswith("wholebody"):
        actual = wholebody_ap(truth, results, sigmas)
        for part, values in case["parts"].items():
            name = part.partition("_")[2].replace("hand", "_hand")
            assert list(actual[name].values()) == pytest.approx(values, abs=1e-9), name
        actual = dict(zip(COCO_NAMES, actual["wholebody"].values(), strict=True))
    elif args.get("dataset") == "crowdpose":
        actual = crowdpose_ap(truth, results, sigmas)
        names = {"AP50": "AP .5", "AP75": "AP .75", "AR50": "AR .5", "AR75": "AR .75"}
        names |= {"AP_E": "AP(E)", "AP_M": "AP(M)", "AP_H": "AP(H)"}
        actual = {names.get(name, name): value for name, value in actual.items()}
    else:
        if "gt_converter" in args:
            order = [source for source, _ in args["gt_converter"]["mapping"]]
            sigmas = sigmas[order]
            truth = mapped(truth, order)
        actual = coco_keypoint_ap(
            truth,
            results,
            sigmas=sigmas,
            image_ids=set(given["img_id"].tolist()) if "gt_from" in args else None,
            use_area=args.get("use_area", True),
        )
        actual = {n: actual[name] for n, name in zip(COCO_NAMES, METRICS, strict=True)}
    assert actual == pytest.approx(expect, abs=1e-9)


def mapped(truth, order):
    def points(annotation):
        return np.reshape(annotation["keypoints"], (-1, 3))[order].ravel().tolist()

    annotations = [a | {"keypoints": points(a)} for a in truth["annotations"]]
    return truth | {"annotations": annotations}


def test_crowdpose_needs_crowd_indices():
    truth = {"images": [{"id": 1}], "annotations": [], "categories": []}
    with pytest.raises(ValueError, match="needs the crowdIndex of images: 1 of 1 lack it"):
        crowdpose_ap(truth, [], [0.1] * 14)


def test_unknown_modes_are_named():
    with pytest.raises(ValueError, match=r"score must be one of .* got 'best'"):
        PoseSelection("best")
    with pytest.raises(ValueError, match=r"nms must be one of .* got 'hard'"):
        PoseSelection(nms="hard")
