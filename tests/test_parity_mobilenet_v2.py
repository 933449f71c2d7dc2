"""A MobileNetV2 of MMPose's against the reference, from pixels to keypoints and loss."""

import pytest

pytestmark = pytest.mark.parity


def test_equals_the_reference(golden, parity):
    case = parity.Case(golden, "td-hm_mobilenetv2_8xb64-210e_coco-256x192")
    differences = list(case.differences(case.estimator()))
    assert len(differences) == 11
    assert not [found for found in differences if not found.small]
