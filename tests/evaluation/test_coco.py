"""Odd input of the COCO evaluation: the same sensible answer of every engine, or one sentence."""

import copy
import gc
import gzip
import importlib.util
import json
import math

import numpy as np
import pytest

from keras_pose.evaluation import coco
from keras_pose.evaluation.coco import METRICS, coco_engine, coco_keypoint_ap


def person(annotation_id, image_id, left=10.0, size=100.0, **changes):
    points = [(left + size * i / 16, 20 + size * (i % 4) / 4, 2) for i in range(17)]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": [float(value) for point in points for value in point],
        "num_keypoints": 17,
        "area": size * size / 2,
        "bbox": [left, 20.0, size, size],
        "iscrowd": 0,
    } | changes


def result(annotation, score=0.9, shift=0.0, **changes):
    keypoints = [value + shift for value in annotation["keypoints"]]
    keypoints[2::3] = [0.5] * 17
    return {
        "image_id": annotation["image_id"],
        "category_id": 1,
        "keypoints": keypoints,
        "score": score,
    } | changes


def truth_of(*annotations, images=(1, 2)):
    return {
        "images": [{"id": image} for image in images],
        "categories": [{"id": 1, "name": "person", "keypoints": list("abcdefghijklmnopq")}],
        "annotations": list(annotations),
    }


PEOPLE = [person(1, 1), person(2, 1, left=200.0, size=50.0), person(3, 2)]
TRUTH = truth_of(*PEOPLE)
RESULTS = [result(annotation) for annotation in PEOPLE]


def changed(records, position, **changes):
    """A copy of the records with some keys of one of them changed; `...` removes a key."""
    records = copy.deepcopy(records)
    records[position] |= changes
    records[position] = {k: v for k, v in records[position].items() if v is not ...}
    return records


def every_second_labelled(truth):
    labelled = [a for a in truth["annotations"] if any(v > 0 for v in a["keypoints"][2::3])]
    return labelled[::2]


def update(records, **changes):
    for record in records:
        record |= changes


def remove(records, key):
    for record in records:
        del record[key]


def erase_scores(results):
    for record in results:
        record["keypoints"][2::3] = [0] * 17


# Name in the golden -> (what is changed in truth and results, whose value is right): pycocotools
# loses annotation 0 and trusts `num_keypoints`; xtcocotools drops results without keypoint scores.
DIFFERENCES = {
    "base": (lambda truth, results: None, "pycocotools"),
    "annotation_id_0": (
        lambda truth, results: update([a for a in truth["annotations"] if a["id"] == 10], id=0),
        "xtcocotools",
    ),
    "bbox_in_results": (
        lambda truth, results: update(results, bbox=[0, 0, 20, 20]),
        "pycocotools",
    ),
    "empty_results": (lambda truth, results: results.clear(), "xtcocotools"),
    "ignore_field": (
        lambda truth, results: update(every_second_labelled(truth), ignore=1),
        "pycocotools",
    ),
    "no_iscrowd": (
        lambda truth, results: remove(truth["annotations"], "iscrowd"),
        "xtcocotools",
    ),
    "no_num_keypoints": (
        lambda truth, results: remove(truth["annotations"], "num_keypoints"),
        "xtcocotools",
    ),
    "num_keypoints_0_but_visible": (
        lambda truth, results: update(every_second_labelled(truth), num_keypoints=0),
        "xtcocotools",
    ),
    "zero_scores": (lambda truth, results: erase_scores(results[::3]), "pycocotools"),
}


# Where both raise, with what this package says.
REFUSED = {
    "no_area": (lambda truth, results: remove(truth["annotations"], "area"), "needs an 'area'"),
    "unknown_image": (
        lambda truth, results: results[0].update(image_id=10**6),
        r"results\[0\] is of image 1000000, which the ground truth does not have",
    ),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"metrics/evaluator_differences/{case}")
