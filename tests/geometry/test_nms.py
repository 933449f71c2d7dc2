import json

import numpy as np
import pytest

from keras_pose import geometry

COCO_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1e3


@pytest.fixture(scope="module")
def cases(golden):
    arrays = np.load(golden / "nms_tta" / "nms_tta.npz")
    index = json.loads((golden / "nms_tta" / "nms_tta.json").read_text())

    def of(function):
        for case in index["cases"]:
            if case["fn"] == function and case.get("in"):
                pairs = (item.partition("=")[::2] for item in case["in"])
                named = {name: arrays[key or f"{case['id']}/in/{name}"] for name, key in pairs}
                yield case["id"], case["args"], named, arrays[f"{case['id']}/out/keep"]

    return of


def test_box_nms_equals_reference(cases):
    for name, args, arrays, keep in cases("nms_torch"):
        ours = geometry.box_nms(arrays["bboxes"], arrays["scores"], args["threshold"])
        np.testing.assert_array_equal(ours, keep, err_msg=name)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_limited_box_nms_keeps_the_first_of_all(threshold):
    random = np.random.default_rng(0)
    corners = random.uniform(0, 60, (80, 2))
    boxes = np.hstack([corners, corners + random.uniform(5, 40, (80, 2))])
    scores = random.permutation(80) / 80
    kept = geometry.box_nms(boxes, scores, threshold)
    assert len(kept) > 3
    for limit in (1, 3, len(kept), 80):
        limited = geometry.box_nms(boxes, scores, threshold, max_boxes=limit)
        np.testing.assert_array_equal(limited, kept[:limit])
        assert limited.dtype == np.int64


def test_limited_box_nms_of_nothing():
    assert geometry.box_nms(np.zeros((0, 4)), np.zeros(0), max_boxes=3).shape == (0,)
    assert geometry.box_nms(np.eye(4), np.ones(4), max_boxes=0).shape == (0,)


def test_oks_nms_equals_reference(cases):
    for name, args, arrays, keep in cases("oks_nms"):
        sigmas = args.get("sigmas") or COCO_SIGMAS
        ours = geometry.oks_nms(
            arrays["keypoints"],
            arrays["score"],
            arrays["area"],
            sigmas,
            args["thr"],
            args.get("vis_thr"),
        )
        np.testing.assert_array_equal(ours, keep, err_msg=name)


def test_soft_oks_nms_equals_reference(cases):
    for name, args, arrays, keep in cases("soft_oks_nms"):
        ours = geometry.soft_oks_nms(
            arrays["keypoints"],
            arrays["score"],
            arrays["area"],
            COCO_SIGMAS,
            args["thr"],
            args["max_dets"],
        )
        np.testing.assert_array_equal(ours, keep, err_msg=name)


def test_nothing_in_nothing_out():
    assert geometry.box_nms(np.zeros((0, 4)), np.zeros(0)).shape == (0,)
    assert geometry.oks_nms(np.zeros((0, 17, 2)), [], [], COCO_SIGMAS).shape == (0,)
    assert geometry.soft_oks_nms(np.zeros((0, 17, 2)), [], [], COCO_SIGMAS).shape == (0,)


def test_visible_threshold_without_scores_is_refused():
    with pytest.raises(ValueError, match="visible_threshold needs keypoints"):
        geometry.oks_nms(np.zeros((1, 17, 2)), [1], [1], COCO_SIGMAS, visible_threshold=0.2)
