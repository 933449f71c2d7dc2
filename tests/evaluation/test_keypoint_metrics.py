"""Keypoint metrics by name: what they need, what they leave out, and where they are right."""

import keras
import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset
from keras_pose.evaluation import (
    EPE,
    METRICS,
    MPJPE,
    NME,
    PCK,
    EvaluationResult,
    KeypointMetric,
    MpiiPCK,
    PartitionMetric,
    Poses,
    evaluate,
    keypoint_metric,
)
from keras_pose.evaluation.metric import lower_is_better
from keras_pose.skeleton import Skeleton

COUNT = 6


def make_dataset(skeleton="jhmdb", **fields):
    skeleton = Skeleton.resolve(skeleton)
    rng = np.random.default_rng(0)
    points = skeleton.num_keypoints
    return KeypointDataset(
        skeleton=skeleton,
        image_paths=[f"{number}.png" for number in range(COUNT)],
        image_ids=np.arange(COUNT) // 2,
        image_sizes=[(200, 200)] * COUNT,
        boxes=[(20, 20, 120, 160)] * COUNT,
        keypoints=rng.uniform(30, 110, (COUNT, points, 2)),
        visible=np.ones((COUNT, points)),
        name="beings",
        **fields,
    )


@pytest.fixture
def beings():
    return make_dataset()


def test_a_known_error_gives_known_numbers_with_their_protocol(beings):
    found = beings.keypoints.copy()
    found[:, 2] += [8, 6]
    found[:, 3] += [0, 30]
    result = evaluate(found, beings, ["pck", "epe"], split="val")
    assert result["PCK@0.05"] == pytest.approx(13 / 15)
    assert result["PCK@0.2"] == pytest.approx(14 / 15)  # 30 of 140 pixels
    assert result["EPE"] == pytest.approx(40 / 15)
    assert result.per_keypoint["EPE"]["head"] == pytest.approx(10)
    protocol = result.protocol
    assert (protocol.images, protocol.people, protocol.split) == (3, COUNT, "val")
    assert protocol.measure == "PCK of the longer box side; EPE in image pixels"
    assert "PCK of the longer box side" in str(result)


def test_the_breakdown_is_a_line_a_keypoint_and_survives_json(beings):
    result = evaluate(beings.keypoints, beings, ["pckt", "epe"])
    lines = result.keypoint_table().splitlines()
    assert lines[0].split() == ["keypoint", "PCKt@0.2", "EPE"]
    assert lines[1].split() == ["neck", "1.0000", "0.0000"] and len(lines) == 16
    assert EvaluationResult.from_dict(result.to_dict()) == result


@pytest.mark.parametrize(
    ("metric", "lacks"),
    [
        ("pckh", "PCKh needs the heads' sizes"),
        ("mpii", "MPII's PCKh: 16 keypoints are needed, beings has 15"),
        ("nme", "NME has no usual pair of keypoints for skeleton 'jhmdb'"),
        ({"name": "nme", "norm": "box_sizes"}, "NME needs the boxes' sizes"),
        ({"name": "nme", "norm": ("eye", 2)}, "NME needs the keypoint 'eye', which skeleton"),
        ({"name": "pckt", "torso": (0, 15)}, "PCKt needs keypoint 15"),
        ("interhand", "InterHand's metrics: 42 keypoints are needed"),
        ("ap", "AP needs sigmas|AP needs keypoint scores"),
    ],
)
def test_what_the_data_lack_is_named(beings, metric, lacks):
    with pytest.raises(ValueError, match=lacks):
        evaluate(beings.keypoints, beings, metric)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("pkch", "did you mean pckh"),
        ("zzz", "known are"),
        ({"name": "pck", "treshold": 1}, "other settings.*treshold"),
        ({"name": "pck", "norm": "foot"}, "norm of PCK must be one of"),
        ({"name": "pck", "thresholds": [0]}, "positive"),
    ],
)
def test_a_wrong_name_or_setting_is_named(metric, message):
    with pytest.raises(ValueError, match=message):
        keypoint_metric(metric)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_saved_with_their_settings(name):
    metric = keypoint_metric(name)
    again = keypoint_metric(keras.saving.serialize_keras_object(metric))
    assert isinstance(again, KeypointMetric) and type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert metric.description


def test_a_partition_is_saved_with_its_metric():
    metric = PartitionMetric({"name": "pck", "thresholds": [0.3]}, {"arms": ["left_elbow", 8]})
    again = keypoint_metric(keras.saving.serialize_keras_object(metric))
    assert again.parts == metric.parts and again.metric.thresholds == [0.3]


def test_heads_come_from_the_data_set(beings):
    heads = make_dataset(extras={"head_sizes": np.full(COUNT, 20.0)})
    found = heads.keypoints + np.array([9, 0])
    assert evaluate(found, heads, "pckh")["PCKh@0.5"] == 1
    assert evaluate(found + np.array([1, 0]), heads, "pckh")["PCKh@0.5"] == 0