def test_what_both_evaluators_refuse_is_named(case, golden):
    folder = golden / "metrics"
    index = json.loads((folder / "evaluator_differences.json").read_text())
    assert all(value.startswith("raises") for value in index["cases"][case]["result"].values())
    truth, results = json.loads((folder / index["gt"]).read_text()), index["results"]
    change, message = REFUSED[case]
    change(truth, results)
    with pytest.raises(ValueError, match=message):
        coco_keypoint_ap(truth, results)


@pytest.mark.parametrize("case", DIFFERENCES)
def test_where_evaluators_differ_the_right_one_is_followed(case, engine, golden, reference_names):
    folder = golden / "metrics"
    index = json.loads((folder / "evaluator_differences.json").read_text())
    truth, results = json.loads((folder / index["gt"]).read_text()), index["results"]
    change, reference = DIFFERENCES[case]
    change(truth, results)
    expected = index["cases"][case]["result"][reference]
    actual = coco_keypoint_ap(truth, results, engine=engine)
    for ours, theirs in zip(METRICS, reference_names, strict=True):
        assert actual[ours] == pytest.approx(expected[theirs], abs=1e-9), ours


def test_perfect_results_score_one(engine):
    metrics = coco_keypoint_ap(TRUTH, RESULTS, engine=engine)
    assert metrics == dict.fromkeys(METRICS, 1.0) | {"AP_L": -1.0, "AR_L": -1.0}


def test_no_results_score_zero_and_missing_sizes_minus_one(engine):
    metrics = coco_keypoint_ap(TRUTH, [], engine=engine)
    assert metrics == dict.fromkeys(METRICS, 0.0) | {"AP_L": -1.0, "AR_L": -1.0}


@pytest.mark.parametrize(
    "annotations",
    [
        [],
        [person(1, 1, iscrowd=1)],
        [person(1, 1, keypoints=[0] * 51)],
        [person(1, 1, keypoints=...)],
    ],
    ids=["none", "crowd", "no labels", "no keypoints"],
)
@pytest.mark.parametrize("results", [[], RESULTS], ids=["no results", "results"])
def test_without_annotated_people_everything_is_minus_one(engine, annotations, results):
    annotations = [{k: v for k, v in a.items() if v is not ...} for a in annotations]
    metrics = coco_keypoint_ap(truth_of(*annotations), results, engine=engine)
    assert metrics == dict.fromkeys(METRICS, -1.0)


def test_people_without_keypoints_are_neither_hits_nor_misses(engine):
    unlabelled = person(4, 2, left=300.0, keypoints=[0] * 51)
    results = [*RESULTS, result(person(4, 2, left=300.0), score=0.99)]
    metrics = coco_keypoint_ap(truth_of(*PEOPLE, unlabelled), results, engine=engine)
    assert metrics["AP"] == 1


def test_a_detection_on_an_image_without_people_is_wrong(engine):
    results = [*RESULTS, result(person(4, 3), score=0.99)]
    metrics = coco_keypoint_ap(truth_of(*PEOPLE, images=(1, 2, 3)), results, engine=engine)
    assert metrics["AP"] == pytest.approx(0.75)


def test_only_the_best_detections_of_an_image_count(engine):
    results = [result(PEOPLE[0], score=0.95, shift=500.0), *RESULTS[:2]]
    truth = truth_of(*PEOPLE[:2], images=(1,))
    assert coco_keypoint_ap(truth, results, max_detections=1, engine=engine)["AR"] == 0
    assert coco_keypoint_ap(truth, results, max_detections=3, engine=engine)["AR"] == 1


def test_image_ids_choose_what_is_evaluated(engine):
    results = [*RESULTS[:2], result(PEOPLE[2], shift=500.0)]
    assert coco_keypoint_ap(TRUTH, results, engine=engine)["AR"] == pytest.approx(2 / 3)
    assert coco_keypoint_ap(TRUTH, results, image_ids=[1], engine=engine)["AR"] == 1


