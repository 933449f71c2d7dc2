"""A MobileNetV2 of MMPose's against the reference, from pixels to the averaged heatmaps."""

from itertools import takewhile

import pytest

pytestmark = pytest.mark.parity


def test_equals_the_reference(golden, parity):
    case = parity.Case(golden, "td-hm_mobilenetv2_8xb64-210e_coco-256x192")
    differences = case.differences(case.estimator())
    # What follows is checked with the ResNet.
    differences = list(takewhile(lambda found: found.name != "keypoints", differences))
    names = [found.name for found in differences]
    assert names == ["inputs", "backbone.0", "head", "loss.loss_kpt", "flip_heatmaps"]
    assert not [found for found in differences if not found.small]
