"""PoseTrack18's average precision.

Where joints of equal scores are ranked the reference follows an unstable sort of NumPy. What it
says must then be what one of their orders gives; without equal scores it is compared as it is.
"""

import copy
import json

import numpy as np
import pytest

from keras_pose.evaluation import PoseSelection, posetrack18_ap
from keras_pose.evaluation.posetrack import POSETRACK_GROUPS

SHORT = {"Shoulder": "Shou", "Elbow": "Elb", "Wrist": "Wri", "Ankle": "Ankl"}
ORDERS = 40


@pytest.mark.cases("metrics/posetrack18")
def test_reference(case, golden):
    folder, args = golden / "metrics", case["args"]
    index = json.loads((folder / "posetrack18.json").read_text("utf-8"))
    arrays = np.load(folder / "posetrack18.npz")
    pairs = (item.partition("=")[::2] for item in case["in"])
    given = {name: arrays[key or f"{case['id']}/in/{name}"] for name, key in pairs}
    selection = PoseSelection(args["score_mode"], args["nms_mode"])
    ranks = selection.scores(given["keypoint_scores"], given["bbox_scores"])
    rows = selection.rows(
        given["img_id"],
        given["keypoints"],
        given["keypoint_scores"],
        ranks,
        np.array(index["sigmas"]),
        given["bbox_scales"].prod(1),
        given["id"],
    )
    assert len(rows) == case["submitted"]
    truth = json.loads((folder / args["gt"]).read_text("utf-8"))
    scores = given["keypoint_scores"].astype(np.float64)
    found, rng = {}, np.random.default_rng(0)
    for _ in range(ORDERS):
        for name, value in measured(truth, given, rows, ranks, scores).items():
            found.setdefault(name, []).append(value)
        scores = given["keypoint_scores"] + rng.uniform(0, 1e-9, scores.shape)
    expect = {name.partition("/")[2]: value for name, value in case["expect"].items()}
    total = 0
    for group, joints in POSETRACK_GROUPS.items():
        expected = expect[f"{SHORT.get(group, group)} AP"]
        assert np.abs(np.array(found[f"{group} AP"]) - expected).min() < 1e-9, group
        total += expected * len(joints)
    assert expect["AP"] == pytest.approx(total / 15, abs=1e-9)
    groups = zip(*(found[f"{group} AP"] for group in POSETRACK_GROUPS), strict=True)
    counts = [len(joints) for joints in POSETRACK_GROUPS.values()]
    whole = [np.dot(values, counts) / 15 for values in groups]
    assert found["AP"] == pytest.approx(whole, abs=1e-9)


def measured(truth, given, rows, ranks, scores):
    points = np.concatenate([given["keypoints"], scores[..., None]], axis=-1)
    results = [
        {
            "image_id": int(given["img_id"][row]),
            "keypoints": points[row].ravel().tolist(),
            "score": float(ranks[row]),
        }
        for row in rows
    ]
    return posetrack18_ap(truth, results)


def person(image, left, **changes):
    points = [(left + 3 * k, 10 + 5 * k, 1) for k in range(17)]
    keypoints = [float(value) for point in points for value in point]
    head = {"bbox_head": [left, 10, 6, 8]}
    return {"id": image, "image_id": image, "keypoints": keypoints} | head | changes


@pytest.fixture
def film():
    """Two frames with a person each, one without anybody."""
    images = [{"id": number} for number in (1, 2, 3)]
    return {"images": images, "annotations": [person(1, 10), person(2, 50)]}


def results_of(film, shift=0.0):
    moved = copy.deepcopy(film["annotations"])
    for one in moved:
        one["keypoints"][0::3] = [x + shift for x in one["keypoints"][0::3]]
        one["keypoints"][2::3] = [0.5] * 17
    return [{"image_id": one["image_id"], "keypoints": one["keypoints"]} for one in moved]


def test_half_a_head_is_near_enough(film):
    # the head's size is 0.6 of its box's diagonal, 10 pixels
    assert posetrack18_ap(film, results_of(film, 3.0))["AP"] == 100
    assert posetrack18_ap(film, results_of(film, 3.01))["AP"] == 0


def test_a_second_prediction_of_a_person_is_wrong(film):
    twice = results_of(film) + results_of(film)
    for one in twice[:2]:
        one["keypoints"][2::3] = [0.9] * 17
        one["keypoints"][0] += 100  # the surer one has a wrong nose: the other one is given
    found = posetrack18_ap(film, twice)
    assert found["Shoulder AP"] == pytest.approx(50)


def test_ignored_regions_and_empty_frames_do_not_count(film):
    film["images"][0] |= {
        "ignore_regions_x": [[0, 90, 90, 0]],
        "ignore_regions_y": [[0, 0, 99, 99]],
    }
    results = results_of(film, 500.0)[:1] + results_of(film)[1:]
    results.append({"image_id": 3, "keypoints": results[0]["keypoints"]})
    results[0]["keypoints"] = results_of(film)[0]["keypoints"]
    assert posetrack18_ap(film, results)["AP"] == 100


def test_frames_without_results_are_named(film):
    found = posetrack18_ap(film, results_of(film)[:1])
    assert found["AP"] == 50
    assert found.notes == (
        "1 of 2 images with objects have no prediction, such as image 2; their objects count as "
        "missed",
    )


def test_films_of_a_folder(film, tmp_path):
    for number, name in enumerate(("a", "b")):
        part = copy.deepcopy(film)
        for image in part["images"]:
            image["id"] += 10 * number
        for one in part["annotations"]:
            one["image_id"] += 10 * number
        (tmp_path / f"{name}.json").write_text(json.dumps(part))
    found = posetrack18_ap(tmp_path, results_of(film))
    assert found["AP"] == 50 and "2 of 4 images" in found.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda film, results: film["annotations"][0].pop("bbox_head"), "1 of 2 annotations lack"),
        (lambda film, results: results[0].update(image_id=9), r"results\[0\] is of image 9"),
        (lambda film, results: results[0]["keypoints"].pop(), r"results\[0\] must have 51 finite"),
        (lambda film, results: film["images"].append({"id": 1}), "has image 1 twice"),
        (lambda film, results: film.pop("images"), "ground_truth must be a COCO dict"),
    ],
)
def test_bad_input_is_named(film, change, message):
    results = results_of(film)
    change(film, results)
    with pytest.raises(ValueError, match=message):
        posetrack18_ap(film, results)