def test_image_ids_may_be_strings(engine):
    people = [person(1, "b.jpg"), person(2, "a.jpg")]
    truth = truth_of(*people, images=("b.jpg", "a.jpg"))
    assert coco_keypoint_ap(truth, [result(p) for p in people], engine=engine)["AP"] == 1


def test_own_sigmas(engine):
    shifted = [result(annotation, shift=5.0) for annotation in PEOPLE]
    strict = coco_keypoint_ap(TRUTH, shifted, sigmas=[0.01] * 17, engine=engine)
    loose = coco_keypoint_ap(TRUTH, shifted, sigmas=[0.9] * 17, engine=engine)
    assert strict["AP"] == 0
    assert loose["AP"] == 1


def test_area_from_the_box(engine):
    people = [{k: v for k, v in p.items() if k != "area"} for p in PEOPLE]
    metrics = coco_keypoint_ap(truth_of(*people), RESULTS, use_area=False, engine=engine)
    assert metrics["AP"] == 1


def test_nan_at_an_unlabelled_keypoint_does_no_harm(engine):
    keypoints = [math.nan, math.nan, 0.0, *PEOPLE[0]["keypoints"][3:]]
    truth = truth_of(*changed(PEOPLE, 0, keypoints=keypoints))
    assert coco_keypoint_ap(truth, RESULTS, engine=engine)["AP"] == 1


def test_other_categories_of_a_detection_file_do_not_count(engine):
    dog = {"id": 9, "image_id": 1, "category_id": 18, "bbox": [0, 0, 5, 5], "area": 25}
    truth = truth_of(*PEOPLE, dog)
    truth["categories"].append({"id": 18, "name": "dog"})
    assert coco_keypoint_ap(truth, RESULTS, engine=engine)["AP"] == 1


@pytest.mark.skipif(importlib.util.find_spec("pycocotools") is None, reason="needs pycocotools")
@pytest.mark.parametrize("seed", range(8))
def test_random_sets_with_ties_crowds_and_odd_areas(engine, seed):
    rng = np.random.default_rng(seed)
    people, results = [], []
    for number in range(60):
        size, unlabelled = float(rng.choice([20, 60, 150])), rng.random() < 0.2
        area = float(rng.choice([size * size / 2, 0, 32**2, 96**2]))
        place = {"left": float(rng.integers(0, 40)), "size": size}
        base = person(number, int(rng.integers(1, 9)), **place)
        people.append(base | {"area": area, "iscrowd": int(rng.random() < 0.2)})
        if unlabelled:
            people[-1] |= {"keypoints": [0] * 51, "num_keypoints": 0}
        for _ in range(rng.integers(0, 4)):
            shift, score = float(rng.integers(-4, 5)), float(rng.integers(1, 6)) / 5
            results.append(result(base, score=score, shift=shift))
    people = [p | {"id": p["id"] + 1} for p in people]
    truth = truth_of(*people, images=tuple(range(8, 0, -1)))
    expected = plain_pycocotools(truth, results)
    assert coco_keypoint_ap(truth, results, engine=engine) == pytest.approx(expected, abs=1e-9)


