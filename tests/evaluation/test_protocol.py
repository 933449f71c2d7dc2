"""A metric is printed, saved and read together with its protocol."""

import json

import pytest

from keras_pose.evaluation import EvaluationResult, Protocol

PROTOCOL = Protocol(
    dataset="COCO 2017",
    split="val",
    images=5000,
    people=6352,
    boxes="faster R-CNN",
    box_padding=1.25,
    flip_test=True,
    score="box score x mean keypoint score",
    nms="OKS 0.9",
    engine="hotcoco",
)
RESULT = EvaluationResult({"AP": 0.70512, "AP50": 0.9}, PROTOCOL, ("something was odd",))


def test_metric_and_protocol_are_printed_together():
    first, second, third = str(RESULT).splitlines()
    assert first == "AP 0.7051 (AP50 0.9000)"
    for part in (
        "COCO 2017 val: 5000 images, 6352 instances",
        "boxes: faster R-CNN, padded x1.25",
        "score: box score x mean keypoint score",
        "flip test: yes",
        "pose NMS: OKS 0.9",
        "hotcoco",
    ):
        assert part in second
    assert third == "something was odd"


def test_metrics_without_a_headline_are_printed():
    assert str(EvaluationResult({"error_px": 2.0}, PROTOCOL)).startswith("error_px 2.0000\n")


def test_a_metric_of_nothing_is_not_a_number():
    assert str(EvaluationResult({"AP": 0.5, "AP_L": -1.0}, PROTOCOL)).startswith(
        "AP 0.5000 (AP_L n/a)"
    )


def test_round_trip_through_json():
    assert EvaluationResult.from_dict(json.loads(json.dumps(RESULT.to_dict()))) == RESULT


@pytest.mark.parametrize("data", [None, {}, {"dataset": "x"}, {**PROTOCOL.to_dict(), "colour": 1}])
def test_a_dict_that_is_no_protocol_is_refused(data):
    with pytest.raises(ValueError, match="a protocol must be a dict"):
        Protocol.from_dict(data)


def test_a_metric_without_protocol_is_refused():
    with pytest.raises(ValueError, match="a protocol must be a dict"):
        EvaluationResult.from_dict({"metrics": {"AP": 0.5}})
    with pytest.raises(ValueError, match="a result must be a dict"):
        EvaluationResult.from_dict({"AP": 0.5})
