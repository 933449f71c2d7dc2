"""`overfit` names what does not fit together, and is content with correct data."""

import copy
import json

import cv2
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet
from keras_pose.codecs import MSRAHeatmap
from keras_pose.datasets import KeypointDataset, TopdownCrops
from keras_pose.datasets.doctor import check
from keras_pose.heads import HeatmapHead
from keras_pose.skeleton import Skeleton
from keras_pose.training import overfit as module
from keras_pose.training.overfit import CAUSES, overfit
from keras_pose.training.swap_pairs import better_by_predictions, changed_pairs

# A beetle from above: left and right mirror at the x axis and look the same.
SHAPE = np.array([[40, 0], [22, 18], [22, -18], [-24, 26], [-24, -26], [-44, 0]], float)
NAMES = ["nose", "left_hand", "right_hand", "left_foot", "right_foot", "tail"]
COLOURS = [(255, 60, 60), *[(60, 255, 60)] * 2, *[(60, 60, 255)] * 2, (255, 255, 60)]
SWAPS = [["left_hand", "right_hand"], ["left_foot", "right_foot"]]
SIZE = 160


@pytest.fixture(scope="module")
def beetles(tmp_path_factory):
    """Folder and annotations of 16 beetles."""
    folder = tmp_path_factory.mktemp("beetles")
    random = np.random.default_rng(0)
    data = {"images": [], "annotations": [], "categories": []}
    data["categories"].append({"id": 1, "name": "beetle", "keypoints": NAMES})
    for number in range(1, 17):
        angle = random.uniform(-0.5, 0.5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (SHAPE + random.normal(0, 1.5, SHAPE.shape)) @ turn.T
        points += random.uniform(60, 100, 2)
        picture = np.full((SIZE, SIZE, 3), 40, np.uint8)
        for (x, y), colour in zip(points.astype(int).tolist(), COLOURS, strict=True):
            cv2.circle(picture, (x, y), 7, colour[::-1], -1)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        low, high = points.min(axis=0) - 5, points.max(axis=0) + 5
        data["images"].append(
            {"id": number, "file_name": f"{number}.png", "width": SIZE, "height": SIZE}
        )
        data["annotations"].append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "area": float((high - low).prod()),
                "num_keypoints": len(NAMES),
                "keypoints": np.column_stack([points, [2] * len(NAMES)]).ravel().tolist(),
            }
        )
    return folder, data


def _judged(beetles, change=lambda entry: None, swaps=SWAPS, **options):
    """The verdict as the command makes it: known causes first, then a short training."""
    folder, data = beetles
    data = copy.deepcopy(data)
    for entry in data["annotations"]:
        change(entry)
    path = folder / "changed.json"
    path.write_text(json.dumps(data))
    skeleton = Skeleton("beetle", NAMES, swaps=swaps)
    findings = check(path, folder, skeleton).findings
    known = {found.check: found.message for found in findings if found.check in CAUSES}
    dataset = KeypointDataset.from_coco(path, folder, skeleton)
    options = {"steps": 5, "seconds": 600, "learning_rate": 3e-3} | options
    return overfit(dataset, _tiny(skeleton), known=known, **options)


def _tiny(skeleton):
    head = HeatmapHead(
        len(NAMES),
        MSRAHeatmap((64, 64), (16, 16), 1.5),
        deconv_filters=(16,),
        deconv_kernels=(4,),
    )
    backbone = ResNet(18, (1,), base_channels=16, zero_init_residual=False)
    return keras_pose.TopdownEstimator(backbone, head, skeleton=skeleton, input_size=(64, 64))


def test_correct_data_are_learnt(beetles, monkeypatch):
    # A cell of the tiny network's heatmaps is 4 of 64 pixels.
    monkeypatch.setattr(module, "_PCK", 0.1)
    report = _judged(beetles, steps=300)
    assert report.ok and not report.out_of_time, str(report)
    assert 0 < report.steps <= 300
    assert report.loss_last < 0.5 * report.loss_first
    assert report.pck_after > 0.7 > report.pck_before
    assert "verdict: labels, crops, swap pairs and loss fit together" in str(report)