def plain_pycocotools(truth, results) -> dict:
    """The ten numbers of pycocotools as its own documentation says to use it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = COCO()
    annotations.dataset = copy.deepcopy(truth)
    annotations.createIndex()
    evaluator = COCOeval(annotations, annotations.loadRes(copy.deepcopy(results)), "keypoints")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return dict(zip(METRICS, evaluator.stats.tolist(), strict=True))


def bad_result(position, **changes):
    return {"results": changed(RESULTS, position, **changes)}


def bad_annotation(position, **changes):
    return {"ground_truth": truth_of(*changed(PEOPLE, position, **changes))}


NOBODY = [0] * 51
BAD_INPUT = [
    (bad_result(1, image_id=7), r"results\[1\] is of image 7"),
    (bad_result(2, category_id=5), r"results\[2\] has category_id 5"),
    (bad_result(1, keypoints=[math.nan] * 51), r"results\[1\] keypoints are not finite"),
    (bad_result(0, score=math.inf), r"results\[0\] score is not finite"),
    (bad_result(0, keypoints=[1.0] * 9), r"results\[0\] has 9 keypoint numbers"),
    (bad_result(1, score=...), r"results\[1\] has no 'score'"),
    (bad_result(1, score="high"), "results must have score"),
    (bad_result(0, bbox=[0, 0, 1, 1]), "all have a 'bbox' or none, .* got 1 of 3"),
    ({"results": {"annotations": []}}, "results must be a list"),
    ({"results": [[1, 2]]}, r"results\[0\] must be a dict"),
    ({"ground_truth": RESULTS}, "ground_truth must be a COCO dict"),
    ({"ground_truth": truth_of(images=())}, "ground_truth has no images"),
    (bad_annotation(1, area=...), r"\['annotations'\]\[1\] needs an 'area'"),
    (bad_annotation(2, area=math.nan), r"\['annotations'\]\[2\] needs an 'area'"),
    (bad_annotation(0, bbox=...) | {"use_area": False}, r"\[0\] needs a 'bbox'"),
    (bad_annotation(0, bbox=..., keypoints=NOBODY), r"\[0\] needs a 'bbox'"),
    (bad_annotation(0, keypoints=[math.nan, 1, 2] * 17), r"\[0\] keypoints are not finite"),
    (bad_annotation(0, keypoints=[1.0] * 48), r"same number of keypoints, .*\[48, 51\]"),
    ({"image_ids": [1, 99]}, "image_ids has 99"),
    ({"image_ids": []}, "image_ids has no images"),
    ({"sigmas": [0.1] * 5}, "sigmas must be 17 positive numbers"),
    ({"sigmas": [0.0] * 17}, "sigmas must be 17 positive numbers"),
    ({"max_detections": 0}, "max_detections must be a positive integer"),
    ({"engine": "xtcocotools"}, "engine must be 'auto' or one of"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[m for _, m in BAD_INPUT])
def test_bad_input_gives_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        coco_keypoint_ap(**({"ground_truth": TRUTH, "results": RESULTS} | arguments))
    assert "\n" not in str(raised.value)


def test_sigmas_are_needed_for_other_skeletons():
    people = [person(1, 1, keypoints=[1.0, 2.0, 2.0] * 4)]
    with pytest.raises(ValueError, match="sigmas are needed for 4 keypoints"):
        coco_keypoint_ap(truth_of(*people), [result(PEOPLE[0], keypoints=[1.0, 2.0, 1.0] * 4)])


def test_files_plain_and_gzipped(tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps(TRUTH))
    (tmp_path / "results.json.gz").write_bytes(gzip.compress(json.dumps(RESULTS).encode()))
    metrics = coco_keypoint_ap(tmp_path / "truth.json", str(tmp_path / "results.json.gz"))
    assert metrics["AP"] == 1


def test_a_missing_and_a_broken_file_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"results: there is no file .*none\.json"):
        coco_keypoint_ap(TRUTH, tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match=r"ground_truth: .*broken\.json is not a JSON file"):
        coco_keypoint_ap(tmp_path / "broken.json", RESULTS)


def test_nothing_is_printed_and_input_is_left_alone(engine, capfd):
    truth, results = copy.deepcopy(TRUTH), copy.deepcopy(RESULTS)
    coco_keypoint_ap(truth, results, sigmas=[0.1] * 17, max_detections=7, engine=engine)
    assert capfd.readouterr() == ("", "")
    assert (truth, results) == (TRUTH, RESULTS)
    assert gc.isenabled()


def test_libraries_are_used_when_asked_for_and_installed(monkeypatch):
    installed = {"faster_coco_eval", "pycocotools"}
    monkeypatch.setattr(
        coco.importlib.util, "find_spec", lambda name: name if name in installed else None
    )
    assert coco_engine() == "keras-pose"
    assert coco_engine("pycocotools") == "pycocotools"
    with pytest.raises(ImportError, match="pip install hotcoco"):
        coco_engine("hotcoco")
