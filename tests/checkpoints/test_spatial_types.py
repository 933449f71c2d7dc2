"""Settings of networks that see poses in space; see `checkpoints.mmpose.spatial`."""

import pytest

from keras_pose.checkpoints.mmpose import translate_model, translate_part

BINS = {"type": "SimCC3DLabel", "input_size": [48, 64, 40], "sigma": [6.0, 6.9, 5.0]}
VOLUMES = {"type": "Hand3DHeatmap", "image_size": [64, 48], "heatmap_size": [16, 12, 8]}
HANDS = {
    "type": "InternetHead",
    "decoder": {**VOLUMES, "depth_size": 8},
    "keypoint_head_cfg": {
        "in_channels": 32,
        "out_channels": 21 * 8,
        "depth_size": 8,
        "deconv_out_channels": [4, 5],
        "deconv_kernel_sizes": [4, 4],
    },
    "root_head_cfg": {"in_channels": 32, "heatmap_size": 64, "hidden_dims": [6]},
    "hand_type_head_cfg": {"in_channels": 32, "num_labels": 2, "hidden_dims": [7]},
}


def _translated(config):
    return translate_part(config, "part")["config"]


def test_the_third_axis_is_that_of_depth():
    settings = _translated({**BINS, "z_range": 1.5, "root_index": [1, 2]})
    assert settings["input_size"] == [48, 64]
    assert settings["depth_size"] == 40
    assert (settings["sigma"], settings["depth_sigma"]) == ([6.0, 6.9], 5.0)
    assert settings["depth_range"] == 1.5
    assert _translated({**BINS, "sigma": 3.0})["depth_sigma"] == 3.0


def test_losses_of_a_list_are_one_loss():
    losses = [
        {"type": "KLDiscretLossWithWeight", "beta": 10.0},
        {"type": "BoneLoss", "joint_parents": [0, 0, 1]},
    ]
    head = {"type": "RTMW3DHead", "in_channels": 8, "out_channels": 3, "decoder": BINS}
    loss = _translated({**head, "loss": losses})["loss_module"]
    assert loss["class_name"] == "MultipleLossWrapper"
    kinds = [each["class_name"] for each in loss["config"]["losses"]]
    assert kinds == ["KLDiscretLoss", "BoneLoss"]


def test_both_hands_have_volumes():
    settings = _translated(HANDS)
    assert settings["num_keypoints"] == 42
    assert settings["deconv_filters"] == [4, 5]
    assert (settings["root_hidden"], settings["hand_type_hidden"]) == ([6], [7])
    codec = settings["codec"]["config"]
    assert codec == {"input_size": [64, 48], "heatmap_size": [16, 12], "depth_size": 8}


@pytest.mark.parametrize(
    ("part", "wrong", "message"),
    [
        ("keypoint_head_cfg", {"depth_size": 7}, "depth_size 7 does not fit a decoder"),
        ("keypoint_head_cfg", {"out_channels": 21 * 8 + 1}, "out_channels 169 and depth_size 8"),
        ("root_head_cfg", {"dropout": 1}, "root_head_cfg has a setting 'dropout' that is not"),
        ("decoder", {"depth_size": 9}, r"depth_size 8 does not fit a decoder with depth_size 9"),
    ],
)
def test_heads_that_cannot_be_built_are_refused(part, wrong, message):
    with pytest.raises(ValueError, match=message):
        _translated({**HANDS, part: {**HANDS[part], **wrong}})


def test_volumes_of_another_depth_are_refused():
    with pytest.raises(ValueError, match=r"\[16, 12, 8\] does not fit depth_size 9"):
        _translated({**VOLUMES, "depth_size": 9})


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("TopdownPoseEstimator", HANDS),
        (
            "TopdownPoseEstimator3D",
            {"type": "RTMW3DHead", "in_channels": 8, "out_channels": 3, "decoder": BINS},
        ),
    ],
)
def test_they_are_topdown_models(kind, head):
    backbone = {"type": "ResNet", "depth": 18}
    model = translate_model({"type": kind, "backbone": backbone, "head": head}, skeleton={})
    assert model["class_name"] == "TopdownEstimator"
    size = head["decoder"].get("input_size") or head["decoder"]["image_size"]
    assert model["config"]["input_size"] == size[:2]