def test_what_is_not_learnt_is_named(beetles, monkeypatch):
    monkeypatch.setattr(module, "_train", lambda *inputs: [1.0] * 5)
    report = _judged(beetles, steps=5)
    assert not report.ok
    assert "the samples are not learnt" in report.problems[0]
    assert "fit together" not in str(report)


@pytest.mark.parametrize(
    "swaps, right",
    [
        ([["left_hand", "right_foot"], ["left_foot", "right_hand"]], "left_hand - right_hand"),
        ([["left_hand", "right_hand"], ["nose", "tail"]], "left_foot - right_foot"),
        ([], "left_foot - right_foot"),
    ],
    ids=["crossed", "other", "none"],
)
def test_wrong_swap_pairs_are_named_with_the_right_ones(beetles, monkeypatch, swaps, right):
    monkeypatch.setattr(module, "_train", lambda *inputs: [1.0])
    report = _judged(beetles, swaps=swaps)
    assert right in report.suggested
    assert any("the swap pairs are wrong" in problem for problem in report.problems)


def test_fractions_instead_of_pixels_are_named(beetles):
    def change(entry):
        values = np.array(entry["keypoints"]).reshape(-1, 3)
        values[:, :2] /= SIZE
        entry["keypoints"] = values.ravel().tolist()

    report = _judged(beetles, change)
    assert "keypoints are fractions" in report.problems[0]
    assert any("no pixels" in problem for problem in report.problems[1:])
    assert report.steps == 0 and "not trained" in str(report)


def test_boxes_as_corners_are_named(beetles):
    def change(entry):
        x, y, width, height = entry["bbox"]
        entry["bbox"] = [x, y, x + width, y + height]

    report = _judged(beetles, change)
    assert "boxes are corners" in report.problems[0]
    assert report.steps == 0


@pytest.mark.parametrize("exchanged", [True, False])
def test_exchanged_sides_are_named_by_a_preset_that_knows_the_keypoints(
    beetles, monkeypatch, exchanged
):
    folder, data = beetles
    (folder / "clean.json").write_text(json.dumps(data))
    skeleton = Skeleton("beetle", NAMES, swaps=SWAPS)
    clean = KeypointDataset.from_coco(folder / "clean.json", folder, skeleton)
    small = module._best_labelled(clean, 8)
    truth = TopdownCrops(small, (64, 64)).batch(np.arange(8))[1]["keypoints"][:, 0]
    monkeypatch.setattr(module, "_predicted", lambda *inputs, **options: truth.copy())
    monkeypatch.setattr(module, "_train", lambda *inputs: [1.0])

    def change(entry):
        values = np.array(entry["keypoints"]).reshape(-1, 3)
        order = skeleton.flip_indices if exchanged else slice(None)
        entry["keypoints"] = values[order].ravel().tolist()

    report = _judged(beetles, change)
    said = any("the sides of the labels are exchanged" in problem for problem in report.problems)
    assert said == exchanged
    assert (report.steps == 0) == exchanged


def test_predictions_in_mirrored_crops_tell_the_pairs():
    """Keypoints found at their partner's place, under a skeleton that pairs others."""
    random = np.random.default_rng(0)
    right = Skeleton("beetle", NAMES, swaps=SWAPS)
    truth = 32 + 0.5 * SHAPE + random.normal(0, 1, (8, 6, 2))
    mirrored = truth[:, right.flip_indices] + random.normal(0, 0.5, truth.shape)
    visible = np.ones((8, 6), bool)
    for swaps in (SWAPS, [], [["left_hand", "left_foot"], ["right_hand", "right_foot"]]):
        skeleton = Skeleton("beetle", NAMES, swaps=swaps)
        better = better_by_predictions(mirrored, truth, visible, skeleton, None, 64)
        np.testing.assert_array_equal(better, right.flip_indices)
        assert bool(changed_pairs(skeleton, better)) == (swaps is not SWAPS)
    noise = random.uniform(0, 64, truth.shape)
    wrong = Skeleton("beetle", NAMES, swaps=[])
    assert not changed_pairs(wrong, better_by_predictions(noise, truth, visible, wrong, None, 64))


def test_too_little_time_is_no_verdict(beetles):
    report = _judged(beetles, steps=50, seconds=0.0)
    assert report.steps < 50
    assert "0 seconds were over" in report.not_judged[0]
    assert not any("not learnt" in problem for problem in report.problems)
    assert "verdict" not in str(report)
