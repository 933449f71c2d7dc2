"""SimpleBaseline ResNet-50 against the reference: every stage from pixels to statistics."""

import pytest

CONFIG = "td-hm_res50_8xb64-210e_coco-256x192"

pytestmark = pytest.mark.parity


NAMES = [
    "inputs",
    "backbone.0",
    "head",
    "flip_heatmaps",
    "keypoints",
    "scores",
    "flip_keypoints",
    "flip_scores",
    "target.heatmaps",
    "target.keypoint_weights",
    "loss.loss_kpt",
    "train.head",
    "train.loss.loss_kpt",
    "train.backbone.bn1.running_mean",
    "train.backbone.bn1.running_var",
    "train.backbone.layer3.0.bn3.running_mean",
    "train.backbone.layer3.0.bn3.running_var",
    "train.backbone.layer4.2.bn3.running_mean",
    "train.backbone.layer4.2.bn3.running_var",
]


@pytest.fixture(scope="module")
def differences(golden, parity):
    case = parity.Case(golden, CONFIG)
    return {found.name: found for found in case.differences(case.estimator())}


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_reference(differences, name):
    assert differences[name].value <= differences[name].limit


def test_every_array_was_compared(differences):
    assert sorted(differences) == sorted(NAMES)
