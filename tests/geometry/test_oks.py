import json

import numpy as np
import pytest

from keras_pose import geometry


@pytest.fixture(scope="module")
def cases(golden):
    arrays = np.load(golden / "metrics" / "oks.npz")
    index = json.loads((golden / "metrics" / "oks.json").read_text())

    def named(case):
        pairs = (item.partition("=")[::2] for item in case["in"])
        return {name: arrays[key or f"{case['id']}/in/{name}"] for name, key in pairs}

    return [
        (
            case,
            named(case),
            arrays[f"{case['id']}/out/oks"],
            index["sigmas"][case["args"]["sigmas"]],
        )
        for case in index["cases"]
    ]


def test_oks_equals_coco_evaluator(cases):
    checked = 0
    for case, arrays, expected, sigmas in cases:
        if case["fn"] != "coco_oks":
            continue
        truth, boxes = arrays["gt_keypoints"], arrays["gt_bbox"]  # boxes are xywh
        area = arrays["gt_area"] if case["args"]["use_area"] else boxes[:, 2] * boxes[:, 3] * 0.53
        ours = geometry.oks(
            arrays["dt_keypoints"], truth, truth[..., 2], sigmas, area, geometry.xywh_to_xyxy(boxes)
        )
        np.testing.assert_allclose(ours, expected, rtol=1e-9, err_msg=case["id"])
        checked += 1
    assert checked


def test_mean_similarity_equals_oks_of_nms(cases):
    checked = 0
    for case, arrays, expected, sigmas in cases:
        if case["fn"] != "oks_iou":
            continue
        truth = arrays["g"].reshape(-1, 3)
        poses = arrays["d"].reshape(len(arrays["d"]), -1, 3)
        squares = ((poses[..., :2] - truth[:, :2]) ** 2).sum(-1)
        threshold, counted = case["args"]["vis_thr"], None
        if threshold is not None:
            counted = (poses[..., 2] > threshold) & (truth[:, 2] > threshold)
        areas = (arrays["a_g"] + arrays["a_d"]) / 2
        ours = geometry.mean_similarity(squares, sigmas, areas, counted)
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9, err_msg=case["id"])
        checked += 1
    assert checked


def test_exact_hit_scores_one_even_without_area():
    pose = np.random.default_rng(0).uniform(0, 50, (1, 5, 2))
    ours = geometry.oks(pose, pose, np.ones((1, 5)), np.full(5, 0.05), [0.0])
    assert ours == 1


def test_annotation_without_labels_and_box_scores_zero():
    pose = np.ones((2, 5, 2))
    assert not geometry.oks(pose, pose[:1], np.zeros((1, 5)), np.full(5, 0.05), [9.0]).any()


def test_no_pose_gives_an_empty_matrix():
    none, one = np.zeros((0, 5, 2)), np.zeros((1, 5, 2))
    assert geometry.oks(none, one, np.ones((1, 5)), np.full(5, 0.1), [1.0]).shape == (0, 1)