def test_instances_without_a_torso_are_left_out_and_counted(beings):
    beings.visible[0, beings.skeleton.index("right_hip")] = 0
    found = beings.keypoints.copy()
    found[0] += 1000
    result = evaluate(found, beings, "pckt")
    assert result["PCKt@0.2"] == 1
    assert result.notes == ("PCKt: 1 of 6 instances have no length to compare with",)


def test_a_part_is_compared_with_the_whole_torso(beings):
    found = beings.keypoints + np.array([4, 0])
    whole = evaluate(found, beings, "pckt").per_keypoint["PCKt@0.2"]
    result = evaluate(found, beings, PartitionMetric("pckt", {"head": ["head", "neck"]}))
    assert result["head/PCKt@0.2"] == pytest.approx((whole["head"] + whole["neck"]) / 2)
    assert result.per_keypoint["head/PCKt@0.2"]["left_knee"] == -1


def test_parts_of_an_unknown_skeleton_must_be_given(beings):
    with pytest.raises(ValueError, match="no usual parts"):
        evaluate(beings.keypoints, beings, PartitionMetric("pck"))


def test_the_parts_of_whole_bodies_are_known():
    people = make_dataset("coco_wholebody")
    result = evaluate(people.keypoints, people, PartitionMetric("epe"))
    assert list(result.metrics) == [
        f"{part}/EPE" for part in ("body", "foot", "face", "left_hand", "right_hand", "wholebody")
    ]


def test_faces_of_300wlp_have_a_norm():
    # The reference stops with a KeyError.
    faces = make_dataset("300wlp")
    truth = faces.keypoints
    eyes = np.linalg.norm(truth[:, 36] - truth[:, 45], axis=-1)
    found = evaluate(truth + np.array([3, 4]), faces, "nme")["NME"]
    assert found == pytest.approx((5 / eyes).mean(), rel=1e-5)


def test_objects_without_predictions_are_counted(beings):
    result = evaluate(beings.keypoints[:4], beings, "pck", rows=range(4))
    last = ", ".join(str(number) for number in beings.ids[4:])
    assert result.notes == (
        f"2 of 6 objects have no prediction, such as object {last}; they are not counted by "
        "metrics of keypoints",
    )
    with pytest.raises(ValueError, match="row for each of the 6 objects of beings"):
        evaluate(beings.keypoints[:4], beings)


def test_lost_predictions_are_wrong_and_said(beings):
    found = beings.keypoints.copy()
    found[0] = np.nan
    result = evaluate(found, beings, ["pck", "p-mpjpe"])
    assert result["PCK@0.1"] == pytest.approx(5 / 6) and np.isnan(result["P-MPJPE"])
    assert result.notes == ("1 of 6 predictions are not finite",)


def test_two_metrics_of_one_name_are_refused(beings):
    with pytest.raises(ValueError, match=r"two metrics are called 'PCK@0.05'"):
        evaluate(beings.keypoints, beings, ["pck", PCK(thresholds=[0.05])])


def test_nothing_to_measure_is_said():
    with pytest.raises(ValueError, match="no poses"):
        EPE()(np.zeros((0, 3, 2)), np.zeros((0, 3, 2)), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="no annotated joint"):
        MPJPE()(np.zeros((1, 3, 3)), np.zeros((1, 3, 3)), np.zeros((1, 3)))


def test_mpii_counts_pixels_from_one():
    people = make_dataset("mpii", extras={"head_sizes": np.full(COUNT, 20.0)})
    assert evaluate(people.keypoints - 1, people, MpiiPCK(0.05))["PCKh@0.05"] == 100


def test_alignment_undoes_rotation_scale_and_place_but_no_mirroring():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4, 17, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    seen = np.ones((4, 17))
    aligned = MPJPE("procrustes")
    assert aligned(2 * truth @ turn + [1, 2, 3], truth, seen)["P-MPJPE"] < 1e-9
    assert aligned(truth * [-1, 1, 1], truth, seen)["P-MPJPE"] > 0.1
    assert MPJPE("scale")(3 * truth, truth, seen)["N-MPJPE"] < 1e-9


def test_an_unlabelled_eye_is_no_norm():
    truth = np.zeros((2, 3, 2))
    truth[:, 1] = [10, 0]
    seen = np.array([[1, 1, 1], [1, 0, 1]])
    assert NME((0, 1))(truth + np.array([5, 0]), truth, seen)["NME"] == pytest.approx(0.5)
    assert NME((0, 1)).measure(Poses(truth, truth, seen)).notes


def test_which_numbers_are_better_when_small():
    assert lower_is_better("arms/NME") and lower_is_better("P-MPJPE_Walking")
    assert lower_is_better("error_px")
    assert not lower_is_better("PCK@0.2") and not lower_is_better("arms/AP")
